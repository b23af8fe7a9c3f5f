"""The emulated AWS: ministack, with functions as processes of this machine.

It listens on loopback, and ends with this process, whatever ends it.

Where it differs from AWS's documentation, and what the tests assume instead:

* `AWS::SecretsManager::RotationSchedule`, `AWS::Budgets::Budget` and the types of CodeDeploy are unknown, and alarms on metric
  math are refused: `transform.py` removes exactly these. So no test here sees a canary.
* `Fn::Split` is unknown in conditions: `transform.py` replaces the one that has it, so no test here has the ARN of
  a bus.
* An HTTP API answers at `<id>.execute-api.localhost`, without TLS, and the paths `/health` and
  `/oauth2/…` are the emulator's own on every host. `front.py` stands in for AWS's names and TLS, and
  asks for those by the emulator's other address of an API.
* The template of a nested stack is not transformed. `wrappers.py` creates the construct's nested stack without its
  parent.
* An event source mapping that is created disabled has the state `Enabled`, but it invokes nothing.
* `StopReplicationToReplica` is unknown. `standby.py` leaves the key ring a replica.
* The `Ref` of a secret is its name. AWS says that it is the ARN.
* `PublishVersion` compares revisions of a function. AWS compares code and configuration, and refuses a
  version that differs in nothing, so 'the same build again after a rollback' succeeds here either way:
  `tools/local` checks the template for it.
* `RotateSecret` copies the secret's value and invokes no function.
* An API's `ApiEndpoint` is its own address at the emulator. Tests use AWS's form of it.
* The context of a Lambda authorizer is `$context.authorizer.lambda.<key>` in parameter mappings. AWS says
  `$context.authorizer.<key>` for HTTP APIs.
* A table's `TimeToLiveSpecification`, `PointInTimeRecoverySpecification` and `SSESpecification` are left
  out when the stack makes it.
* A write to a replicated table reaches the other region at once. AWS needs about a second.
* `DisableExecuteApiEndpoint` and `IpAddressType` are kept, and change nothing.
* Roles are not enforced. `tests/e2e` has a proxy that does.
* Throttling of routes, reserved concurrency, alarms and deletion by TTL do nothing.
"""

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Emulator:
    """A running emulator."""

    def __init__(self, folder, front_port, authority):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "emulator.log"
        # Nothing of the developer's own AWS settings, and no proxy.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "RATCHET_")) and not name.lower().endswith("_proxy")
        }
        # What the SAM CLI, the AWS CLI, `ratchet` and our own clients run with.
        self.environment = inherited | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "SAM_CLI_TELEMETRY": "0",
            # The front answers for AWS's names.
            "https_proxy": f"http://127.0.0.1:{front_port}",
            "SSL_CERT_FILE": str(authority),
            "CURL_CA_BUNDLE": str(authority),
        }
        (folder / "tmp").mkdir()
        settings = self.environment | {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "LAMBDA_EXECUTOR": "local",
            # Servers with ports of their own.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "TMPDIR": str(folder / "tmp"),
            "LOG_LEVEL": "INFO",
        }
        # The same that ends the local stack's programs with everything that they started.
        supervise = (ROOT / "tools/local/src/process/supervise.sh").read_text()
        self.process = subprocess.Popen(
            ["sh", "-c", supervise, "supervise", str(self.log), "ministack"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=settings,
            cwd=folder,
            start_new_session=True,
        )

    def wait(self):
        """Returns once it answers."""
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError(f"the emulator did not start:\n{self.log.read_text()}")

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
