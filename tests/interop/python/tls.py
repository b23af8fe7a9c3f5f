"""A TLS front for a local stack, so that verifiers see an https issuer as in production.

python tls.py FOLDER: makes a CA (FOLDER/ca.pem) and a certificate for localhost, prints the port that
it listens on, reads the port that it forwards to, and ends when its standard input does.
"""

import asyncio
import datetime
import pathlib
import ssl
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def certificate(name, key, issuer, issuer_key, extensions):
    named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer)]
    builder = x509.CertificateBuilder(
        named[1], named[0], key.public_key(), x509.random_serial_number(), NOW - DAY, NOW + DAY
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def pem(certificate_or_key):
    encoding = serialization.Encoding.PEM
    if isinstance(certificate_or_key, x509.Certificate):
        return certificate_or_key.public_bytes(encoding)
    return certificate_or_key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def context(folder: pathlib.Path) -> ssl.SSLContext:
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    is_ca = x509.BasicConstraints(ca=True, path_length=0)
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = certificate("interop CA", ca_key, "interop CA", ca_key, [(is_ca, True), (identifier, False)])
    extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectAlternativeName([x509.DNSName("localhost")]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
    ]
    own = certificate("localhost", key, "interop CA", ca_key, extensions)
    (folder / "ca.pem").write_bytes(pem(ca))
    (folder / "own.pem").write_bytes(pem(own) + pem(key))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "own.pem")
    return server


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main():
    folder = pathlib.Path(sys.argv[1])
    target = None

    async def serve(reader, writer):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(copy(reader, to_writer), copy(to_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context(folder))
    print(server.sockets[0].getsockname()[1], flush=True)
    target = int(await asyncio.to_thread(sys.stdin.readline))
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
