"""What Schemathesis cannot know: whom to sign in as, and with which client."""

import base64
import json
import os
import urllib.request

import schemathesis

CREDENTIALS = {"name": "ada", "password": "correct horse battery staple"}


INTROSPECTION = "/oauth2/introspect"


@schemathesis.auth().apply_to(path=INTROSPECTION)
class Client:
    """A resource server."""

    def get(self, case, context):
        client = f"{os.environ['RATCHET_CLIENT_ID']}:{os.environ['RATCHET_CLIENT_SECRET']}"
        return base64.b64encode(client.encode()).decode()

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Basic {data}"


@schemathesis.auth(refresh_interval=2).skip_for(path=INTROSPECTION)
class AccessToken:
    """A session of its own every two seconds: the tests end sessions."""

    def get(self, case, context):
        request = urllib.request.Request(
            f"{os.environ['RATCHET_URL']}/authenticate",
            data=json.dumps(CREDENTIALS).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["access_token"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def filter_case(context, case):
    """The emulator answers for the functions where a body is not UTF-8. (API Gateway does not: it
    sends such a body in base64.)"""
    if isinstance(case.body, bytes):
        try:
            case.body.decode()
        except UnicodeDecodeError:
            return False
    return True


@schemathesis.hook
def before_call(context, case, kwargs):
    """A well-formed sign-in without a device is made a right one: only those have links. No other
    route gets the right password, or its example would delete the user of these tests."""
    if not isinstance(case.body, dict):
        return
    if case.operation.label != "POST /authenticate":
        right = CREDENTIALS["password"]
        case.body = {k: "not the password" if v == right else v for k, v in case.body.items()}
    elif case.meta.generation.mode.is_positive and not case.body.get("device"):
        case.body = dict(CREDENTIALS)
