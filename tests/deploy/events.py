"""Events for other systems: `EventBus` set, and empty again."""

import json
import time

import pytest

from updates import RS256

BUS = "accounts"


@pytest.fixture(scope="module")
def url(cloud):
    return cloud.outputs("ratchet-prod")["ApiUrl"]


@pytest.fixture(scope="module")
def queue(cloud):
    """The queue that a rule of the bus sends all of Ratchet's events to."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    url = sqs.create_queue(QueueName="consumer")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name=BUS)
    events.put_rule(Name="all", EventBusName=BUS, EventPattern=json.dumps({"source": ["ratchet"]}))
    failed = events.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
    assert not failed["FailedEntryCount"]
    return url


def received(cloud, queue, wanted):
    """The events in the queue, once there is one of each wanted name, by their ids."""
    events = {}
    for _ in range(300):
        answer = cloud.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            events[event["detail"]["id"]] = event
            cloud.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        if wanted <= {event["detail-type"] for event in events.values()}:
            return list(events.values())
        time.sleep(0.1)
    pytest.fail(f"{[event['detail-type'] for event in events.values()]} instead of {wanted}\n{cloud.log()}")


def test_a_bus_adds_the_publisher_and_changes_no_other_function(cloud, queue):
    before = cloud.versions("ratchet-prod")
    cloud.deploy("prod", **RS256, EventBus=BUS)
    after = cloud.versions("ratchet-prod")
    assert after.pop("PublisherFunction") == "1"
    assert after == before
    tokens = cloud.resources("ratchet-prod")["TokensTable"]
    table = cloud.client("dynamodb").describe_table(TableName=tokens)["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_a_rule_gets_what_happens_to_users_and_sessions(cloud, queue, url):
    cloud.add_user("ratchet-prod", "mallory")
    pair = cloud.sign_in(url, "mallory")
    user = cloud.claims(pair["access_token"])["sub"]
    events = received(cloud, queue, {"user_registered", "email_confirmed", "session_created"})
    of_user = [event for event in events if event["detail"]["user_id"] == user]
    assert {event["detail-type"] for event in of_user} == {"user_registered", "email_confirmed", "session_created"}
    status, _, _ = cloud.request(f"{url}/logout", {"refresh_token": pair["refresh_token"]})
    assert status == 204
    [ended] = received(cloud, queue, {"session_ended"})
    assert ended["source"] == "ratchet" and ended["detail"]["reason"] == "logged_out"
    assert ended["detail"]["session_id"] == cloud.claims(pair["access_token"])["sid"]
    assert "mallory" not in json.dumps(events + [ended])


def test_without_a_bus_all_of_it_is_gone(cloud):
    # As the SAM CLI takes an empty value.
    cloud.deploy("prod", **RS256, EventBus='""')
    made = cloud.resources("ratchet-prod")
    assert not [name for name in made if "Publisher" in name or "Events" in name]
    table = cloud.client("dynamodb").describe_table(TableName=made["TokensTable"])["Table"]
    assert not table.get("StreamSpecification", {}).get("StreamEnabled")
