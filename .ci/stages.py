"""Checks that the stages of samconfig.toml fit template.yaml, as the SAM transform sees it."""

import re
import shlex
import sys
import tomllib

from samtranslator.yaml_helper import yaml_parse

with open("template.yaml", encoding="utf-8") as file:
    template = yaml_parse(file.read())
with open("samconfig.toml", "rb") as file:
    config = tomllib.load(file)

wrong = []
stages = [name for name, tables in config.items() if name != "version" and "deploy" in tables]
for stage in stages:
    settings = config[stage]["deploy"]["parameters"]
    for pair in shlex.split(settings.get("parameter_overrides", "")):
        name, _, value = pair.partition("=")
        parameter = template["Parameters"].get(name)
        if parameter is None:
            wrong.append(f"{stage}: there is no parameter {name}")
            continue
        allowed = [str(one) for one in parameter.get("AllowedValues", [value])]
        fits = re.fullmatch(parameter.get("AllowedPattern", ".*"), value)
        if value not in allowed or not fits:
            wrong.append(f"{stage}: {name} cannot be {value}")
names = [config[stage]["deploy"]["parameters"].get("stack_name") for stage in stages]
for stage in {"dev", "prod"} - set(stages):
    wrong.append(f"there is no stage {stage}")
if len({name for name in names if name}) != len([name for name in names if name]):
    wrong.append("two stages share a stack")
prod = config.get("prod", {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", "")
reserved = [f"{function}ReservedConcurrency=[1-9]" for function in ("Authenticate", "Accounts")]
for needed in ("DeletionProtection=true", "Rollout=Canary", *reserved):
    if not re.search(needed, prod):
        wrong.append(f"prod needs {needed}…")
# What must remain when the stack or a resource is deleted or replaced.
for name, resource in template["Resources"].items():
    if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::SecretsManager::Secret"):
        for policy, kept in (
            # A failed creation leaves nothing behind that the next one would collide with.
            ("DeletionPolicy", "RetainExceptOnCreate"),
            ("UpdateReplacePolicy", "Retain"),
        ):
            if resource.get(policy) != kept:
                wrong.append(f"{name} has no {policy}: {kept}")
if wrong:
    sys.exit("\n".join(wrong))
print("stages:", ", ".join(stages))
