"""Verifies Ratchet's access tokens with PyJWT: python verify.py ISSUER AUDIENCE < tokens"""

import sys

import jwt

issuer, audience = sys.argv[1:]
keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json")


def verify(token: str) -> dict:
    key = keys.get_signing_key_from_jwt(token)
    decoded = jwt.decode_complete(
        token,
        key,
        algorithms=["ES256", "EdDSA", "RS256"],
        issuer=issuer,
        audience=audience,
        options={"require": ["exp", "iat", "iss", "aud", "sub", "sid"], "strict_aud": True},
    )
    if decoded["header"].get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    if "cnf" in decoded["payload"]:
        raise jwt.InvalidTokenError("bound to a key, whose proof is not checked here")
    return decoded["payload"]


for line in sys.stdin:
    try:
        print("ok", verify(line.rstrip("\n"))["sub"], flush=True)
    except jwt.PyJWTError as error:
        print("refused", type(error).__name__, flush=True)
