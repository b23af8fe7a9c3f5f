"""Finds the keys by discovery with Authlib and verifies Ratchet's access tokens with its joserfc:
python authlib_verify.py ISSUER AUDIENCE < tokens"""

import json
import sys
import urllib.request

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

issuer, audience = sys.argv[1:]


def fetch(url: str) -> dict:
    with urllib.request.urlopen(url) as response:
        return json.load(response)


for name, kind in (
    ("oauth-authorization-server", AuthorizationServerMetadata),
    ("openid-configuration", OpenIDProviderMetadata),
):
    metadata = kind(fetch(f"{issuer}/.well-known/{name}"))
    metadata.validate()
    assert metadata["issuer"] == issuer

keys = KeySet.import_key_set(fetch(metadata["jwks_uri"]))
algorithms = metadata["access_token_signing_alg_values_supported"]
claims = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": audience},
    sub={"essential": True},
    exp={"essential": True},
    iat={"essential": True},
    sid={"essential": True},
)


def verify(text: str) -> dict:
    token = jwt.decode(text, keys, algorithms=algorithms)
    if token.header.get("typ") != "at+jwt":
        raise ValueError("not an access token")
    if "cnf" in token.claims:
        raise ValueError("bound to a key, whose proof is not checked here")
    claims.validate(token.claims)
    return token.claims


for line in sys.stdin:
    try:
        print("ok", verify(line.strip())["sub"])
    except Exception as error:
        print("refused", type(error).__name__)
