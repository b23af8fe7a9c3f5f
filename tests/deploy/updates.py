"""Updates of a stack: another parameter, a rotation of the keys, one that fails."""

import base64
import json
import time
import uuid

import pytest

from conftest import last_resource_fails
from creation import PARAMETERS

# RS256 is what API Gateway's own authorizer takes (examples.py). The keys are cached for a second, so a
# new one signs soon.
RS256 = PARAMETERS | {"SigningAlgorithm": "RS256", "JwksMaxAgeSeconds": "1", "KeyRingReloadSeconds": "1"}


@pytest.fixture(scope="module")
def url(cloud):
    return cloud.outputs("ratchet-prod")["ApiUrl"]


def algorithm(access_token):
    head = access_token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"]


def test_a_changed_parameter_makes_a_new_version_and_moves_the_alias(cloud, url):
    pair = cloud.sign_in(url, "ada")
    before = cloud.versions("ratchet-prod")
    cloud.deploy("prod", **RS256)
    after = cloud.versions("ratchet-prod")
    assert len(after) == 10
    assert all(int(after[name]) == int(before[name]) + 1 for name in after), (before, after)
    _, _, health = cloud.request(f"{url}/health")
    assert health["function_version"] == after["RefreshFunction"]
    status, _, _ = cloud.request(f"{url}/refresh", {"refresh_token": pair["refresh_token"]})
    assert status == 200


def test_versions_that_are_not_used_any_more_are_deleted(cloud):
    functions = cloud.resources("ratchet-prod", "AWS::Lambda::Function")
    live = cloud.versions("ratchet-prod")
    for name, version in live.items():
        found = cloud.client("lambda").list_versions_by_function(FunctionName=functions[name])["Versions"]
        assert [one["Version"] for one in found] == ["$LATEST", version]


def test_a_rotation_refuses_nobody(cloud, url):
    """As far as the emulator goes: it knows no schedule, and its RotateSecret invokes nothing. So the four
    steps are invoked here, as Secrets Manager does it, at the alias that the schedule has."""
    pair = cloud.sign_in(url, "ada")
    secrets, secret = cloud.client("secretsmanager"), cloud.outputs("ratchet-prod")["KeyRingSecretArn"]
    function = cloud.resources("ratchet-prod")["RotateKeysFunction"]
    before = secrets.get_secret_value(SecretId=secret)
    # The ARN, on AWS; the function knows the secret by the template's Ref.
    event = {"SecretId": secret, "ClientRequestToken": str(uuid.uuid4())}
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        payload = json.dumps(event | {"Step": step})
        done = cloud.client("lambda").invoke(FunctionName=function, Qualifier="live", Payload=payload)
        assert "FunctionError" not in done, done["Payload"].read()
    after = secrets.get_secret_value(SecretId=secret)
    assert after["VersionId"] == event["ClientRequestToken"], cloud.log()
    # The new key signs once everybody had the time to see it, here a few seconds.
    for _ in range(100):
        renewed = cloud.sign_in(url, "ada")
        if algorithm(renewed["access_token"]) == "RS256":
            break
        time.sleep(0.3)
    assert algorithm(renewed["access_token"]) == "RS256"
    for token in (pair["access_token"], renewed["access_token"]):
        assert cloud.request(f"{url}/users", token=token)[0] == 200
    status, _, _ = cloud.request(f"{url}/refresh", {"refresh_token": pair["refresh_token"]})
    assert status == 200
    _, _, published = cloud.request(f"{url}/.well-known/jwks.json")
    assert "RS256" in [key["alg"] for key in published["keys"]]


def test_an_update_that_fails_is_rolled_back(cloud, url):
    before = cloud.versions("ratchet-prod")
    cloud.deploy("prod", fails=True, change=last_resource_fails, **RS256, LogLevel="warn")
    [stack] = cloud.cloudformation.describe_stacks(StackName="ratchet-prod")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", cloud.events("ratchet-prod")
    assert cloud.versions("ratchet-prod") == before
    function = cloud.resources("ratchet-prod")["RefreshFunction"]
    settings = cloud.client("lambda").get_function_configuration(FunctionName=function, Qualifier="live")
    assert settings["Environment"]["Variables"]["RATCHET_LOG_LEVEL"] == "info"
    assert cloud.sign_in(url, "ada")


def test_the_same_build_can_be_deployed_after_a_rollback(cloud, url):
    before = cloud.versions("ratchet-prod")
    cloud.deploy("prod", **RS256, LogLevel="warn")
    after = cloud.versions("ratchet-prod")
    assert all(int(after[name]) > int(before[name]) for name in after), (before, after)
    assert cloud.sign_in(url, "ada")


def test_an_issuer_that_is_set_to_what_it_is_makes_no_version(cloud, url):
    """Lambda would refuse one that differs in nothing."""
    before = cloud.versions("ratchet-prod")
    cloud.deploy("prod", **RS256, LogLevel="warn", Issuer=url)
    assert cloud.versions("ratchet-prod") == before
