"""The sample templates for those who protect an API of their own with our tokens."""

import http.server
import json
import threading

import pytest

from emulator import REGION, ROOT


@pytest.fixture(scope="module")
def backend():
    """The URL of a service that answers with the headers that it received."""

    class Echo(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module", params=["jwt-authorizer", "lambda-authorizer"])
def protected(cloud, backend, request):
    """The URL of an API that the sample protects."""
    outputs = cloud.outputs("ratchet-prod")
    given = {
        "jwt-authorizer": f"Issuer={outputs['ApiUrl']}",
        "lambda-authorizer": f"AuthorizerArn={outputs['AuthorizerArn']}",
    }
    sample = (ROOT / f"docs/examples/{request.param}.yaml").read_text()
    if request.param == "lambda-authorizer":
        # The emulator has its own name for an authorizer's context: emulator.py.
        assert "$context.authorizer.sub" in sample
        sample = sample.replace("$context.authorizer.", "$context.authorizer.lambda.")
    (cloud.folder / "sample.yaml").write_text(sample)
    cloud.run(
        "aws", "cloudformation", "deploy", "--stack-name", request.param,
        "--template-file", str(cloud.folder / "sample.yaml"),
        "--parameter-overrides", given[request.param], f"BackendUrl={backend}",
    )
    # The emulator's ApiEndpoint is not AWS's: emulator.py.
    return f"https://{cloud.resources(request.param)['Api']}.execute-api.{REGION}.amazonaws.com"


@pytest.fixture
def pair(cloud):
    return cloud.sign_in(cloud.outputs("ratchet-prod")["ApiUrl"], "ada")


def test_a_request_with_a_token_comes_through_with_what_the_token_says(cloud, protected, pair):
    # What the caller says of itself is overwritten.
    status, _, seen = cloud.request(f"{protected}/anything", token=pair["access_token"], headers={"x-user-id": "me"})
    assert status == 200, seen
    claims = cloud.claims(pair["access_token"])
    assert (seen["x-user-id"], seen["x-session-id"]) == (claims["sub"], claims["sid"])


def test_requests_without_a_valid_token_do_not(cloud, protected, pair):
    assert cloud.request(f"{protected}/anything")[0] == 401
    head, payload, signature = pair["access_token"].split(".")
    forged = ".".join([head, payload, signature[:-8] + "AAAAAAAA"])
    # The gateway answers 401 for its own authorizer and 403 for a Lambda authorizer that says no.
    assert cloud.request(f"{protected}/anything", token=forged)[0] in (401, 403)
    assert cloud.request(f"{protected}/anything", token=pair["refresh_token"])[0] in (401, 403)
