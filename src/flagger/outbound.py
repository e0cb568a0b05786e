"""Every outgoing HTTP call that does not go to the API server: metric queries, hooks, chat messages.

One place for time limits, size caps, redirects, TLS and proxies, and for messages that show no credential.
"""

import asyncio
import base64
import ipaddress
import os
import re
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

MIB = 1024 * 1024
EXCERPT = 512  # characters of a body that may be shown; an Event's message must stay below 1 kB
PER_HOST = 32  # calls in flight to one scheme, host and port; the next one waits within its own time limit

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXACT = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
"""URLs that need no quoting: they are sent as they are, since signatures may cover every character."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Failure(StrEnum):
    """Why no answer was obtained."""

    REFUSED = "refused"
    """No connection: refused, unreachable, or the proxy cannot be reached."""
    TIMEOUT = "timeout"
    DNS = "dns"
    TLS = "tls"
    TOO_LARGE = "too large"
    PROTOCOL = "protocol"
    """The connection broke off, or what came back is not HTTP."""
    ADDRESS = "address"
    """Nothing was sent: the URL or a header cannot be used."""


class OutboundError(Exception):
    """A call that brought no answer; `address` and the text never contain credentials."""

    def __init__(self, kind: Failure, address: str, problem: str) -> None:
        super().__init__(f"{address}: {problem}")
        self.kind, self.address, self.problem = kind, address, problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request and the limits it runs under."""

    url: str
    """Absolute http or https URL; user info in it becomes Basic authentication unless `headers` authorise."""
    method: str = "GET"
    headers: Sequence[tuple[str, str]] = ()
    """Header lines, in order; a name may occur more than once."""
    body: bytes | None = field(default=None, repr=False)
    within: timedelta = timedelta(seconds=5)
    """Limit for everything: waiting for a free connection, name, connect, TLS, redirects, the whole body."""
    connect_within: timedelta = timedelta(seconds=3)
    max_body: int = MIB
    """Cap on the decompressed body in bytes."""
    cut: bool = False
    """At the cap: keep what fits and hang up (True), or raise `Failure.TOO_LARGE` (False)."""
    redirects: int = 0
    """How many redirects are followed; GET only. Headers stay behind when the origin changes."""
    verify: bool = True
    """Whether the server's certificate has to be valid."""
    proxy: str = ""
    """Proxy URL of this call; empty means what `Proxies` says."""
    fresh: bool = False
    """Use a connection of its own and close it: one that is kept may be closed by the receiver just when it
    is used again, and a POST that was lost that way cannot be repeated."""
    address: str = ""
    """What messages call the receiver when the path is a secret too; default: see `shown_address`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response, or its beginning when `cut`."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case; of a repeated header the last line."""
    body: bytes
    cut: bool = False

    @property
    def status_line(self) -> str:
        """For instance `503 Service Unavailable`."""
        return f"{self.status} {excerpt(self.reason.encode(), limit=60)}".strip()


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy serves which URL; the rules of Go's `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`."""

    http: str = ""
    https: str = ""
    exempt: tuple[str, ...] = ()
    """Entries of NO_PROXY: `*`, host, `.domain`, address or CIDR, each with an optional port."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the three variables, upper case first."""

        def value(name: str) -> str:
            return environ.get(name.upper()) or environ.get(name, "")

        entries = tuple(entry.strip().lower() for entry in value("no_proxy").split(",") if entry.strip())
        return cls(value("http_proxy"), value("https_proxy"), entries)

    def for_url(self, url: URL) -> str | None:
        """Return the proxy for `url`, or None for a direct connection. Loopback is always direct."""
        proxy = self.https if url.scheme == "https" else self.http
        host = (url.host or "").lower().rstrip(".")
        if not proxy or host == "localhost" or _is_loopback(host):
            return None
        if any(_exempts(entry, host, url.port) for entry in self.exempt):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"


class Outbound:
    """A pool of connections for outgoing calls; use it as an async context manager."""

    def __init__(
        self,
        *,
        resolver: AbstractResolver | None = None,
        proxies: Proxies | None = None,
        per_host: int = PER_HOST,
    ) -> None:
        """`resolver` replaces the system's name resolution and is asked anew for each connection."""
        self._resolver = resolver
        self._proxies = proxies or Proxies()
        self._per_host = per_host
        self._sessions: Mapping[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        self._sessions = {fresh: self._session(fresh=fresh) for fresh in (False, True)}
        return self

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # only per host: receivers that hang must not use up the connections of others
            limit_per_host=self._per_host,
            resolver=self._resolver,
            use_dns_cache=self._resolver is None,
            force_close=fresh,
        )
        agent = {"User-Agent": "flagger"} | ({"Connection": "close"} if fresh else {})
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=agent)

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def send(self, call: Call) -> Answer:
        """Make one call, without retries.

        Raises:
            OutboundError: no complete answer within the limits. Any status code is an answer.
        """
        url = _parse(call)
        async with _translated(call), asyncio.timeout(call.within.total_seconds()):
            for _ in range(call.redirects + 1):
                answer = await self._exchange(call, url)
                following = _target(call, url, answer)
                if following is None:
                    return answer
                url = following
        raise OutboundError(Failure.PROTOCOL, _name(call), f"more than {call.redirects} redirects")

    async def _exchange(self, call: Call, url: URL) -> Answer:
        """Send one request and read the response up to the cap."""
        if not self._sessions:
            raise RuntimeError("Outbound is used before it was entered or after it was closed")
        headers = _headers(call, url)
        async with self._sessions[call.fresh].request(
            call.method,
            url.with_user(None),
            headers=headers,
            data=call.body,
            allow_redirects=False,
            ssl=call.verify,
            proxy=call.proxy or self._proxies.for_url(url),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=call.connect_within.total_seconds()),
        ) as response:
            body, cut = await _read(response.content, call.max_body)
            if cut:
                response.close()  # the rest of the body must not be waited for
                if not call.cut:
                    raise OutboundError(
                        Failure.TOO_LARGE, _name(call), f"the answer is larger than {call.max_body} bytes"
                    )
            received = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, response.reason or "", MappingProxyType(received), body, cut)


def excerpt(text: bytes | str, *, secrets: Iterable[str] = (), limit: int = EXCERPT) -> str:
    """Return the beginning of a body for a message: one line, no control characters, no known secret."""
    # Decode a little more than is shown, so that a secret at the edge is seen whole.
    shown = text[: 8 * limit].decode(errors="replace") if isinstance(text, bytes) else text
    for secret in secrets:
        if secret:
            shown = shown.replace(secret, "***")
    shown = _CONTROL.sub(" ", shown).strip()
    return shown if len(shown) <= limit else shown[:limit].rstrip() + "…"


def shown_address(url: str) -> str:
    """Return `url` without user info, query and fragment, for messages."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    return re.sub(r"//.*@", "//", excerpt(bare))


async def _read(content: aiohttp.StreamReader, cap: int) -> tuple[bytes, bool]:
    """Read at most `cap` bytes; the flag tells whether there was more."""
    parts: list[bytes] = []
    size = 0
    async for part in content.iter_any():
        parts.append(part)
        size += len(part)
        if size > cap:
            return b"".join(parts)[:cap], True
    return b"".join(parts), False


def _parse(call: Call) -> URL:
    problem = "is not a valid http or https URL"
    try:
        url = URL(call.url)
        if _EXACT.fullmatch(call.url):
            url = URL(call.url, encoded=True)
    except ValueError as error:
        raise OutboundError(Failure.ADDRESS, _name(call), problem) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise OutboundError(Failure.ADDRESS, _name(call), problem)
    return url


def _name(call: Call) -> str:
    return call.address or shown_address(call.url)


def _headers(call: Call, url: URL) -> list[tuple[str, str]]:
    """Return the header lines for `url`: none once a redirect has left the origin they were written for."""
    first = URL(call.url)
    if (url.scheme, url.host, url.port) != (first.scheme, first.host, first.port):
        return []
    given = list(call.headers)
    if first.user is not None and not any(name.lower() == "authorization" for name, _ in given):
        given.append(("Authorization", basic(first.user, first.password or "")))
    return given


def basic(user: str, password: str) -> str:
    """Return the value of a Basic `Authorization` header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _target(call: Call, url: URL, answer: Answer) -> URL | None:
    """Return where a followed redirect leads, or None when `answer` is final."""
    location = answer.headers.get("location", "")
    if call.redirects == 0 or call.method != "GET" or answer.status not in _REDIRECTS or not location:
        return None
    try:
        target = url.join(URL(location))
    except ValueError as error:
        raise OutboundError(Failure.PROTOCOL, _name(call), "redirects to an invalid address") from error
    if target.scheme not in ("http", "https") or not target.host:
        raise OutboundError(Failure.PROTOCOL, _name(call), "redirects to an invalid address")
    return target


@asynccontextmanager
async def _translated(call: Call) -> AsyncIterator[None]:
    """Turn the client library's exceptions into `OutboundError`, without the texts that may show the URL."""
    name = _name(call)
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise OutboundError(
            Failure.TIMEOUT, name, f"no connection within {_span(call.connect_within)}"
        ) from error
    except TimeoutError as error:
        raise OutboundError(
            Failure.TIMEOUT, name, f"no complete answer within {_span(call.within)}"
        ) from error
    except aiohttp.ClientConnectorDNSError as error:
        raise OutboundError(Failure.DNS, name, f"the name {error.host} does not resolve") from error
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
        raise OutboundError(Failure.TLS, name, _tls_problem(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise OutboundError(Failure.REFUSED, name, _os_problem(error.os_error)) from error
    except aiohttp.ClientHttpProxyError as error:
        raise OutboundError(Failure.REFUSED, name, f"the proxy answered {error.status}") from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise OutboundError(Failure.ADDRESS, name, "is not a valid http or https URL") from error
    except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
        raise OutboundError(Failure.PROTOCOL, name, "the answer is not valid HTTP or broke off") from error
    except (aiohttp.ClientError, OSError) as error:
        raise OutboundError(
            Failure.PROTOCOL, name, "the connection was closed before an answer came"
        ) from error
    except ValueError as error:  # a header with a line break, a URL that the library refuses late
        raise OutboundError(Failure.ADDRESS, name, "the URL or a header is not valid") from error


def _tls_problem(error: Exception) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {cause.verify_message}"
    reason = getattr(cause, "reason", None) or "handshake failed"
    return f"TLS failed: {reason}"


def _os_problem(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else "no connection"


def _span(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}s"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _exempts(entry: str, host: str, port: int | None) -> bool:
    """Tell whether a NO_PROXY entry covers `host` (lower case) and `port`."""
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        try:
            return ipaddress.ip_address(host) in network
        except ValueError:
            return False
    name, _, wanted = entry.partition(":")
    if wanted and wanted != str(port):
        return False
    name = name.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
