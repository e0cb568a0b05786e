"""HTTP to the API server: two connection pools, credentials, bounded retries, and one exception family.

Requests and watches have a pool each, so that no number of watches can starve a request. The verbs are in
`client.py`.
"""

import asyncio
import contextlib
import os
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TypeVar

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from flagger.kube.auth import Certificate, Credential
from flagger.kube.connection import Connection, keepalive_socket
from flagger.kube.errors import KubeError, TooManyRequests, Unauthorized, Unreachable, error_from_status

T = TypeVar("T")
CONNECT = 10.0  # seconds
TOTAL = (
    30.0  # seconds for one request; a write in flight must end well before a lost lease (60 s) is taken over
)
SILENCE = 70.0  # seconds without a byte on a stream; servers send a bookmark each minute
POOL = 64  # connections for requests
ATTEMPTS = 4
BACKOFF = 0.1  # seconds before the second attempt, doubled for each later one
LONGEST_WAIT = 30.0  # seconds between attempts, whatever Retry-After says
RETRIED_READS = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what to call it in an error."""

    method: str
    path: str  # with its query, already encoded
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    action: str = ""
    whole_kind: str = ""

    @property
    def is_read(self) -> bool:
        """Can it be repeated without a second thought?"""
        return self.method in {"GET", "HEAD", "OPTIONS"}


class Transport:
    """Sends requests and opens streams. Must be closed."""

    def __init__(self, connection: Connection, *, user_agent: str) -> None:
        self.connection = connection
        self._headers = CIMultiDict(
            [
                ("User-Agent", user_agent),
                ("Accept", "application/json"),
                ("Accept-Encoding", "identity"),
                *connection.impersonate,
            ]
        )
        self._requests: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        self._closed = False
        self._tls: dict[Certificate | None, ssl.SSLContext] = {}

    async def close(self) -> None:
        """Close both pools; may be called twice."""
        for session in (self._requests, self._streams):
            if session is not None:
                await session.close()
        self._requests = self._streams = None
        self._closed = True
        await asyncio.sleep(0)  # lets the sockets of streams that were cut just now be closed

    async def send(self, request: Request, guard: Callable[[], None] | None = None) -> bytes:
        """The body of the answer, after retries where they are safe; `guard` runs before each attempt.

        Raises:
            KubeError: the server refused, or could not be reached.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._logged_in(partial(self._fetch, request, guard))
            except KubeError as error:
                wait = pause(request, error, attempt)
                if wait is None:
                    raise
            await asyncio.sleep(wait)

    @contextlib.asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """The chunks of an answer without an end, as they arrive.

        Raises:
            KubeError: the server refused, could not be reached, broke off, or was silent for `SILENCE`.
        """
        if self._streams is None:
            self._streams = self._session(0, aiohttp.ClientTimeout(sock_connect=CONNECT, sock_read=SILENCE))
        response = await self._logged_in(partial(self._exchange, self._streams, request))
        try:
            with self._reaching(request):
                yield response.content.iter_any()
        finally:
            hang_up(response)

    def _session(self, limit: int, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
        if self._closed:
            raise Unreachable(f"the client of {self.connection.server} is closed")
        connector = aiohttp.TCPConnector(limit=limit, socket_factory=keepalive_socket)
        return aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def _logged_in(self, call: Callable[[Credential], Awaitable[T]]) -> T:
        """Do something with the current credential, and after a 401 once more with a fresh one."""
        credentials = self.connection.credentials
        credential = await credentials.current()
        try:
            return await call(credential)
        except Unauthorized:
            if not credentials.expire(credential):
                raise
            return await call(await credentials.current())

    async def _fetch(
        self, request: Request, guard: Callable[[], None] | None, credential: Credential
    ) -> bytes:
        if self._requests is None:
            self._requests = self._session(POOL, aiohttp.ClientTimeout(sock_connect=CONNECT))
        if guard is not None:
            guard()
        # Not aiohttp's own total: it swallows a cancellation that comes at the same moment.
        with self._reaching(request):
            async with asyncio.timeout(TOTAL):
                async with await self._exchange(self._requests, request, credential) as response:
                    return await response.read()

    async def _exchange(
        self, session: aiohttp.ClientSession, request: Request, credential: Credential
    ) -> aiohttp.ClientResponse:
        """An answer whose body is still to be read; refusals are raised."""
        headers = self._headers.copy()
        if credential.authorization:
            headers["Authorization"] = credential.authorization
        headers.extend(request.headers)
        with self._reaching(request):
            response = await session.request(
                request.method,
                URL(self.connection.server + request.path, encoded=True),
                data=request.body,
                headers=headers,
                ssl=self._context(credential.certificate),
                server_hostname=self.connection.server_name,
                proxy=self.connection.proxy,
                allow_redirects=False,
            )
            if response.status >= 300:
                async with response:
                    raise await refusal(request, response)
            return response

    @contextlib.contextmanager
    def _reaching(self, request: Request) -> Iterator[None]:
        """Turn the HTTP library's exceptions into ours."""
        try:
            yield
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            sent = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError)
            raise self._unreachable(request, error, sent=sent) from error

    def _context(self, certificate: Certificate | None) -> ssl.SSLContext | bool:
        if not self.connection.server.startswith("https"):
            return True
        if certificate not in self._tls:
            # Rotated certificates would pile up; one context per identity in use is enough.
            self._tls = {certificate: self.connection.tls(certificate)}
        return self._tls[certificate]

    def _unreachable(self, request: Request, error: Exception, *, sent: bool) -> Unreachable:
        if isinstance(error, TimeoutError):
            text = "no answer in time"
        elif isinstance(error, aiohttp.ClientConnectorCertificateError):
            text = f"its certificate is not trusted: {error.certificate_error}"
        elif isinstance(error, aiohttp.ClientConnectorError):
            number = error.os_error.errno or 0
            text = os.strerror(number) if number > 0 else str(error.os_error)
        else:
            text = str(error) or type(error).__name__
        return Unreachable(f"API server {self.connection.server}: {text}", action=request.action, sent=sent)


def hang_up(response: aiohttp.ClientResponse) -> None:
    """Cut a stream: it has no end to wait for, and a silent peer would never take leave in TLS."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


async def refusal(request: Request, response: aiohttp.ClientResponse) -> KubeError:
    """The exception for an error answer, whatever its body is."""
    body = await response.read()
    try:
        status = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.MsgspecError:  # for example the plain `404 page not found` of an unknown group
        status = {}
    error = error_from_status(response.status, status, action=request.action, whole_kind=request.whole_kind)
    seconds = seconds_to_wait(response.headers.get("Retry-After"))
    if seconds is not None:
        error.retry_after = seconds
    return error


def seconds_to_wait(header: str | None) -> float | None:
    """A Retry-After header, in either of its forms, as seconds from now."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def pause(request: Request, error: KubeError, attempt: int) -> float | None:
    """Seconds to wait before the next attempt; None when there must be none.

    Reads are repeated after a refusal or a broken connection. Writes are repeated only when they certainly
    did not happen: the connection was refused, or the server answered 429, or 503 with a Retry-After.
    """
    if isinstance(error, Unreachable):
        hopeless = isinstance(error.__cause__, TimeoutError | aiohttp.ClientSSLError)
        again = not hopeless and (request.is_read or not error.sent)
    elif request.is_read:
        again = error.status in RETRIED_READS
    else:
        again = isinstance(error, TooManyRequests) or (error.status == 503 and error.retry_after is not None)
    if not again or attempt >= ATTEMPTS:
        return None
    backoff = BACKOFF * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.5)  # spreads load, guards nothing
    return min(LONGEST_WAIT, max(backoff, error.retry_after or 0.0))
