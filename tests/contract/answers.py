"""Every success that openapi.json describes, had from the running stack and held against its schema.

Generated requests do not get there everywhere: some successes take a message, or an administrator."""

import base64
import hmac
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from described import document, validator

API, PAGE = os.environ["RATCHET_URL"], os.environ["RATCHET_PAGE"]
PASSWORD, OTHER = "a sentence nobody guesses", "another such sentence"
# The local stack has no list of ended sessions, and nobody needs a second factor to sign in.
# tests/e2e does that, and signs in by a message: revocations.rs, second_factor.rs, email_sign_in.rs.
NOT_HERE = {"revocations", "enrollAtSignIn", "askSignInMail", "authenticateWithMail"}
seen, wrong = set(), []


def call(operation_id, body=None, token=None, form=False, query="", headers=None, client=None, **in_path):
    """Calls an operation, and holds its answer against what is described."""
    path, method, operation = OPERATIONS[operation_id]
    headers = {"authorization": f"Bearer {token}"} if token else dict(headers or {})
    if client:
        headers["authorization"] = "Basic " + base64.b64encode(":".join(client).encode()).decode()
    if body is not None:
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        headers["content-type"] = kind
        body = (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
    url = API + path.format(**in_path) + query
    for _ in range(5):
        request = urllib.request.Request(url, body, headers, method=method.upper())
        try:
            answer = urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            answer = error
        # Hashing on a busy machine: the same request again, as the contract says.
        if answer.status != 503:
            break
        time.sleep(1)
    text, status = answer.read(), str(answer.status)
    described = operation["responses"].get(status)
    if described is None or status[0] not in "23":
        sys.exit(f"{operation_id}: {status} {text.decode()}")
    seen.add((operation_id, status))
    content = described.get("content", {})
    kind = answer.headers.get_content_type()
    if bool(text) != bool(content) or (text and kind not in content):
        sys.exit(f"{operation_id}: {status} is {kind}, {len(text)} bytes")
    value = json.loads(text) if text else None
    if text:
        errors = validator(content[kind]["schema"]).iter_errors(value)
        wrong.extend(f"{operation_id} {status}: {error.message}" for error in errors)
    return answer.headers if status == "304" else value


def mail(address, number):
    """The token of the numberth message to an address."""
    for _ in range(300):
        with urllib.request.urlopen(f"{PAGE}/mail.json") as answer:
            messages = json.load(answer)["messages"]
        mine = [message["text"] for message in messages if message["to"] == address]
        if len(mine) >= number:
            return re.search(r"rm1_[\w-]+", mine[number - 1])[0]
        time.sleep(0.1)
    sys.exit(f"no message to {address}")


def code(secret, step=0):
    """The code of an authenticator app (RFC 6238), for now or a step beside it."""
    counter = int(time.time()) // 30 + step
    digest = hmac.digest(base64.b32decode(secret), counter.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start:start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def challenge(name, password=PASSWORD):
    """What a user with a second factor gets for the password."""
    request = urllib.request.Request(
        f"{API}/authenticate", json.dumps({"name": name, "password": password}).encode(),
        {"content-type": "application/json"},
    )
    for _ in range(5):
        try:
            urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            answer = json.load(error)
            if error.code == 401:
                return answer["challenge"]
        time.sleep(1)
    sys.exit(f"no challenge for {name}")


def authenticator(**asked):
    """What an authenticator in software answers to options."""
    python = "target/local/python/bin/python"
    port = urllib.parse.urlsplit(PAGE).port
    asked["origin"] = os.environ.get("RATCHET_PASSKEY_ORIGIN", f"http://localhost:{port}")
    done = subprocess.run(
        [python, "tests/contract/authenticator.py"], input=json.dumps(asked), text=True, check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def sign_in(name, password=PASSWORD):
    return call("authenticate", {"name": name, "password": password, "device": "Laptop"})


OPERATIONS = {
    operation["operationId"]: (path, method, operation)
    for path, methods in document["paths"].items()
    for method, operation in methods.items()
}

subprocess.run(
    f"{os.environ['RATCHET_CLI']} users add root root@example.com --role admin --confirmed --password-stdin",
    shell=True, check=True, input=f"{PASSWORD}\n", text=True, stdout=subprocess.DEVNULL,
)

for document_id in ("jwks", "metadata", "openidConfiguration"):
    call(document_id)
    path, _, _ = OPERATIONS[document_id]
    with urllib.request.urlopen(API + path) as answer:
        call(document_id, headers={"if-none-match": answer.headers["etag"]})
call("health")

me = {"name": "newcomer", "email": "newcomer@example.com"}
call("register", {**me, "password": PASSWORD})
mail(me["email"], 1)
call("resendConfirmation", {"email": me["email"]})
call("confirmEmail", {"token": mail(me["email"], 2)})
call("askReset", {"email": me["email"]})
call("resetPassword", {"token": mail(me["email"], 3), "password": OTHER})

pair = sign_in("newcomer", OTHER)
pair = call("refresh", {"refresh_token": pair["refresh_token"], "access_token": pair["access_token"]})
refreshed = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
pair = call("oauth2Token", refreshed, form=True)
client = os.environ["RATCHET_CLIENT_ID"], os.environ["RATCHET_CLIENT_SECRET"]
for live in (pair["access_token"], pair["refresh_token"]):
    said = call("oauth2Introspect", {"token": live}, form=True, client=client)
    wrong.extend([] if said["active"] else [f"oauth2Introspect: {said} of a live token"])
call("oauth2Introspect", {"token": "x"}, form=True, client=client)
call("oauth2Revoke", {"token": pair["refresh_token"]}, form=True)
call("logout", {"refresh_token": pair["refresh_token"]})

token = sign_in("newcomer", OTHER)["access_token"]
account = call("showAccount", token=token)
call("listUsers", token=token, query="?limit=1")
sign_in("newcomer", OTHER)
sessions = call("listSessions", token=token)["sessions"]
call("endSession", token=token, id=next(one["id"] for one in sessions if not one["current"]))
call("changePassword", {"current": OTHER, "new": PASSWORD, "keep_this_session": True}, token)
call("changeEmail", {"email": "elsewhere@example.com", "password": PASSWORD}, token)
call("endSessions", token=token, query="?except=current")
secret = call("beginTotp", {"password": PASSWORD}, token)["secret"]
recovery = call("confirmTotp", {"code": code(secret, -1)}, token)["recovery_codes"]
call("completeSignIn", {"challenge": challenge("newcomer"), "code": code(secret)})
both = {"password": PASSWORD, "recovery_code": recovery[0]}
recovery = call("replaceRecoveryCodes", both, token)["recovery_codes"]
call("stepUp", {"password": PASSWORD, "recovery_code": recovery[1]}, token)
call("disableTotp", {"password": PASSWORD, "recovery_code": recovery[0]}, token)

begun = call("beginPasskey", {"password": PASSWORD}, token)
made = authenticator(options=begun["options"])
new = {"ceremony": begun["ceremony"], "credential": made["credential"], "name": "Phone"}
passkey = call("addPasskey", new, token)
call("renamePasskey", {"name": "Old phone"}, token, id=passkey["id"])
begun_sign_in = call("beginPasskeySignIn", {})
user = begun["options"]["user"]["id"]
signed = authenticator(options=begun_sign_in["options"], key=made["key"], user=user)
answered = {"ceremony": begun_sign_in["ceremony"], "credential": signed["credential"], "device": "Laptop"}
call("authenticateWithPasskey", answered)
call("listPasskeys", token=token)
begun_step_up = call("beginPasskeyStepUp", token=token)
signed = authenticator(options=begun_step_up["options"], key=made["key"], user=user)
call("stepUpWithPasskey", {"ceremony": begun_step_up["ceremony"], "credential": signed["credential"]}, token)
call("removePasskey", {"password": PASSWORD}, token, id=passkey["id"])

admin = sign_in("root")["access_token"]
call("listUsers", token=admin)
call("showUser", token=admin, id=account["id"])
call("administerUser", {"roles": ["reader"], "claims": {"tenant": "acme"}}, admin, id=account["id"])
call("endUserSessions", token=admin, id=account["id"])
call("deleteAccount", {"password": PASSWORD}, sign_in("newcomer")["access_token"])
call("register", {"name": "second", "email": "second@example.com", "password": PASSWORD})
call("confirmEmail", {"token": mail("second@example.com", 1)})
others = call("listUsers", token=admin, query="?name=second")["users"]
call("deleteUser", token=admin, id=others[0]["id"])

for operation_id, (_, _, operation) in OPERATIONS.items():
    for status in operation["responses"]:
        if status[0] in "23" and (operation_id, status) not in seen and operation_id not in NOT_HERE:
            wrong.append(f"{operation_id}: {status} was never answered")
if wrong:
    sys.exit("\n".join(wrong))
print(f"answers: {len(seen)} successes are as they are described")
