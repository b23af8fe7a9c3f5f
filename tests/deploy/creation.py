"""A first deployment that fails, and one that does not."""

from conftest import last_resource_fails

# Everybody may list users, as in the five steps; the stage's default is administrators.
PARAMETERS = {
    "ListUsers": "authenticated",
    "PasskeyRpId": "localhost",
    "PasskeyOrigins": "http://localhost:9001",
    "MailFrom": "accounts@example.com",
    "LinkUrl": "https://app.example.com/confirm",
    "CorsOrigins": "https://app.example.com",
}


def test_a_first_creation_that_fails_leaves_nothing(cloud):
    printed = cloud.deploy("prod", fails=True, change=last_resource_fails)
    assert "ROLLBACK_COMPLETE" in printed, printed
    [stack] = cloud.cloudformation.describe_stacks(StackName="ratchet-prod")["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE", cloud.events("ratchet-prod")
    pages = cloud.cloudformation.get_paginator("describe_stack_events").paginate(StackName="ratchet-prod")
    events = [event for page in pages for event in page["StackEvents"]]
    created = {event["LogicalResourceId"] for event in events if event["ResourceStatus"] == "CREATE_COMPLETE"}
    assert {"UsersTable", "TokensTable", "TableProtection", "KeyRingSecret"} <= created
    assert cloud.kept() == set()


def test_the_next_creation_works(cloud):
    # A stack that was rolled back has to be deleted first, says CloudFormation. `sam deploy` does.
    cloud.client("sesv2").create_email_identity(EmailIdentity="example.com")
    cloud.deploy("prod", **PARAMETERS)
    outputs = cloud.outputs("ratchet-prod")
    api = cloud.resources("ratchet-prod")["HttpApi"]
    assert outputs["ApiUrl"] == f"https://{api}.execute-api.us-east-1.amazonaws.com"
    status, _, health = cloud.request(f"{outputs['ApiUrl']}/health")
    assert (status, health["function_version"]) == (200, "1")


def test_outputs_name_what_was_made(cloud):
    outputs, made = cloud.outputs("ratchet-prod"), cloud.resources("ratchet-prod")
    assert outputs["UsersTableName"] == made["UsersTable"]
    assert outputs["TokensTableName"] == made["TokensTable"]
    assert outputs["MailConfigurationSetName"] == made["MailConfigurationSet"]
    assert outputs["AuthorizerArn"].endswith(f":function:{made['AuthorizerFunction']}:live")
    secret = cloud.client("secretsmanager").describe_secret(SecretId=outputs["KeyRingSecretArn"])
    # The emulator's Ref is the name, and AWS's the ARN: emulator.py.
    assert secret["Name"] == made["KeyRingSecret"]
    assert set(outputs) == {
        "ApiUrl", "UsersTableName", "TokensTableName", "AuthorizerArn", "KeyRingSecretArn",
        "MailConfigurationSetName",
    }


def test_tables_are_as_the_template_says(cloud, template):
    """But for expiry and recovery to a point in time, which the emulator leaves out: emulator.py."""
    dynamodb, made = cloud.client("dynamodb"), cloud.resources("ratchet-prod")
    for logical in ("UsersTable", "TokensTable"):
        expected = template["Resources"][logical]["Properties"]
        table = dynamodb.describe_table(TableName=made[logical])["Table"]
        assert table["KeySchema"] == expected["KeySchema"]
        indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
        assert indexes == {index["IndexName"] for index in expected["GlobalSecondaryIndexes"]}
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        assert table["DeletionProtectionEnabled"], logical
    users = dynamodb.describe_table(TableName=made["UsersTable"])["Table"]
    assert users["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
