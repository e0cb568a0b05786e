"""An identity at Google Cloud: a service account's key, or whatever the machine or pod is given."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from flagger.outbound import Call, Outbound, OutboundError, excerpt

SCOPES = ("https://www.googleapis.com/auth/monitoring.read",)
WITHIN = 15.0  # seconds, until there is a token
MISSING = "google-auth is not installed: install flagger[gcp]"


class GoogleError(Exception):
    """There is no token; the text says why."""


@dataclass(frozen=True, slots=True)
class _Response:
    """What google-auth wants to see of an answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class GoogleIdentity:
    """Gets access tokens and keeps them until they expire."""

    def __init__(self, key: str, outbound: Outbound) -> None:
        """`key` is the JSON of a service account, or empty for the surrounding identity."""
        self._key, self._outbound = key, outbound
        self._credentials: Any = None
        self._refreshing = asyncio.Lock()

    async def token(self) -> str:
        """Return a token that is valid for some minutes.

        Raises:
            GoogleError: the library is missing, the key is none, or nobody gave a token.
        """
        try:
            async with asyncio.timeout(WITHIN), self._refreshing:
                return await self._fresh()
        except ImportError as error:
            raise GoogleError(MISSING) from error
        except TimeoutError as error:
            raise GoogleError(f"no access token within {WITHIN:g}s") from error

    async def _fresh(self) -> str:
        errors = await asyncio.to_thread(import_module, "google.auth.exceptions")
        try:
            if self._credentials is None:
                self._credentials = await asyncio.to_thread(self._load)
        except ValueError as error:  # its text may quote the key
            raise GoogleError("no access token: serviceAccountKey is not a service account's key") from error
        except errors.GoogleAuthError as error:
            raise GoogleError(f"no access token: {excerpt(str(error))}") from error
        try:
            if not self._credentials.valid:
                loop = asyncio.get_running_loop()
                await asyncio.to_thread(self._credentials.refresh, _transport(self._outbound, loop, errors))
        except (
            errors.GoogleAuthError,
            ValueError,
            TypeError,
            LookupError,
        ) as error:  # as the library raises them
            raise GoogleError(f"no access token: {excerpt(str(error), secrets=[self._key])}") from error
        return str(self._credentials.token)

    def _load(self) -> Any:
        """Return the library's credentials; runs in a thread, as it may look at files and the network."""
        if self._key:
            accounts = import_module("google.oauth2.service_account")
            return accounts.Credentials.from_service_account_info(json.loads(self._key), scopes=SCOPES)
        found, _ = import_module("google.auth").default(scopes=SCOPES)
        return found


def _transport(outbound: Outbound, loop: asyncio.AbstractEventLoop, errors: Any) -> Any:
    """Return what google-auth sends its requests by, from a thread of its own."""

    def send(
        url: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Response:
        lines = tuple((headers or {}).items())
        data = body.encode() if isinstance(body, str) else body
        call = Call(url=url, method=method, headers=lines, body=data, within=timedelta(seconds=timeout or 5))
        try:
            answer = asyncio.run_coroutine_threadsafe(outbound.send(call), loop).result()
        except OutboundError as error:
            raise errors.TransportError(str(error)) from error
        return _Response(answer.status, answer.headers, answer.body)

    return send
