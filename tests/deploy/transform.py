"""What the emulator lacks, taken out of a template, and nothing else."""

import copy
import json

import pytest
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as KNOWN

# Types that the emulator does not know.
LACKING = {"AWS::SecretsManager::RotationSchedule", "AWS::Budgets::Budget"}
# What SAM makes of DeploymentPreference.
LACKING_OF_SAM = {"AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"}
# SAM's own, and what the emulator handles by their prefix.
EXPANDED = {"AWS::Serverless::Function", "Custom::TableProtection"}


def for_emulator(template):
    """A copy of a template without what the emulator lacks, and the names of the removed resources.

    Raises ValueError if the emulator lacks more than that, or lacks less by now, or if something that
    stays refers to something removed.
    """
    learned = (LACKING | LACKING_OF_SAM) & set(KNOWN)
    if learned:
        raise ValueError(f"the emulator knows {sorted(learned)} by now: do not remove them")
    kept = copy.deepcopy(template)
    resources = kept["Resources"]
    removed = set()
    for name, resource in list(resources.items()):
        kind = resource["Type"]
        if kind in LACKING or kind == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
            del resources[name]
            removed.add(name)
        elif kind not in KNOWN and kind not in EXPANDED:
            raise ValueError(f"the emulator does not know {kind} ({name})")
    functions = [one for one in resources.values() if one["Type"] == "AWS::Serverless::Function"]
    if functions:
        for place in [kept["Globals"]["Function"], *(function["Properties"] for function in functions)]:
            place.pop("DeploymentPreference", None)
    # It has no Fn::Split in conditions. Here, a bus has a name.
    conditions = kept.get("Conditions", {})
    if "EventBusHasName" in conditions:
        conditions["EventBusHasName"] = conditions["HasEventBus"]
    text = json.dumps(kept)
    for name in removed:
        if f'"{name}"' in text or f"${{{name}}}" in text:
            raise ValueError(f"{name} was removed, but something refers to it")
    return kept, removed


def test_it_removes_only_what_the_emulator_lacks(template):
    _, removed = for_emulator(template)
    kinds = {template["Resources"][name]["Type"] for name in removed}
    assert kinds == {"AWS::SecretsManager::RotationSchedule", "AWS::CloudWatch::Alarm"}
    for name in removed:
        properties = template["Resources"][name]["Properties"]
        assert "Metrics" in properties or "RotationRules" in properties, name


def test_it_fails_for_anything_else(template):
    template["Resources"]["Unknown"] = {"Type": "AWS::Unknown::Thing", "Properties": {}}
    with pytest.raises(ValueError, match="AWS::Unknown::Thing"):
        for_emulator(template)


def test_it_fails_if_something_refers_to_what_it_removes(template):
    template["Outputs"]["Alarm"] = {"Value": {"Ref": "ServerErrorsAlarm"}}
    with pytest.raises(ValueError, match="ServerErrorsAlarm"):
        for_emulator(template)


def test_the_emulator_still_refuses_metric_math(cloud, template):
    alarm = template["Resources"]["BackgroundThrottlesAlarm"]["Properties"]
    for metric in alarm["Metrics"]:
        if "MetricStat" in metric:
            del metric["MetricStat"]["Metric"]["Dimensions"]
    del alarm["AlarmActions"], alarm["OKActions"]
    alone = {"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}}}
    cloud.cloudformation.create_stack(StackName="math", TemplateBody=json.dumps(alone))
    events = cloud.events("math")
    assert "metric math" in events, f"it takes them by now: do not remove them\n{events}"
    cloud.cloudformation.delete_stack(StackName="math")
