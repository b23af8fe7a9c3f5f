"""docs/standby.md: a stack that waits in a second region, and the switch to it.

It uses the stack of domain.py. The emulator replicates a write at once, where AWS needs about a second.
"""

import time

import pytest

from conftest import commands, output_function
from domain import DOMAIN, NEW
from emulator import REGION

SECOND = "eu-west-1"
# What the blocks of the document use.
NAMES = ("first", "second", "users", "tokens", "ring", "standby", "parameters", "domain")


@pytest.fixture(scope="module")
def blocks():
    """The blocks of commands in the document, each found by a text that only it contains."""
    marks = {
        "names": "domain=", "replicate": "--replica-updates", "deploy": "Standby=true $standby", "check": "lambda invoke",
        "leave": '"ExistingKeyRing=$ring"', "hurry": "update-event-source-mapping",
        "stop": '"$first" --stack-name ratchet-prod --no-confirm-changeset --parameter-overrides Standby=true',
        "promote": 'stop-replication-to-replica --region "$second"',
        "switch": '"$second" --stack-name ratchet-prod --no-confirm-changeset --parameter-overrides Standby=false',
        "move": "get-domain-name", "back": '--region "$first" --secret-id',
    }
    ours = [block.replace("stack-name ratchet ", "stack-name ratchet-prod ") for block in commands("standby.md")]
    found = {}
    for name, mark in marks.items():
        [found[name]] = [block for block in ours if mark in block]
    return found


@pytest.fixture(scope="module")
def shell(cloud):
    """Runs a block of the document with the variables that the earlier ones have set."""
    certificate = cloud.client("acm", SECOND).request_certificate(DomainName=DOMAIN)["CertificateArn"]
    cloud.client("sesv2", SECOND).create_email_identity(EmailIdentity="example.com")
    known = {
        "parameters": f"DomainName={DOMAIN} CertificateArn={certificate} MailFrom=accounts@example.com "
        "LinkUrl=https://app.example.com/confirm ListUsers=authenticated SigningAlgorithm=RS256",
    }
    output = output_function().replace("--stack-name ratchet ", "--stack-name ratchet-prod ")
    mark = "variables of the document:"

    def run(block):
        keep = f'\necho "{mark}"\n' + "".join(f'echo "{name}=${{{name}-}}"\n' for name in NAMES)
        printed, _, variables = cloud.shell(output + block + keep, **known).partition(mark)
        pairs = (line.split("=", 1) for line in variables.strip().splitlines())
        known.update({name: value for name, value in pairs if value})
        return printed

    run.known = known
    return run


def stack_api(cloud, region):
    return cloud.resources("ratchet-prod", region=region)["HttpApi"]


def mapping(cloud, region):
    uuid = cloud.resources("ratchet-prod", region=region)["MailerEventSource"]
    return cloud.client("lambda", region).get_event_source_mapping(UUID=uuid)["State"]


def ask_to_reset(cloud, name):
    """Asks for a letter, and waits for it."""
    before = len(cloud.messages(f"{name}@example.com"))
    status, _, _ = cloud.request(f"{NEW}/users/password-reset", {"email": f"{name}@example.com"})
    assert status == 202
    cloud.message(f"{name}@example.com", before + 1)


def waiting_letters(cloud):
    """The keys of the letters in the outbox, as the second region has them."""
    users = cloud.outputs("ratchet-prod", SECOND)["UsersTableName"]
    items = cloud.client("dynamodb", SECOND).scan(TableName=users)["Items"]
    return {item["pk"]["S"] for item in items if item["pk"]["S"].startswith("outbox#")}


def has_run(cloud, function):
    """Whether a function of the second stack has been invoked: each invocation has a log stream."""
    group = cloud.resources("ratchet-prod", region=SECOND)[f"{function}LogGroup"]
    return bool(cloud.client("logs", SECOND).describe_log_streams(logGroupName=group)["logStreams"])


def test_the_standby_has_everything_and_answers_nothing(cloud, blocks, shell):
    for name in ("names", "replicate", "leave", "deploy"):
        shell(blocks[name])
    dynamodb = cloud.client("dynamodb", SECOND)
    given = cloud.outputs("ratchet-prod", SECOND)
    for table in (given["UsersTableName"], given["TokensTableName"]):
        described = dynamodb.describe_table(TableName=table)["Table"]
        assert described["DeletionProtectionEnabled"], table
        backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert f":{SECOND}:" in given["KeyRingSecretArn"]
    gateway = cloud.client("apigatewayv2", SECOND)
    # The emulator keeps answering there: emulator.py.
    assert gateway.get_api(ApiId=stack_api(cloud, SECOND))["DisableExecuteApiEndpoint"]
    assert gateway.get_api_mappings(DomainName=DOMAIN)["Items"] == []


def test_the_functions_of_the_standby_can_be_checked(blocks, shell):
    printed = shell(blocks["check"])
    assert '"statusCode":200' in printed.replace(" ", "") and "key_ring_age_seconds" in printed, printed


def test_the_standby_leaves_letters_to_the_first_stack(cloud, blocks, shell):
    """The standby's stream has the letters too, but the standby must not send them."""
    shell(blocks["hurry"])
    assert mapping(cloud, REGION) == "Disabled"
    before, others = len(cloud.messages("ada@example.com")), waiting_letters(cloud)
    status, _, _ = cloud.request(f"{NEW}/users/password-reset", {"email": "ada@example.com"})
    assert status == 202
    [letter] = waiting_letters(cloud) - others
    assert len(cloud.messages("ada@example.com")) == before

    # The emulator reads both streams in turn. So once the first stack has sent the letter, the standby
    # would have got it too.
    shell(blocks["hurry"].replace("--no-enabled", "--enabled"))
    cloud.message("ada@example.com", before + 1)
    for _ in range(300):
        if letter not in waiting_letters(cloud):
            break
        time.sleep(0.1)
    assert letter not in waiting_letters(cloud), cloud.log()
    assert len(cloud.messages("ada@example.com")) == before + 1
    assert not has_run(cloud, "Mailer")


def test_after_the_switch_the_second_stack_goes_on_with_all_sessions(cloud, blocks, shell):
    pair = cloud.sign_in(NEW, "ada")
    before = cloud.versions("ratchet-prod")
    shell(blocks["stop"])
    assert cloud.versions("ratchet-prod") == before, "no canary waits"
    assert mapping(cloud, REGION) == "Disabled"
    # The emulator has no such operation. So this shows that the command is well-formed.
    printed = cloud.shell(blocks["promote"], fails=True, **shell.known)
    assert "Unknown action: StopReplicationToReplica" in printed
    shell(blocks["switch"])
    target, zone = shell(blocks["move"]).split()
    assert target == cloud.outputs("ratchet-prod", SECOND)["DomainTarget"] and zone
    assert mapping(cloud, SECOND) == "Enabled"
    assert len(cloud.client("apigatewayv2", SECOND).get_api_mappings(DomainName=DOMAIN)["Items"]) == 1

    # The name's record, as the front has it.
    cloud.front.domains[DOMAIN] = stack_api(cloud, SECOND)
    assert cloud.request(f"{NEW}/users", token=pair["access_token"])[0] == 200
    status, _, renewed = cloud.request(f"{NEW}/refresh", {"refresh_token": pair["refresh_token"]})
    assert status == 200, renewed
    assert cloud.claims(renewed["access_token"])["iss"] == NEW
    assert cloud.sign_in(NEW, "ada")


def test_the_second_stack_sends_the_letters(cloud):
    ask_to_reset(cloud, "ada")
    assert has_run(cloud, "Mailer")


def test_the_first_stack_goes_on_when_the_name_moves_back(cloud, blocks, shell):
    pair = cloud.sign_in(NEW, "ada")
    wait, promote, go_on = blocks["back"].strip().splitlines()
    # The key ring is still a replica of the first region's.
    assert "stop-replication" in promote
    shell(wait)
    assert mapping(cloud, SECOND) == "Disabled"
    shell(go_on)
    cloud.front.domains[DOMAIN] = stack_api(cloud, REGION)
    status, _, renewed = cloud.request(f"{NEW}/refresh", {"refresh_token": pair["refresh_token"]})
    assert status == 200, renewed
    ask_to_reset(cloud, "ada")
