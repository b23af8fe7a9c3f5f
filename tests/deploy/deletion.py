"""docs/restore.md: what a deleted stack leaves, and a new stack that uses it."""

from conftest import commands, output_function


def test_a_deleted_stack_leaves_tables_and_ring_and_a_new_one_adopts_them(cloud):
    """On the stack of documents.py."""
    [before] = [block for block in commands("restore.md") if 'describe-secret --secret-id "$(output' in block]
    [adopt] = [block for block in commands("restore.md") if "--stack-name ratchet-again" in block]
    url = cloud.outputs("ratchet")["ApiUrl"]
    pair = cloud.sign_in(url, "root")
    made = cloud.resources("ratchet")
    names = cloud.shell(output_function() + before + 'echo "$users $tokens $ring"').split()
    assert names[:2] == [made["UsersTable"], made["TokensTable"]]

    cloud.cloudformation.delete_stack(StackName="ratchet")
    cloud.cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=made_id(cloud, "ratchet"), WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    assert {made["UsersTable"], made["TokensTable"], made["KeyRingSecret"]} <= cloud.kept()
    for table in names[:2]:
        described = cloud.client("dynamodb").describe_table(TableName=table)["Table"]
        assert described["DeletionProtectionEnabled"], table
    functions = cloud.client("lambda").get_paginator("list_functions").paginate()
    left = [one["FunctionName"] for page in functions for one in page["Functions"]]
    assert not set(left) & set(made.values())

    users, tokens, ring = names
    cloud.shell(adopt, users=users, tokens=tokens, ring=ring)
    outputs = cloud.outputs("ratchet-again")
    assert (outputs["UsersTableName"], outputs["TokensTableName"]) == (users, tokens)
    assert outputs["KeyRingSecretArn"] == ring
    assert outputs["ApiUrl"] != url
    assert cloud.sign_in(outputs["ApiUrl"], "root")
    # A session of before goes on: the keys of its token and its item are the same.
    body = {"refresh_token": pair["refresh_token"]}
    status, _, renewed = cloud.request(f"{outputs['ApiUrl']}/refresh", body)
    assert status == 200, renewed
    assert cloud.claims(renewed["access_token"])["iss"] == outputs["ApiUrl"]


def made_id(cloud, name):
    """The id of a stack, by which it can be asked for when it is deleted."""
    pages = cloud.cloudformation.get_paginator("list_stacks").paginate()
    stacks = [one for page in pages for one in page["StackSummaries"] if one["StackName"] == name]
    return stacks[0]["StackId"]
