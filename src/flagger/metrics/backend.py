"""What backends over HTTP have in common: address, credentials, TLS, requests, and the phrasing of what went wrong."""

import math
import ssl
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from yarl import URL

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.metrics.base import NoData, ProviderError, Reading, Sample, Tools
from flagger.outbound import Answer, Call, Outbound, OutboundError, basic, excerpt, shown_address
from flagger.proxies import Proxies

T = TypeVar("T")
Json = dict[str, Any]
"""A JSON object of somebody else's."""
Lines = Sequence[tuple[str, str]]
"""Header lines or query parameters, in order."""

REDIRECTS = 10
WINDOWS = 10  # how many windows of a metric the backends that want a time range look back, as upstream has it
CA = "ca.crt"
"""Key of the Secret, for every HTTP backend: certificates (PEM) to trust beside the system's."""
PUBLIC = frozenset({CA, "username", "org", "project", "newrelic_account_id"})
"""Keys of Secrets whose values may be shown: masking them would hide half of a query."""
Pick = Callable[[bytes], Sample | float | None]
"""Finds the number in a body; may raise UnusableError or ValueError."""


class UnusableError(Exception):
    """An answer that a metric cannot be judged by; the text says why."""


@dataclass(frozen=True, slots=True)
class Backend:
    """An HTTP backend: where it is and what must not be shown; asks, and phrases what went wrong."""

    outbound: Outbound
    address: str
    """Base URL as the user wrote it; a path is a prefix, user info becomes Basic authentication."""
    secrets: Sequence[str] = ()
    """Values that must not appear in messages."""
    name: str = "the backend"
    """Whose answers are expected, for messages."""
    headers: Lines = ()
    verify: bool | ssl.SSLContext = True
    proxies: Proxies = field(default_factory=Proxies)

    @classmethod
    def of(
        cls,
        name: str,
        spec: ProviderSpec,
        credentials: Mapping[str, str],
        tools: Tools,
        *,
        default: str = "",
        headers: Lines = (),
    ) -> Self:
        """Read what all HTTP backends have in common; `headers` win over the user's of the same name.

        Raises:
            FieldError: the address is no URL, or the Secret's certificates are none.
        """
        address = spec.address or default
        check_address("spec.provider.address", address, spec.type)
        ours = {line[0].lower() for line in headers}
        theirs = [(key, one) for key, values in spec.headers.items() for one in values]
        lines = (*(line for line in theirs if line[0].lower() not in ours), *headers)
        secrets = tuple(value for key, value in credentials.items() if key not in PUBLIC)
        verify = _verification(spec, credentials)
        return cls(tools.outbound, address, secrets, name, lines, verify, tools.proxies)

    def url(self, path: str, params: Lines = ()) -> str:
        """Return the address with `path` behind its own, and these query parameters alone."""
        where = urlsplit(self.address)
        return urlunsplit(
            (where.scheme, where.netloc, where.path.rstrip("/") + path, urlencode(list(params)), "")
        )

    def get(self, path: str, params: Lines = ()) -> Call:
        """Return a GET of `path`."""
        url = self.url(path, params)
        return Call(
            url=url,
            headers=self.headers,
            redirects=REDIRECTS,
            verify=self.verify,
            proxy=self.proxies.for_url(URL(url)) or "",
        )

    def post(self, path: str, content: object, *, params: Lines = (), within: timedelta) -> Call:
        """Return a POST of JSON to `path`."""
        headers = (*self.headers, ("Content-Type", "application/json"))
        body = msgspec.json.encode(content)
        return replace(self.get(path, params), method="POST", headers=headers, body=body, within=within)

    async def ask(self, call: Call, query: str = "", *, well: Container[int] = ()) -> Answer | ProviderError:
        """Send a request that carries `query`; every status from 300 on is an error, but for those in `well`."""
        try:
            answer = await self.outbound.send(call)
        except OutboundError as error:
            return self.error(error.problem, query)
        if answer.status >= 300 and answer.status not in well:
            return self.error(answer.status_line, query, answer.body)
        return answer

    async def check(self, call: Call, *, well: Container[int] = ()) -> ProviderError | None:
        """Return what is wrong with a backend that does not answer `call` well, or None."""
        answer = await self.ask(call, well=well)
        return answer if isinstance(answer, ProviderError) else None

    async def read(self, call: Call, query: str, pick: Pick) -> Reading:
        """Ask, and `pick` the number from the body."""
        answer = await self.ask(call, query)
        if isinstance(answer, ProviderError):
            return answer
        return self.picked(answer.body, query, pick)

    def picked(self, body: bytes, query: str, pick: Pick) -> Reading:
        """Return what `pick` finds in a body. NaN is no data, whoever says it."""
        try:
            found = pick(body)
        except UnusableError as error:
            return self.error(str(error), query, body)
        except (ValueError, RecursionError):  # also what the JSON decoder raises
            return self.error(f"this is no answer of {self.name}", query, body)
        sample = Sample(found) if isinstance(found, int | float) else found
        return self.no_data(query) if sample is None or math.isnan(sample.value) else sample

    def error(self, problem: str, query: str, body: bytes = b"") -> ProviderError:
        """Return an error that names the address, the query and the beginning of what came back."""
        came_back = f": {excerpt(body, secrets=self.secrets, limit=300)}" if body else ""
        return ProviderError(self._sentence(f"{problem}{came_back}", query))

    def no_data(self, query: str) -> NoData:
        """Return that the backend has no value for `query`."""
        return NoData(self._sentence("no values found", query))

    def _sentence(self, what: str, query: str) -> str:
        asked = excerpt(query, secrets=self.secrets, limit=400)
        said = excerpt(what, secrets=self.secrets)
        return f"{shown_address(self.address)}: {said}" + (f" (query: {asked})" if asked else "")


def with_header(call: Call, name: str, value: str) -> Call:
    """Return the call with a header in place of others of that name."""
    kept = (line for line in call.headers if line[0].lower() != name.lower())
    return replace(call, headers=(*kept, (name, value)))


def decode(body: bytes, shape: type[T]) -> T:
    """Return a JSON body as `shape`; what it does not name is ignored.

    Raises:
        ValueError: this is no JSON, or it has another shape.
    """
    return msgspec.json.decode(body, type=shape)


def check_address(field: str, address: str, backend: str) -> None:
    """Check that a backend's address can be used.

    Raises:
        FieldError: it is not an absolute http or https URL.
    """
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        problem = f"{backend} address {shown_address(address)!r} is not a valid URL"
        raise FieldError(field, problem, "write it as http://host:port")


def required(credentials: Mapping[str, str], backend: str, *keys: str) -> list[str]:
    """Return the values of keys that the Secret must have.

    Raises:
        FieldError: the first one that is missing or empty.
    """
    for key in keys:
        if not credentials.get(key):
            problem = f"{backend} credentials does not contain a {key}"
            raise FieldError(
                "spec.provider.secretRef", problem, f"reference a Secret with {' and '.join(keys)}"
            )
    return [credentials[key] for key in keys]


def authorization(backend: str, credentials: Mapping[str, str]) -> Lines:
    """Return the Basic authorization of a Secret with `username` and `password`."""
    return [("Authorization", basic(*required(credentials, backend, "username", "password")))]


def time_range(clock: Callable[[], float], window: timedelta) -> tuple[float, float]:
    """Return where a look back begins and ends: ten windows up to now, in seconds since 1970."""
    end = clock()
    return end - WINDOWS * window.total_seconds(), end


def _verification(spec: ProviderSpec, credentials: Mapping[str, str]) -> bool | ssl.SSLContext:
    """Return whether, or by what, the server's certificate is verified."""
    if spec.insecure_skip_verify or CA not in credentials:
        return not spec.insecure_skip_verify
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=credentials[CA])
    except (ssl.SSLError, ValueError) as error:
        problem = f"{CA} holds no certificate in PEM form"
        raise FieldError("spec.provider.secretRef", problem, "put the CA's certificates there") from error
    return context
