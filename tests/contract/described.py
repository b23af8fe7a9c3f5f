"""openapi.json, read."""

import json

from jsonschema import Draft202012Validator

with open("openapi.json", encoding="utf-8") as file:
    document = json.load(file)


def resolved(value):
    """What a reference leads to."""
    while "$ref" in value:
        target = document
        for name in value["$ref"].removeprefix("#/").split("/"):
            target = target[name.replace("~1", "/")]
        value = target
    return value


def validator(schema):
    return Draft202012Validator({**schema, "components": document["components"]})
