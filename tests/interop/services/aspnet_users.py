"""Turns users of ASP.NET Core Identity into lines for `ratchet users import`.

python aspnet_users.py < users.csv > users.jsonl

The columns are UserName, Email, EmailConfirmed and PasswordHash, as of the table AspNetUsers. Hashes of
Identity version 3, the default since ASP.NET Core 1.0, are PBKDF2: a marker, then pseudo-random function,
iterations and length of the salt as 32-bit numbers, then salt and hash.
"""

import base64
import csv
import json
import struct
import sys

FUNCTIONS = {1: "pbkdf2-sha256", 2: "pbkdf2-sha512"}


def phc(identity: str) -> str:
    data = base64.b64decode(identity)
    marker, function, iterations, length = struct.unpack(">BIII", data[:13])
    if marker != 1 or function not in FUNCTIONS:
        raise ValueError("not a PBKDF2 hash of Identity version 3")
    salt, key = (base64.b64encode(part).decode().rstrip("=") for part in (data[13 : 13 + length], data[13 + length :]))
    return f"${FUNCTIONS[function]}$i={iterations}${salt}${key}"


if __name__ == "__main__":
    for user in csv.DictReader(sys.stdin):
        try:
            password_hash = phc(user["PasswordHash"])
        except ValueError as error:
            print(f"{user['UserName']}: {error}", file=sys.stderr)
            continue
        confirmed = user["EmailConfirmed"].lower() in ("1", "true")
        line = {
            "name": user["UserName"],
            "email": user["Email"],
            "email_confirmed": confirmed,
            "password_hash": password_hash,
        }
        print(json.dumps(line))
