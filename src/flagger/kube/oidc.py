"""Credentials from OpenID Connect: the `oidc` auth-provider of a kubeconfig, with its id-token renewed.

A renewed token stays in this process: the kubeconfig is not written. Protocol: OpenID Connect Core 1.0 §12,
Discovery 1.0 §4.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec

from flagger.kube.auth import Credential, bearer
from flagger.kube.errors import AuthError
from flagger.kube.exec_plugin import wall_clock

TIMEOUT = aiohttp.ClientTimeout(total=30)  # seconds


@dataclass(slots=True)
class Oidc:
    """Uses `id-token` until it expires, then asks the issuer for another with `refresh-token`."""

    config: Mapping[str, str] = field(repr=False)
    ca: bytes | None = field(default=None, repr=False)
    now: Callable[[], datetime] = wall_clock
    _token: str = field(default="", repr=False)
    _refresh_token: str = field(default="", repr=False)
    _credential: Credential | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._token = self.config.get("id-token", "")
        self._refresh_token = self.config.get("refresh-token", "")

    async def current(self) -> Credential:
        """The id-token, renewed if it has expired; many callers cause one renewal.

        Raises:
            AuthError: it expired and the issuer gave no other.
        """
        async with self._lock:
            if not self._token or self.now() >= expiry_of(self._token):
                self._token, self._credential = await self._renew(), None
            if self._credential is None:
                self._credential = Credential(bearer(self._token))
            return self._credential

    def expire(self, refused: Credential) -> bool:
        """Renew next time, if there is a refresh token."""
        if refused is self._credential and self._refresh_token:
            self._token = ""
        return bool(self._refresh_token)

    async def _renew(self) -> str:
        issuer = self.config.get("idp-issuer-url", "").rstrip("/")
        if not (self._refresh_token and issuer):
            raise AuthError(
                "the kubeconfig's OIDC id-token has expired and there is no refresh-token; log in again"
            )
        secret = self.config.get("client-secret")
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._refresh_token,
            "client_id": self.config.get("client-id", ""),
            **({"client_secret": secret} if secret else {}),
        }
        context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        try:
            async with aiohttp.ClientSession(
                timeout=TIMEOUT, connector=aiohttp.TCPConnector(ssl=context)
            ) as session:
                async with session.get(f"{issuer}/.well-known/openid-configuration") as response:
                    endpoint = (await self._object(response, issuer))["token_endpoint"]
                async with session.post(endpoint, data=form) as response:
                    answer = await self._object(response, issuer)
            self._refresh_token = answer.get("refresh_token") or self._refresh_token
            return str(answer["id_token"])
        except (aiohttp.ClientError, TimeoutError, KeyError, msgspec.MsgspecError) as error:
            raise AuthError(f"OIDC issuer {issuer}: no new id-token: {type(error).__name__}") from error

    async def _object(self, response: aiohttp.ClientResponse, issuer: str) -> dict[str, Any]:
        if response.status != 200:
            raise AuthError(f"OIDC issuer {issuer} answered {response.status}; log in again")
        return msgspec.json.decode(await response.read(), type=dict[str, Any])


def expiry_of(token: str) -> datetime:
    """The `exp` claim of a JSON web token, unverified; the distant past if there is none."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=dict[str, Any]
        )
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (IndexError, KeyError, TypeError, ValueError, msgspec.MsgspecError):
        return datetime.min.replace(tzinfo=UTC)
