"""The emulated AWS for all tests, and what they do with it."""

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import textwrap
import time
import tomllib
import urllib.error
import urllib.request
import zipfile

import boto3
import pytest
from samtranslator.yaml_helper import yaml_parse

from emulator import REGION, ROOT, Emulator
from front import Front
from transform import for_emulator

PASSWORD = "a sentence nobody guesses"
BUILD = (ROOT / os.environ["RATCHET_SAM_BUILD"]).resolve()


class Cloud:
    """The emulated AWS, and a folder like the checkout after `sam build`."""

    def __init__(self, folder):
        self.folder = folder
        self.front = Front(folder)
        self.emulator = Emulator(folder, self.front.port, self.front.authority)
        self.environment = self.emulator.environment
        self.front.emulator_port = self.emulator.port
        # `sam` by its name, without the other programs of its environment.
        tools = folder / "tools"
        tools.mkdir()
        (tools / "sam").symlink_to(os.environ["RATCHET_SAM_CLI"])
        self.environment["PATH"] = f"{tools}:{self.environment['PATH']}"
        self.checkout = folder / "checkout"
        built = self.checkout / ".aws-sam" / "build"
        built.mkdir(parents=True)
        template, self.removed = for_emulator(absolute(built_template()))
        (built / "template.yaml").write_text(json.dumps(template))
        shutil.copy(ROOT / "samconfig.toml", self.checkout)
        self.release = release(folder / "release")
        for name in ("docs", "events"):
            (self.checkout / name).symlink_to(ROOT / name)

    password = PASSWORD

    def client(self, service, region=REGION):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.emulator.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    @property
    def cloudformation(self):
        return self.client("cloudformation")

    # ── stacks ───────────────────────────────────────────────────────────────────────────────

    def run(self, *command, fails=False, given="", **environment):
        """Runs a program in the checkout and returns what it printed."""
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env=self.environment | environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
        )
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}\n{self.log()}"
        return done.stdout

    def shell(self, script, **options):
        """Runs a script of the documents in the checkout and returns what it printed."""
        return self.run("bash", "-euo", "pipefail", "-c", script, **options)

    def packaged(self):
        """The template of a release, with its zips uploaded."""
        packaged = self.checkout / "packaged.json"
        if not packaged.exists():
            template, _ = for_emulator(yaml_parse((self.release / "template.yaml").read_text()))
            (self.release / "emulated.json").write_text(json.dumps(template))
            self.run(
                "sam", "package", "--resolve-s3", "--use-json",
                "--template-file", str(self.release / "emulated.json"), "--output-template-file", packaged.name,
            )
        return packaged

    def deploy(self, stage, fails=False, change=None, **parameters):
        """`sam deploy --config-env STAGE`, with the stage's parameters and others.

        `change` is a function that changes the template beforehand. The functions are packaged once.
        """
        template = json.loads(self.packaged().read_text())
        if change:
            change(template)
        # Beside samconfig.toml, where the SAM CLI looks for it.
        (self.checkout / "deployed.json").write_text(json.dumps(template))
        command = ["sam", "deploy", "--config-env", stage, "--template-file", "deployed.json"]
        if parameters:
            command += ["--parameter-overrides", self.parameters(stage, parameters)]
        # `prod` asks whether to deploy the change set.
        return self.run(*command, fails=fails, given="y\n")

    @staticmethod
    def parameters(stage, others):
        with open(ROOT / "samconfig.toml", "rb") as file:
            settings = tomllib.load(file)[stage]["deploy"]["parameters"]
        pairs = [pair.split("=", 1) for pair in settings["parameter_overrides"].split()]
        return " ".join(f"{name}={value}" for name, value in (dict(pairs) | others).items())

    def log(self):
        lines = self.emulator.log.read_text().splitlines()
        return "\n".join(line for line in lines if " ERROR " in line or " WARNING " in line)[-3000:]

    def events(self, stack):
        """The reasons in a stack's events, once it has come to rest."""
        for _ in range(600):
            [found] = self.cloudformation.describe_stacks(StackName=stack)["Stacks"]
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                break
            time.sleep(0.1)
        events = self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        return "\n".join(event.get("ResourceStatusReason", "") for event in events)

    def outputs(self, stack, region=REGION):
        [found] = self.client("cloudformation", region).describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}

    def resources(self, stack, kind=None, region=REGION):
        """Physical ids by logical id."""
        pages = self.client("cloudformation", region).get_paginator("list_stack_resources").paginate(StackName=stack)
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
            if kind in (None, one["ResourceType"])
        }

    def versions(self, stack):
        """The version that the alias of each function points to, by logical id."""
        return {
            name: self.client("lambda").get_alias(FunctionName=function, Name="live")["FunctionVersion"]
            for name, function in self.resources(stack, "AWS::Lambda::Function").items()
            if name != "TableProtectionFunction"
        }

    def kept(self):
        """Tables and secrets of the account."""
        tables = self.client("dynamodb").list_tables()["TableNames"]
        secrets = self.client("secretsmanager").list_secrets()["SecretList"]
        return set(tables) | {secret["Name"] for secret in secrets}

    # ── requests ─────────────────────────────────────────────────────────────────────────────

    def request(self, url, body=None, token=None, headers=(), method=None):
        """The status, headers and JSON of a response."""
        headers = dict(headers)
        if token:
            headers["authorization"] = f"Bearer {token}"
        if body is not None:
            headers["content-type"] = "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with self.opener().open(request, timeout=60) as answer:
                return answer.status, answer.headers, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.loads(error.read() or b"null")

    @staticmethod
    def plain(url):
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60)

    def opener(self):
        context = ssl.create_default_context(cafile=self.front.authority)
        proxy = urllib.request.ProxyHandler({"https": f"http://127.0.0.1:{self.front.port}"})
        return urllib.request.build_opener(proxy, urllib.request.HTTPSHandler(context=context))

    def ratchet(self, stack, *arguments, given=""):
        """The operators' command line for a stack."""
        outputs = self.outputs(stack)
        return self.run(
            "ratchet",
            *arguments,
            given=given,
            RATCHET_USERS_TABLE=outputs["UsersTableName"],
            RATCHET_TOKENS_TABLE=outputs["TokensTableName"],
            RATCHET_KEY_RING_SECRET=outputs["KeyRingSecretArn"],
        )

    def add_user(self, stack, name, *options):
        arguments = ["users", "add", name, f"{name}@example.com", "--confirmed", "--password-stdin", *options]
        self.ratchet(stack, *arguments, given=f"{PASSWORD}\n")

    def sign_in(self, url, name):
        status, _, pair = self.request(f"{url}/authenticate", {"name": name, "password": PASSWORD})
        assert status == 200, pair
        return pair

    @staticmethod
    def claims(access_token):
        payload = access_token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    def messages(self, address):
        """The texts of the messages that SES took for an address, oldest first."""
        with self.plain(f"{self.emulator.url}/_ministack/ses/messages") as answer:
            taken = json.load(answer)["messages"]
        return [one["BodyText"] for all in taken.values() for one in all if address in one["To"]]

    def message(self, address, number=1):
        """The text of the numberth message to an address."""
        for _ in range(300):
            if len(found := self.messages(address)) >= number:
                return found[number - 1]
            time.sleep(0.1)
        pytest.fail(f"no message to {address}\n{self.log()}")


def last_resource_fails(template):
    """Adds a resource that cannot be created, after all those that matter."""
    template["Resources"]["Fails"] = {
        "Type": "AWS::Route53::RecordSet",
        "DependsOn": [
            name
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or name == "TableProtection"
        ],
        "Properties": {
            "HostedZoneId": "Z00000000000000MISSING",
            "Name": "auth.example.com",
            "Type": "TXT",
            "TTL": "60",
            "ResourceRecords": ['"nothing"'],
        },
    }


def release(folder):
    """A folder as docs/release.md unpacks it: zips of what was built, and their template."""
    folder.mkdir()
    for function in built_template()["Resources"].values():
        if function["Type"] == "AWS::Serverless::Function":
            built = BUILD / function["Properties"]["CodeUri"]
            name = re.sub(r"(?<!^)([A-Z])", r"_\1", built.name.removesuffix("Function")).lower()
            with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.write(built / "bootstrap", "bootstrap")
    # The emulator's functions are processes of this machine, whatever the template says.
    subprocess.run([ROOT / ".ci/release-template", "arm64", folder], check=True)
    return folder


def built_template():
    return yaml_parse((BUILD / "template.yaml").read_text())


def absolute(template):
    """The same with the functions' folders as absolute paths."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = str(BUILD / resource["Properties"]["CodeUri"])
    return template


@pytest.fixture
def template():
    """The template as it was built."""
    return built_template()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    cloud.emulator.wait()
    yield cloud
    cloud.emulator.stop()


def commands(document):
    """The fenced `sh` blocks of a document."""
    text = (ROOT / "docs" / document).read_text()
    found = re.findall(r"^( *)```sh\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def output_function():
    """The shell function `output` of docs/deploy.md."""
    [block] = [block for block in commands("deploy.md") if "output()" in block]
    return re.search(r"^output\(\).*?; }$", block, re.DOTALL | re.MULTILINE)[0] + "\n"
