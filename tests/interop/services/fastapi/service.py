"""A protected API with FastAPI and PyJWT.

ISSUER=http://127.0.0.1:9000 AUDIENCE=ratchet ORIGIN=http://localhost:5173 PORT=8080 python service.py
"""

import os
import time
from collections.abc import Callable
from typing import Annotated

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]
keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", timeout=5)
bearer = HTTPBearer(auto_error=False)


def refused(challenge: str) -> HTTPException:
    return HTTPException(401, headers={"WWW-Authenticate": challenge})


# Not `async`: the keys are fetched in a thread, so that no other request waits for them.
def user(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> dict:
    """The claims of a valid access token."""
    if credentials is None:
        raise refused("Bearer")
    try:
        key = keys.get_signing_key_from_jwt(credentials.credentials)
        decoded = jwt.decode_complete(
            credentials.credentials,
            key,
            algorithms=["ES256", "EdDSA", "RS256"],
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": ["exp", "iat", "iss", "aud", "sub", "sid"], "strict_aud": True},
        )
    except jwt.PyJWKClientConnectionError:
        # Without the keys there is no verdict: a 401 would sign the user out.
        raise HTTPException(503, headers={"Retry-After": "1"}) from None
    except jwt.PyJWTError:
        raise refused('Bearer error="invalid_token"') from None
    # A token that is bound to a key needs a proof, which is not checked here.
    if decoded["header"].get("typ") != "at+jwt" or "cnf" in decoded["payload"]:
        raise refused('Bearer error="invalid_token"')
    return decoded["payload"]


User = Annotated[dict, Depends(user)]


def recently(max_age: int, *methods: str) -> Callable[[User], dict]:
    """The claims of a user who was authenticated by one of these methods, at most so many seconds ago (RFC 9470)."""
    required = f'max_age="{max_age}", amr_values="{" ".join(methods)}"'

    def check(user: User) -> dict:
        is_recent = time.time() - user["auth_time"] <= max_age
        if not is_recent or set(methods).isdisjoint(user.get("amr", [])):
            raise refused(f'Bearer error="insufficient_user_authentication", {required}')
        return user

    return check


app = FastAPI()
# The front end sends its access token, and reads why it was refused.
app.add_middleware(
    CORSMiddleware,
    allow_origins=[os.environ["ORIGIN"]],
    allow_headers=["Authorization"],
    expose_headers=["WWW-Authenticate", "Retry-After"],
)


@app.get("/whoami")
def whoami(user: User) -> dict:
    return {"sub": user["sub"], "sid": user["sid"], "roles": user.get("roles", [])}


@app.get("/admin")
def admin(user: User) -> dict:
    if "admin" not in user.get("roles", []):
        raise HTTPException(403)
    return {"welcome": user["name"]}


# A second factor or a passkey, within the last five minutes.
@app.get("/export")
def export(user: Annotated[dict, Depends(recently(300, "otp", "hwk"))]) -> dict:
    return {"of": user["sub"]}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
