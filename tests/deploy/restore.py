"""docs/restore.md: the tables as they were, without what ended since, and the stack pointed to them.

The emulator restores a table as it is, whatever time is asked for. So the command runs twice with the same
point in time: the first run makes the new tables, then things happen, and the second run goes on, as after
an interruption.
"""

import datetime

import pytest

from conftest import commands, output_function
from updates import RS256


@pytest.fixture(scope="module")
def url(cloud):
    return cloud.outputs("ratchet-prod")["ApiUrl"]


def restored(cloud, at):
    """Runs the commands of the document and returns the parameters that they print."""
    [block] = [block for block in commands("restore.md") if "ratchet restore" in block]
    output = output_function().replace("--stack-name ratchet ", "--stack-name ratchet-prod ")
    printed = cloud.shell(output + block, POINT_IN_TIME=at)
    *_, parameters = printed.strip().splitlines()
    return dict(pair.split("=", 1) for pair in parameters.split())


@pytest.fixture(scope="module")
def before(cloud, url):
    """Users and sessions at the point in time, and what `ratchet restore` made of them."""
    for name in ("bea", "cy", "dee"):
        cloud.add_user("ratchet-prod", name)
    pairs = {name: cloud.sign_in(url, name) for name in ("ada", "bea", "dee")}
    pairs["ended"] = cloud.sign_in(url, "ada")
    pairs["at"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    pairs["parameters"] = restored(cloud, pairs["at"])
    return pairs


def test_new_tables_have_what_a_restored_table_lacks(cloud, before):
    dynamodb, parameters = cloud.client("dynamodb"), before["parameters"]
    for name in (parameters["ExistingUsersTable"], parameters["ExistingTokensTable"]):
        table = dynamodb.describe_table(TableName=name)["Table"]
        assert table["DeletionProtectionEnabled"], name
        assert len(table["GlobalSecondaryIndexes"]) == 1
        expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        assert {"Key": "application", "Value": "ratchet"} in tags
    for kind in ("Users", "Tokens"):
        table = dynamodb.describe_table(TableName=parameters[f"Existing{kind}Table"])["Table"]
        assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        assert table["LatestStreamLabel"] == parameters[f"Existing{kind}StreamLabel"]


def test_what_ended_since_stays_ended(cloud, url, before):
    cloud.ratchet("ratchet-prod", "users", "delete", "bea", "--yes")
    cloud.ratchet("ratchet-prod", "users", "disable", "cy")
    status, _, _ = cloud.request(f"{url}/logout", {"refresh_token": before["ended"]["refresh_token"]})
    assert status == 204
    status, _, renewed = cloud.request(f"{url}/refresh", {"refresh_token": before["dee"]["refresh_token"]})
    assert status == 200

    parameters = restored(cloud, before["at"])
    assert parameters == before["parameters"]
    cloud.deploy("prod", **RS256, LogLevel="warn", Issuer=url, **parameters)
    outputs = cloud.outputs("ratchet-prod")
    assert outputs["UsersTableName"] == parameters["ExistingUsersTable"]
    assert outputs["TokensTableName"] == parameters["ExistingTokensTable"]

    def signs_in(name):
        body = {"name": name, "password": cloud.password}
        return cloud.request(f"{url}/authenticate", body)[0] == 200

    def refreshes(pair):
        return cloud.request(f"{url}/refresh", {"refresh_token": pair["refresh_token"]})[0] == 200

    assert [signs_in(name) for name in ("ada", "bea", "cy", "dee")] == [True, False, False, True]
    # Those that are alive go on: as they were, or as they are since a refresh.
    assert refreshes(before["ada"]) and refreshes(renewed)
    assert not refreshes(before["ended"]) and not refreshes(before["bea"])


def test_letters_go_out_from_the_new_table(cloud, url, before):
    sent = len(cloud.messages("ada@example.com"))
    status, _, _ = cloud.request(f"{url}/users/password-reset", {"email": "ada@example.com"})
    assert status == 202
    assert cloud.message("ada@example.com", sent + 1)


def test_the_old_tables_are_kept(cloud, before):
    assert len(cloud.kept() & set(before["parameters"].values())) == 2
    assert len([name for name in cloud.kept() if name.startswith("ratchet-prod-UsersTable")]) == 2
