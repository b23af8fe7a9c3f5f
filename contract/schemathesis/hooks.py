"""What Schemathesis can not know: whom to sign in as."""

import json
import os
import random
import urllib.request

import schemathesis

NAME, PASSWORD = "ada", "correct horse battery staple"


@schemathesis.auth(refresh_interval=2)
class AccessToken:
    """A session of its own every two seconds: the tests end sessions."""

    def get(self, case, context):
        request = urllib.request.Request(
            f"{os.environ['RATCHET_URL']}/authenticate",
            data=json.dumps({"name": NAME, "password": PASSWORD}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["access_token"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every other well-formed sign-in is a right one: only those have links to follow."""
    if case.operation.label != "POST /authenticate" or not isinstance(case.body, dict):
        return
    if case.meta and case.meta.generation.mode.is_positive and random.random() < 0.5:
        case.body = {"name": NAME, "password": PASSWORD}
