"""Requests through the gateway."""

import http.server
import json
import subprocess
import sys
import threading

import pytest

from conftest import PASSWORD
from emulator import ROOT


@pytest.fixture(scope="module")
def url(cloud):
    return cloud.outputs("ratchet-prod")["ApiUrl"]


def test_every_success_that_openapi_describes(cloud, url):
    """Every route, with registration and resets by letters through stream, mailer and SES.

    The same calls as `.ci/contract` makes to the local stack.
    """

    class Mail(http.server.BaseHTTPRequestHandler):
        """Messages as `cargo local`'s page has them."""

        def do_GET(self):
            with cloud.plain(f"{cloud.emulator.url}/_ministack/ses/messages") as answer:
                taken = json.load(answer)["messages"].values()
            messages = [
                {"to": to, "text": one["BodyText"]} for account in taken for one in account for to in one["To"]
            ]
            body = json.dumps({"messages": messages}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mail)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    outputs = cloud.outputs("ratchet-prod")
    environment = cloud.environment | {
        "RATCHET_URL": url,
        "RATCHET_PAGE": f"http://127.0.0.1:{server.server_port}",
        "RATCHET_CLI": "ratchet",
        "RATCHET_USERS_TABLE": outputs["UsersTableName"],
        "RATCHET_TOKENS_TABLE": outputs["TokensTableName"],
        "RATCHET_KEY_RING_SECRET": outputs["KeyRingSecretArn"],
    }
    create = ["ratchet", "--json", "clients", "create", "contract"]
    client = json.loads(subprocess.run(create, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    done = subprocess.run(
        [sys.executable, "tests/contract/answers.py"],
        cwd=ROOT,
        env=environment
        | {
            "RATCHET_CLIENT_ID": client["client_id"],
            "RATCHET_CLIENT_SECRET": client["client_secret"],
            # As tests/deploy/creation.py sets it.
            "RATCHET_PASSKEY_ORIGIN": "http://localhost:9001",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    server.shutdown()
    assert done.returncode == 0, f"{done.stdout}\n{cloud.log()}"


def test_the_five_steps(cloud, url):
    cloud.add_user("ratchet-prod", "ada")
    pair = cloud.sign_in(url, "ada")
    status, _, listed = cloud.request(f"{url}/users", token=pair["access_token"])
    assert status == 200 and "ada" in [user["name"] for user in listed["users"]]
    body = {"refresh_token": pair["refresh_token"], "access_token": pair["access_token"]}
    status, headers, next_pair = cloud.request(f"{url}/refresh", body)
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert next_pair["refresh_token"] != pair["refresh_token"]
    status, _, _ = cloud.request(f"{url}/users", token=next_pair["access_token"])
    assert status == 200
    status, _, _ = cloud.request(f"{url}/logout", {"refresh_token": next_pair["refresh_token"]})
    assert status == 204
    status, _, problem = cloud.request(f"{url}/refresh", {"refresh_token": next_pair["refresh_token"]})
    assert (status, problem["code"]) == (401, "revoked")


def test_unknown_paths_reach_no_function(cloud, url):
    status, _, body = cloud.request(f"{url}/no-such-path")
    assert (status, body) == (404, {"message": "Not Found"})


def test_a_message_has_the_link_of_the_parameter(cloud):
    assert "https://app.example.com/confirm" in cloud.message("second@example.com")


def test_letters_that_were_sent_are_deleted(cloud):
    users = cloud.outputs("ratchet-prod")["UsersTableName"]
    items = cloud.client("dynamodb").scan(TableName=users)["Items"]
    assert not [item["pk"]["S"] for item in items if item["pk"]["S"].startswith("outbox#")]


# What clients can really send, and a URI or header parser may refuse. The gateway takes Host from the
# name of the connection, so that one cannot be odd.
ODD_QUERIES = [b'a=<b>', b'a="b"', b"a=[1]", b"a={b}", b"a=|", b"a=^`", b"a=%", b"a=%zz", b"a=%00", b"a=%ff",
               b"a=b=c&&&=", b"[]=1", b"\\"]
ODD_HEADERS = [
    (b"x-forwarded-proto", b"http,https"),
    (b"x-forwarded-proto", b"["),
    (b"x-forwarded-port", b"443,80"),
    (b"x-forwarded-port", b"99999999"),
    (b"x-forwarded-for", b'<>"'),
    (b"x-forwarded-host", b"1 2["),
    (b"forwarded", b'for="[;";'),
    (b"cookie", b"name=caf\xe9"),
    (b"cookie", b"\xff\xfe=1; other=\xf0\x9f"),
    (b"cookie", b"; ;;=;a"),
    (b"user-agent", b"\xe9\xff"),
]


@pytest.mark.parametrize("query", ODD_QUERIES)
def test_an_odd_query_is_answered_as_if_it_were_not_there(cloud, url, query):
    raw = b"GET /.well-known/jwks.json?%b HTTP/1.1\r\nHost: {host}\r\n\r\n" % query
    status, response = cloud.front.send(url, raw)
    assert status in (200, 400), response


@pytest.mark.parametrize("name, value", ODD_HEADERS)
def test_an_odd_header_changes_no_answer(cloud, url, name, value):
    raw = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: {host}\r\n%b: %b\r\n\r\n" % (name, value)
    status, response = cloud.front.send(url, raw)
    assert status == 200, response


def test_a_refresh_cookie_is_found_beside_cookies_of_others(cloud, url):
    """Other applications of the same site set cookies with any bytes (attack 61)."""
    body = json.dumps({"name": "ada", "password": PASSWORD, "mode": "cookie"}).encode()
    headers = b"Host: {host}\r\nOrigin: https://app.example.com\r\nX-Ratchet: 1\r\nContent-Type: application/json\r\n"
    raw = b"POST /authenticate HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (headers, len(body), body)
    status, response = cloud.front.send(url, raw)
    assert status == 200, response
    head = response.partition(b"\r\n\r\n")[0].split(b"\r\n")
    [cookie] = [line.partition(b":")[2].strip() for line in head if line.lower().startswith(b"set-cookie:")]
    ours = cookie.partition(b";")[0]
    for cookies in (ours, b"caf\xe9=1; " + ours, ours + b"; a=\xff\xfe", b"=; " + ours + b"; {}"):
        raw = b"POST /refresh HTTP/1.1\r\n%bCookie: %b\r\nContent-Length: 2\r\n\r\n{}" % (headers, cookies)
        status, response = cloud.front.send(url, raw)
        assert status == 200, (cookies, response)
