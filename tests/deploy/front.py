"""AWS's names and TLS, in front of the emulator.

A proxy for HTTPS on loopback. It accepts connections to the names of APIs, with certificates of an
authority made for this run, and forwards each request as it came, but for the `Host`, by which the
emulator finds the API. So an output `ApiUrl` works as it is, for clients and for the gateway's own
JWT authorizer.
"""

import datetime
import re
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emulator import REGION, free_port

API_HOST = re.compile(r"([a-z0-9]+)\.execute-api\." + REGION + r"\.amazonaws\.com")
NAMES = [f"*.execute-api.{REGION}.amazonaws.com", "auth.example.com"]

# Paths that the emulator answers itself on every host (its health, and Cognito).
EMULATORS_OWN = (b"/health", b"/oauth2/")


class Front:
    def __init__(self, folder):
        self.port = free_port()
        self.authority = folder / "authority.pem"
        self.emulator_port = None
        self.domains = {}
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate(folder, self.authority))
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection:
                connection.settimeout(60)
                head, _ = read_head(connection)
                method, target, _ = head.split(b" ", 2)
                host = target.decode().partition(":")[0]
                api = self.domains.get(host) or (match := API_HOST.fullmatch(host)) and match[1]
                if method != b"CONNECT" or not api:
                    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                    return
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self._forward(secure, api)
        except (OSError, ValueError):
            pass

    def _forward(self, client, api):
        head, rest = read_head(client)
        line, *headers = head.split(b"\r\n")
        kept = [one for one in headers if not one.lower().startswith((b"host:", b"connection:"))]
        host = f"Host: {api}.execute-api.localhost:{self.emulator_port}".encode()
        if line.split(b" ")[1].startswith(EMULATORS_OWN):
            line = line.replace(b" /", f" /_aws/execute-api/{api}/$default/".encode(), 1)
            host = b"Host: localhost"
        with socket.create_connection(("127.0.0.1", self.emulator_port), timeout=60) as emulator:
            emulator.sendall(b"\r\n".join([line, host, b"Connection: close", *kept]) + b"\r\n\r\n" + rest)
            length = next((int(one.split(b":")[1]) for one in kept if one.lower().startswith(b"content-length:")), 0)
            left = length - len(rest)
            while left > 0 and (piece := client.recv(65536)):
                emulator.sendall(piece)
                left -= len(piece)
            while piece := emulator.recv(65536):
                client.sendall(piece)

    def send(self, url, raw):
        """Sends bytes to the host of a URL, and returns the status of the response and all of it."""
        host = url.removeprefix("https://")
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode())
            read_head(connection)
            context = ssl.create_default_context(cafile=self.authority)
            with context.wrap_socket(connection, server_hostname=host) as secure:
                secure.sendall(raw.replace(b"{host}", host.encode()))
                response = b""
                while piece := secure.recv(65536):
                    response += piece
        return int(response.split(b" ", 2)[1]), response


def read_head(connection):
    """The head of a request or response without its empty line, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ValueError("the connection ended within a head")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def certificate(folder, authority):
    """Makes an authority and a certificate for NAMES; returns the paths of certificate and key."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def signed(name, key, issuer, issuer_key, extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    usage = dict.fromkeys(
        ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"], False)
    root = signed(
        "deployment test", root_key, "deployment test", root_key,
        [
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True),
            (identifier, False),
        ],
    )
    leaf = signed(
        NAMES[0], key, "deployment test", root_key,
        [
            (x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
        ],
    )
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "front.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    (folder / "front.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "front.pem", folder / "front.key"
