"""A certificate authority for tests, and what it signs."""

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flagger.kube.auth import Certificate


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@dataclass
class Authority:
    """Signs certificates for a day."""

    name: str = "test-ca"

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.sign(self.name, self.key, ca=True)

    @cached_property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(
        self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool = False, host: str = ""
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host:
            is_address = host.replace(".", "").isdecimal()
            entry = x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host)
            builder = builder.add_extension(x509.SubjectAlternativeName([entry]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str, *, host: str = "") -> Certificate:
        """A certificate with its key; `host` for servers."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self.sign(name, key, host=host)
        return Certificate(signed.public_bytes(serialization.Encoding.PEM), key_pem(key))

    def server(self, host: str = "127.0.0.1", *, clients: "Authority | None" = None) -> ssl.SSLContext:
        """A TLS server's context; with `clients` only holders of its certificates may connect."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = self.issue("server", host=host)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "server.pem")
            path.write_bytes(issued.cert + issued.key)
            context.load_cert_chain(path)
        if clients is not None:
            context.load_verify_locations(cadata=clients.pem.decode())
            context.verify_mode = ssl.CERT_REQUIRED
        return context
