"""docs/release.md: the same release with CloudFormation alone, with Terraform and with the AWS CDK."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from conftest import commands
from emulator import ACCOUNT, REGION, ROOT
from samtranslator.yaml_helper import yaml_parse
from transform import for_emulator

BUCKET = "releases"


@pytest.fixture(scope="module")
def release(cloud):
    """The folder of an unpacked release, without what the emulator lacks."""
    folder = cloud.folder / "ratchet-release"
    folder.mkdir()
    for file in cloud.release.glob("*.zip"):
        (folder / file.name).symlink_to(file)
    template, _ = for_emulator(yaml_parse((cloud.release / "template.yaml").read_text()))
    (folder / "template.yaml").write_text(yaml.safe_dump(plain(template), sort_keys=False, width=1_000_000))
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    return folder


def plain(template):
    return json.loads(json.dumps(template))


def blocks(language):
    text = (ROOT / "docs/release.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def answers(cloud, url):
    status, _, health = cloud.request(f"{url}/health")
    return status == 200 and health["function_version"] == "1"


def url_of(cloud, stack):
    """The ApiUrl that AWS would give a stack; emulator.py says how the tests reach it."""
    return f"https://{cloud.resources(stack)['HttpApi']}.execute-api.{REGION}.amazonaws.com"


def test_the_template_has_the_text_that_the_wrappers_replace(cloud):
    """What the other tests give them has no comments."""
    text = (cloud.release / "template.yaml").read_text()
    assert text.count("CodeUri: ") == len(list(cloud.release.glob("*.zip")))
    assert len(re.findall("^Parameters:$", text, re.MULTILINE)) == 1


def test_with_cloudformation_alone(cloud, release):
    [block] = [block for block in commands("release.md") if "aws cloudformation deploy" in block]
    block = block.replace("BUCKET", BUCKET).replace("--stack-name ratchet ", "--stack-name ratchet-plain ")
    cloud.shell(f"cd {release}\n{block}")
    assert answers(cloud, cloud.outputs("ratchet-plain")["ApiUrl"])


@pytest.mark.skipif(not shutil.which("terraform"), reason="there is no terraform")
def test_with_terraform(cloud, release):
    [block] = blocks("hcl")
    source = "github.com/OWNER/REPOSITORY//docs/examples/terraform?ref=VERSION"
    assert source in block
    block = block.replace(source, str(ROOT / "docs/examples/terraform"))
    block = block.replace("./ratchet-release", str(release)).replace("my-releases", BUCKET)
    folder = cloud.folder / "terraform"
    folder.mkdir()
    provider = f"""
        provider "aws" {{
          region                      = "{REGION}"
          s3_use_path_style           = true
          skip_credentials_validation = true
          skip_metadata_api_check     = true
          skip_requesting_account_id  = true
        }}
    """
    (folder / "main.tf").write_text(provider + block)

    def terraform(*arguments, **options):
        # None of the developer's own settings.
        return cloud.run(
            "terraform", f"-chdir={folder}", *arguments, "-no-color", TF_CLI_CONFIG_FILE=os.devnull, **options
        )

    try:
        terraform("init", "-input=false")
    except AssertionError as error:
        if "Failed to query available provider packages" in str(error):
            pytest.skip("Terraform's registry cannot be reached")
        raise
    terraform("validate")
    terraform("apply", "-auto-approve", "-input=false")
    url = json.loads(terraform("output", "-json"))["url"]["value"]
    assert url == url_of(cloud, "ratchet-terraform") and answers(cloud, url)
    # Nothing to do the second time.
    terraform("plan", "-detailed-exitcode", "-input=false")
    terraform("destroy", "-auto-approve", "-input=false")


@pytest.fixture(scope="module")
def node():
    """The program and the folder of the installed packages."""
    program = shutil.which("node", path=os.environ["RATCHET_NODE"])
    return program, ROOT / "target/ci/cdk"


def test_with_the_cdk(cloud, release, node):
    program, packages = node
    [block] = blocks("ts")
    block = block.replace("./ratchet-release", str(release))
    folder = packages / "app"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(ROOT / "docs/examples/cdk/ratchet.ts", folder)
    (folder / "app.ts").write_text(block)

    # What `cdk deploy` does: it runs the program, uploads the assets and makes the stack.
    subprocess.run([program, "app.ts"], cwd=folder, check=True, env=os.environ | {"CDK_OUTDIR": str(folder / "out")})
    assets = json.loads((folder / "out/Auth.assets.json").read_text())["files"].values()
    s3 = cloud.client("s3")
    for asset in assets:
        for destination in asset["destinations"].values():
            bucket = destination["bucketName"].replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", REGION)
            if bucket not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
                s3.create_bucket(Bucket=bucket)
            s3.upload_file(str(folder / "out" / asset["source"]["path"]), bucket, destination["objectKey"])
    # The nested stack is created without its parent; emulator.py says why.
    text = (folder / "out/Auth.template.json").read_text()
    text = text.replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", REGION)
    text = text.replace("${AWS::URLSuffix}", "amazonaws.com")
    parent = json.loads(text)
    assert parent["Outputs"]["ApiUrl"]["Value"]["Fn::GetAtt"][1] == "Outputs.ApiUrl"
    [nested] = [one["Properties"] for one in parent["Resources"].values() if one["Type"] == "AWS::CloudFormation::Stack"]
    parameters = {
        name: value["Fn::Sub"] if isinstance(value, dict) else value for name, value in nested["Parameters"].items()
    }
    assert parameters["ListUsers"] == "admin"
    cloud.cloudformation.create_stack(
        StackName="Auth", TemplateURL=nested["TemplateURL"]["Fn::Sub"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    reasons = cloud.events("Auth")
    [stack] = cloud.cloudformation.describe_stacks(StackName="Auth")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons
    assert answers(cloud, cloud.outputs("Auth")["ApiUrl"])
