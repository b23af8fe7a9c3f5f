#!/usr/bin/env python3
"""Makes `common.bin`: the forbidden passwords, as a sorted list of truncated hashes.

Sources, both read from the packages that ship them:
* Django 5.2 (BSD-3-Clause), `django/contrib/auth/common-passwords.txt.gz`, 19,640 passwords
* zxcvbn 4.5 (MIT), `zxcvbn/frequency_lists.py`, the list `passwords`, 30,000 of them

Each entry is the first four bytes of the SHA-256 of the password in lower case. A password that is
not in the list is taken for one that is about once in 100,000 times.

    python3 shared/core/blocklist/make.py
"""

import ast
import gzip
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGES = ["django==5.2.19", "zxcvbn==4.5.0"]
ENTRY_BYTES = 4


def wheels(folder):
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--only-binary=:all:", "--dest", folder, *PACKAGES], check=True)
    return {path.name.split("-")[0]: zipfile.ZipFile(path) for path in pathlib.Path(folder).iterdir()}


def django(wheel):
    packed = wheel.read("django/contrib/auth/common-passwords.txt.gz")
    return gzip.decompress(packed).decode().split()


def zxcvbn(wheel):
    # The module is read, not run: it is one assignment per list.
    module = ast.parse(wheel.read("zxcvbn/frequency_lists.py").decode())
    for node in ast.walk(module):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and key.value == "passwords":
                    # `"…,…".split(",")`
                    return value.func.value.value.split(",")
    raise SystemExit("the list of zxcvbn is not where it was")


def main():
    with tempfile.TemporaryDirectory() as folder:
        found = wheels(folder)
        passwords = {text.lower() for text in django(found["django"]) + zxcvbn(found["zxcvbn"])}
    entries = {hashlib.sha256(text.encode()).digest()[:ENTRY_BYTES] for text in passwords}
    target = pathlib.Path(__file__).with_name("common.bin")
    target.write_bytes(b"".join(sorted(entries)))
    print(f"{len(passwords)} passwords, {len(entries)} entries, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
