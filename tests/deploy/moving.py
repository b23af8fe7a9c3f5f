"""docs/restore.md: users and keys move to another account.

The emulator's gateway serves the first account only, so the test invokes functions of the other one directly.
"""

import base64
import datetime
import json

import boto3
import pytest

from conftest import commands
from emulator import REGION, ROOT

# The emulator takes an access key of twelve digits as the id of its account.
OTHER = "111111111111"


@pytest.fixture(scope="module")
def other(cloud):
    """Clients of the other account."""

    def client(service):
        return boto3.client(
            service, region_name=REGION, endpoint_url=cloud.emulator.url,
            aws_access_key_id=OTHER, aws_secret_access_key="test",
        )

    return client


def copy_table(source, target, name, copy):
    """Copies a table, as AWS Backup does."""
    table = source.describe_table(TableName=name)["Table"]
    indexes = [
        {key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
        for index in table["GlobalSecondaryIndexes"]
    ]
    target.create_table(
        TableName=copy, KeySchema=table["KeySchema"], AttributeDefinitions=table["AttributeDefinitions"],
        GlobalSecondaryIndexes=indexes, BillingMode="PAY_PER_REQUEST",
    )
    for page in source.get_paginator("scan").paginate(TableName=name):
        for item in page["Items"]:
            target.put_item(TableName=copy, Item=item)


def test_users_and_keys_move_and_sessions_end(cloud, other):
    outputs = cloud.outputs("ratchet-prod")
    pair = cloud.sign_in(outputs["ApiUrl"], "ada")
    for kind in ("Users", "Tokens"):
        copy_table(cloud.client("dynamodb"), other("dynamodb"), outputs[f"{kind}TableName"], f"moved-{kind}")
    profiles = cloud.folder / "profiles"
    profiles.write_text(
        "[default]\naws_access_key_id = test\naws_secret_access_key = test\n"
        f"[other]\naws_access_key_id = {OTHER}\naws_secret_access_key = test\n"
    )
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    script = "".join(block for block in commands("restore.md") if "--profile other" in block)
    cloud.shell(
        "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY\n" + script,
        AWS_SHARED_CREDENTIALS_FILE=str(profiles),
        ring=outputs["KeyRingSecretArn"],
        users="moved-Users",
        tokens="moved-Tokens",
        POINT_IN_TIME=at,
        RATCHET_USERS_TABLE=outputs["UsersTableName"],
        RATCHET_TOKENS_TABLE=outputs["TokensTableName"],
    )

    [stack] = other("cloudformation").describe_stacks(StackName="ratchet")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"

    def ask(function, event, **body):
        request = json.loads((ROOT / "events" / event).read_text())
        if body:
            request |= {"body": json.dumps(body), "isBase64Encoded": False}
        found = other("cloudformation").describe_stack_resource(StackName="ratchet", LogicalResourceId=function)
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        done = other("lambda").invoke(FunctionName=name, Qualifier="live", Payload=json.dumps(request))
        answer = json.loads(done["Payload"].read())
        text = answer["body"]
        return answer["statusCode"], json.loads(base64.b64decode(text) if answer.get("isBase64Encoded") else text)

    _, _, keys = cloud.request(f"{outputs['ApiUrl']}/.well-known/jwks.json")
    assert ask("KeysFunction", "keys/jwks.json") == (200, keys)
    status, _ = ask("AuthenticateFunction", "authenticate/right-password.json", name="ada", password=cloud.password)
    assert status == 200
    status, problem = ask("RefreshFunction", "refresh/forged-token.json", refresh_token=pair["refresh_token"])
    assert (status, problem["code"]) == (401, "unknown")
