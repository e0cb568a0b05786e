"""Credentials from a program: the exec plugins of client.authentication.k8s.io, v1 and v1beta1."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from flagger.kube.auth import Certificate, Credential, bearer
from flagger.kube.errors import AuthError

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
TIMEOUT = 60.0  # seconds; cloud vendors' programs go and ask their own servers


class EnvVar(msgspec.Struct, frozen=True):
    """One variable that the plugin gets."""

    name: str
    value: str = ""


class ExecSpec(msgspec.Struct, frozen=True, rename="camel"):
    """`users[].user.exec` of a kubeconfig."""

    command: str
    api_version: str = ""
    args: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] | None = None
    install_hint: str | None = None
    provide_cluster_info: bool = False
    interactive_mode: str | None = None


class ExecStatus(msgspec.Struct, frozen=True, rename="camel"):
    """`status` of the ExecCredential that a plugin prints."""

    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: str | None = None


class ExecCredential(msgspec.Struct, frozen=True, rename="camel"):
    """What a plugin prints."""

    api_version: str
    kind: str
    status: ExecStatus | None = None


def wall_clock() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


@dataclass(slots=True)
class ExecPlugin:
    """Runs the plugin when there is no credential, when it has expired, and after a 401."""

    spec: ExecSpec
    folder: Path  # of the kubeconfig; a command with a slash is relative to it
    cluster: Mapping[str, Any] | None = None  # for KUBERNETES_EXEC_INFO, when the plugin asks for it
    now: Callable[[], datetime] = wall_clock
    _cached: Credential | None = None
    _expires: datetime | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        if self.spec.api_version not in VERSIONS:
            raise AuthError(
                f"exec plugin {self.spec.command}: apiVersion must be one of {', '.join(VERSIONS)}"
            )
        if self.spec.interactive_mode == "Always":
            raise AuthError(f"exec plugin {self.spec.command} wants a terminal (interactiveMode: Always)")

    async def current(self) -> Credential:
        """The plugin's last answer while it is valid, else a new one; many callers cause one run.

        Raises:
            AuthError: the plugin is missing, failed, or printed something else.
        """
        async with self._lock:
            if self._cached is None or (self._expires is not None and self.now() >= self._expires):
                self._cached, self._expires = self._understand(await self._run())
            return self._cached

    def expire(self, refused: Credential) -> bool:
        """Run again next time, unless that happened since `refused` was handed out."""
        if refused is self._cached:
            self._cached = None
        return True

    async def _run(self) -> bytes:
        command = self.spec.command
        if "/" in command:
            command = str(self.folder / command)
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                *(self.spec.args or ()),
                env=self._environment(),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
            )
        except OSError as error:
            hint = f"; {self.spec.install_hint.strip()}" if self.spec.install_hint else ""
            raise AuthError(f"exec plugin {command}: {error.strerror or error}{hint}") from error
        try:
            async with asyncio.timeout(TIMEOUT):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            raise AuthError(f"exec plugin {command} did not end within {TIMEOUT:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:]
            raise AuthError(
                f"exec plugin {command} failed with code {process.returncode}: {' '.join(last)[:300]}"
            )
        return output

    def _environment(self) -> dict[str, str]:
        spec: dict[str, Any] = {"interactive": False}
        if self.cluster is not None:
            spec["cluster"] = self.cluster
        info = {"apiVersion": self.spec.api_version, "kind": "ExecCredential", "spec": spec}
        own = {entry.name: entry.value for entry in self.spec.env or ()}
        return {**os.environ, **own, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}

    def _understand(self, output: bytes) -> tuple[Credential, datetime | None]:
        try:
            answer = msgspec.json.decode(output, type=ExecCredential)
            status = answer.status
            expires = status and status.expiration_timestamp
            until = datetime.fromisoformat(expires) if expires else None
        except (msgspec.MsgspecError, ValueError) as error:
            # The output itself stays out of the message: it is a secret.
            raise AuthError(f"exec plugin {self.spec.command} printed no ExecCredential") from error
        if answer.kind != "ExecCredential" or answer.api_version != self.spec.api_version or status is None:
            raise AuthError(
                f"exec plugin {self.spec.command} printed no ExecCredential of {self.spec.api_version}"
            )
        certificate = None
        if status.client_certificate_data and status.client_key_data:
            certificate = Certificate(
                status.client_certificate_data.encode(), status.client_key_data.encode()
            )
        if not status.token and certificate is None:
            raise AuthError(
                f"exec plugin {self.spec.command} returned neither a token nor a certificate with its key"
            )
        return Credential(bearer(status.token) if status.token else "", certificate), until
