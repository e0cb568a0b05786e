"""Where an API server is and how it is reached: address, TLS, proxy, namespace, credentials."""

import socket
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flagger.kube.auth import Anonymous, Certificate, Credentials
from flagger.kube.errors import AuthError


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything a client needs to know; made by `load_connection`, or by hand for a known server.

    `server` may carry a path prefix. `ca` is a PEM bundle (None: the system's). `server_name` is the name the
    certificate is checked against when it is not the host's. `proxy` is an `http://` or `https://` URL.
    `impersonate` holds `Impersonate-…` headers (a group each). `source` says in errors where this came from.
    """

    server: str
    credentials: Credentials = field(default_factory=Anonymous, repr=False)
    namespace: str = "default"
    ca: bytes | None = field(default=None, repr=False)
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    impersonate: tuple[tuple[str, str], ...] = ()
    source: str = ""

    def tls(self, certificate: Certificate | None) -> ssl.SSLContext:
        """A TLS context for this server, presenting `certificate` if there is one.

        Raises:
            AuthError: the CA bundle or the client certificate cannot be used.
        """
        try:
            context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if certificate:
                present(context, certificate)
        except (ssl.SSLError, ValueError) as error:
            raise AuthError(
                f"{self.source or self.server}: unusable certificate, key or CA bundle: {error}"
            ) from error
        return context


def present(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Load a client certificate. Python wants files, so there are some for a moment, for this user alone."""
    with tempfile.TemporaryDirectory(prefix="flagger-") as folder:
        cert, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        cert.write_bytes(certificate.cert)
        key.touch(mode=0o600)
        key.write_bytes(certificate.key)
        context.load_cert_chain(cert, key)


KEEPALIVE: Mapping[str, int] = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
}  # seconds, seconds, probes


def keepalive_socket(address: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    """A socket on which the kernel notices a peer that is gone, as aiohttp's `socket_factory` wants it."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):  # not on every platform
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock
