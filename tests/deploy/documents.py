"""The commands of the README, docs/deploy.md, docs/mail.md and docs/account.md, word for word, on a stack of their own."""

import json
import os
import pty
import re
import termios
import time

from samtranslator.yaml_helper import yaml_parse

from conftest import PASSWORD, commands, output_function
from emulator import ROOT
from transform import for_emulator

# What `ratchet` prints when it wants a password, and the same again.
PROMPTS = (b"Password: ", b"Once more: ")
ANSWERS = {"MailFrom": "accounts@example.com"}


def test_sam_deploy_guided(cloud, template):
    """`sam build` has been done by `.ci/template`, which CI runs before."""
    [block] = [block for block in commands("deploy.md") if "sam deploy --guided" in block]
    build, deploy = block.strip().splitlines()[-2:]
    assert build == "RATCHET_BUILD=$(git rev-parse HEAD) sam build"
    assert deploy == "sam deploy --guided"
    assert block in (ROOT / "README.md").read_text(), "the README has the same commands"
    answers = ["ratchet", "us-east-1"]
    answers += [ANSWERS.get(name, "") for name in template["Parameters"]]
    # Confirm changes: no. Create roles: yes. Disable rollback: no. Save the answers: no.
    answers += ["n", "y", "n", "n"]
    cloud.shell(deploy, given="\n".join(answers) + "\n")
    assert set(cloud.outputs("ratchet")) >= {"ApiUrl", "UsersTableName", "TokensTableName"}


def test_the_first_administrator(cloud):
    [block] = [block for block in commands("deploy.md") if "--role admin" in block]
    # `ratchet` is installed already.
    install, rest = block.split("\n", 1)
    assert install == "cargo install --locked --path clients/cli"
    printed = typed(cloud, rest, PASSWORD)
    assert "root is added" in printed, printed
    url = cloud.outputs("ratchet")["ApiUrl"]
    admin = cloud.sign_in(url, "root")["access_token"]
    _, _, listed = cloud.request(f"{url}/users", token=admin)
    # More of each for an administrator.
    assert listed["users"][0]["email"] == "root@example.com"


def test_messages_are_sent_under_the_configuration_set(cloud):
    """The emulator does not keep the name with a message. So this shows that the mailer has it."""
    outputs = cloud.outputs("ratchet")
    name = outputs["MailConfigurationSetName"]
    made = cloud.client("sesv2").get_configuration_set(ConfigurationSetName=name)
    assert sorted(made["SuppressionOptions"]["SuppressedReasons"]) == ["BOUNCE", "COMPLAINT"]
    mailer = cloud.resources("ratchet", "AWS::Lambda::Function")["MailerFunction"]
    settings = cloud.client("lambda").get_function_configuration(FunctionName=mailer, Qualifier="live")
    assert settings["Environment"]["Variables"]["RATCHET_MAIL_CONFIGURATION_SET"] == name


def test_a_table_is_warmed_up_before_a_launch(cloud):
    [block] = [block for block in commands("account.md") if "warm-throughput" in block]
    cloud.shell(output_function() + block)
    # The emulator takes the command and changes nothing.
    table = cloud.outputs("ratchet")["TokensTableName"]
    assert cloud.client("dynamodb").describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE"


def test_alarms_go_to_a_topic_under_a_key_of_the_account(cloud):
    """Without the budget, which the emulator does not know."""
    [block] = [block for block in commands("account.md") if "alarm-topic" in block]
    template, removed = for_emulator(yaml_parse((ROOT / "docs/examples/alarm-topic.yaml").read_text()))
    assert removed == {"Budget"}
    (cloud.checkout / "alarm-topic.json").write_text(json.dumps(template))
    printed = cloud.shell(block.replace("docs/examples/alarm-topic.yaml", "alarm-topic.json"))
    topic = cloud.outputs("ratchet-alarms")["TopicArn"]
    assert topic in printed
    # The emulator does not say which key encrypts a topic.
    key = cloud.client("kms").describe_key(KeyId=cloud.resources("ratchet-alarms")["Key"])["KeyMetadata"]
    assert key["Enabled"]


def test_cloudfront_and_a_firewall_can_be_put_in_front(cloud):
    """The emulator creates both. Whether requests pass through them is not tested."""
    api = cloud.outputs("ratchet")["ApiUrl"].removeprefix("https://")
    certificate = cloud.client("acm").request_certificate(DomainName="login.example.com")["CertificateArn"]
    cloud.run(
        "aws", "cloudformation", "deploy", "--stack-name", "ratchet-front",
        "--template-file", "docs/examples/cloudfront.yaml", "--parameter-overrides",
        f"ApiDomain={api}", "DomainName=login.example.com", f"CertificateArn={certificate}",
    )
    made = cloud.resources("ratchet-front")
    distribution = cloud.client("cloudfront").get_distribution(Id=made["Distribution"])["Distribution"]
    assert cloud.outputs("ratchet-front")["DomainTarget"] == distribution["DomainName"]
    [origin] = distribution["DistributionConfig"]["Origins"]["Items"]
    assert origin["DomainName"] == api


def test_a_stack_is_protected_from_deletion(cloud):
    [block] = [block for block in commands("account.md") if "termination-protection" in block]
    cloud.shell(block.replace("ratchet-prod", "ratchet"))
    assert cloud.cloudformation.describe_stacks(StackName="ratchet")["Stacks"][0]["EnableTerminationProtection"]
    cloud.shell(block.replace("ratchet-prod", "ratchet").replace("--enable", "--no-enable"))


def test_a_person_gets_what_is_kept_about_them(cloud):
    """For the first administrator."""
    [block] = [block for block in commands("account.md") if "export-one" in block]
    tables = "export RATCHET_USERS_TABLE=$(output UsersTableName) RATCHET_TOKENS_TABLE=$(output TokensTableName)\n"
    cloud.shell(output_function() + tables + block.replace("ada", "root"))
    file = cloud.checkout / "root.json"
    assert file.stat().st_mode & 0o077 == 0, "nobody else may read it"
    kept = json.loads(file.read_text())
    assert kept["account"]["email"] == "root@example.com" and len(kept["sessions"]) == 1
    assert "argon2" not in json.dumps(kept)


def test_the_policy_of_a_deployer_can_be_created(cloud):
    [block] = [block for block in commands("account.md") if "create-policy" in block]
    made = json.loads(cloud.shell(block))["Policy"]
    assert made["PolicyName"] == "ratchet-deployer"


def test_the_stages_are_those_of_samconfig():
    """`prod` is deployed by the other tests."""
    text = (ROOT / "docs/deploy.md").read_text()
    documented = re.search(r'^parameter_overrides = "(.*)"$', text, re.MULTILINE)[1].split()
    configured = re.findall(r'^parameter_overrides = "(.*)"$', (ROOT / "samconfig.toml").read_text(), re.MULTILINE)
    prod = next(one for one in configured if "Canary" in one).split()
    assert documented[: len(prod)] == prod, "the example adds to the parameters of prod"


def typed(cloud, script, password):
    """Runs a script at a terminal, types the password when it is asked for, and returns what it printed."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(cloud.checkout)
        os.execvpe("bash", ["bash", "-euc", script], cloud.environment)
    printed = b""
    asked = 0
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        printed += piece
        if (now := sum(printed.count(prompt) for prompt in PROMPTS)) > asked:
            asked = now
            # What is typed before the terminal hides it is thrown away.
            while termios.tcgetattr(terminal)[3] & termios.ECHO:
                time.sleep(0.01)
            os.write(terminal, password.encode() + b"\n")
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, printed.decode()
    return printed.decode()
