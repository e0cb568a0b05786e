"""Credentials: who we are to the API server, and how that stays true in a process that runs for months.

Plugins that are programs live in `exec_plugin.py`, OpenID Connect in `oidc.py`. Nothing here prints a secret.
"""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from flagger.kube.errors import AuthError

REREAD = 60.0  # seconds after which files are read again, as client-go does; kubelets rotate tokens hourly


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate chain and its key, both PEM."""

    cert: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """What one request presents: an `Authorization` header value, a client certificate, both or neither."""

    authorization: str = field(default="", repr=False)
    certificate: Certificate | None = None


class Credentials(Protocol):
    """A source of credentials."""

    async def current(self) -> Credential:
        """The credential to use now; fetched or renewed when needed.

        Raises:
            AuthError: there is none to be had.
        """

    def expire(self, refused: Credential) -> bool:
        """The server answered 401 to `refused`. Is there any point in asking `current` again?"""


class Anonymous:
    """No credentials."""

    async def current(self) -> Credential:
        """The empty credential."""
        return Credential()

    def expire(self, refused: Credential) -> bool:
        """Nothing will change."""
        return False


@dataclass(frozen=True, slots=True)
class Static:
    """A fixed token, user and password, or certificate."""

    credential: Credential

    async def current(self) -> Credential:
        """Always the same."""
        return self.credential

    def expire(self, refused: Credential) -> bool:
        """Nothing will change."""
        return False


@dataclass(slots=True)
class Files:
    """A credential kept in files that somebody rotates: read anew every minute and after a 401."""

    read: Callable[[], Credential]
    clock: Callable[[], float] = time.monotonic
    _cached: Credential | None = None
    _until: float = 0.0

    async def current(self) -> Credential:
        """The content of the files, at most a minute old.

        Raises:
            AuthError: a file cannot be read and nothing was read before.
        """
        if self._cached is None or self.clock() >= self._until:
            try:
                self._cached = self.read()
            except AuthError:
                # In the middle of a rotation the old token is the better answer: it is usually still valid.
                if self._cached is None:
                    raise
            self._until = self.clock() + REREAD
        return self._cached

    def expire(self, refused: Credential) -> bool:
        """Read again next time, unless that happened since `refused` was read."""
        if refused is self._cached:
            self._until = 0.0
        return True


def bearer(token: str) -> str:
    """The `Authorization` value of a token."""
    return f"Bearer {token}"


def basic(username: str, password: str) -> str:
    """The `Authorization` value of a user and a password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def read_secret_file(path: Path, what: str) -> bytes:
    """The content of a credential file.

    Raises:
        AuthError: it cannot be read, or it is empty; names the file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AuthError(f"{what} {path}: {error.strerror or error}") from error
    if not content.strip():
        raise AuthError(f"{what} {path} is empty")
    return content


def token_file(path: Path) -> Files:
    """A bearer token in a file."""
    return Files(lambda: Credential(bearer(read_secret_file(path, "token file").decode().strip())))
