"""Every example of openapi.json against the schema that it stands beside."""

import copy
import sys

from described import document, resolved, validator


def media(operation):
    """Name, schema and examples of every body and parameter."""
    bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for place, body in bodies.items():
        for content in resolved(body).get("content", {}).values():
            examples = [one["value"] for one in content.get("examples", {}).values()]
            yield place, content["schema"], examples + [content[k] for k in ("example",) if k in content]
    for parameter in map(resolved, operation.get("parameters", [])):
        yield parameter["name"], parameter["schema"], [parameter[k] for k in ("example",) if k in parameter]


wrong, checked, noticed = [], 0, 0
for path, methods in document["paths"].items():
    for method, operation in methods.items():
        for place, schema, examples in media(operation):
            where = f"{method.upper()} {path} {place}"
            if not examples and "object" in str(resolved(schema).get("type")):
                wrong.append(f"{where}: there is no example")
            valid = validator(schema)
            for example in examples:
                wrong += [f"{where}: {error.message}" for error in valid.iter_errors(example)]
                checked += 1
                # What is required of it is missed when it is not there.
                for name in resolved(schema).get("required", []):
                    broken = copy.deepcopy(example)
                    del broken[name]
                    noticed += not valid.is_valid(broken)

if not noticed:
    wrong.append("nothing is noticed: the schemas were not applied")
if wrong:
    sys.exit("\n".join(wrong))
print(f"examples: {checked} fit their schemas")
