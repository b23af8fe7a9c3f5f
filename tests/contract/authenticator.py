"""An authenticator in software: reads options and perhaps a key from standard input, and writes the
answer and the key. It needs `cryptography`, which the emulator's environment has."""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT_AND_VERIFIED, WITH_CREDENTIAL = 0x05, 0x40
CREDENTIAL_ID = b"a credential for the contract...."


def text(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sha256(data):
    return hashlib.sha256(data).digest()


asked = json.load(sys.stdin)
options, origin = asked["options"], asked["origin"]
is_new = "key" not in asked
key = ec.generate_private_key(ec.SECP256R1()) if is_new else serialization.load_pem_private_key(asked["key"].encode(), None)
rp_id = options["rp"]["id"] if is_new else options["rpId"]
client_data = json.dumps({
    "type": "webauthn.create" if is_new else "webauthn.get",
    "challenge": options["challenge"], "origin": origin, "crossOrigin": False,
}).encode()
data = sha256(rp_id.encode()) + bytes([PRESENT_AND_VERIFIED | (WITH_CREDENTIAL if is_new else 0)]) + bytes(4)
credential = {"id": text(CREDENTIAL_ID), "rawId": text(CREDENTIAL_ID), "type": "public-key", "clientExtensionResults": {}}
if is_new:
    point = key.public_key().public_numbers()
    # CBOR: an ES256 key (RFC 9053 section 7.1.1), and the attestation that says nothing.
    cose = bytes.fromhex("a5010203262001215820") + point.x.to_bytes(32, "big")
    cose += bytes.fromhex("225820") + point.y.to_bytes(32, "big")
    data += bytes(16) + len(CREDENTIAL_ID).to_bytes(2, "big") + CREDENTIAL_ID + cose
    attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
    credential["response"] = {"attestationObject": text(attestation), "clientDataJSON": text(client_data)}
else:
    signature = key.sign(data + sha256(client_data), ec.ECDSA(hashes.SHA256()))
    credential["response"] = {
        "authenticatorData": text(data), "clientDataJSON": text(client_data),
        "signature": text(signature), "userHandle": asked["user"],
    }
pem = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
json.dump({"credential": credential, "key": pem.decode()}, sys.stdout)
