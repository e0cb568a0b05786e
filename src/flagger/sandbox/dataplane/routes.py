"""What the data plane serves, whoever asked for it: listeners, hosts, rules and clusters.

Translators make these from cluster objects, and `emit` makes Envoy's configuration from them.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

MISSING_CLUSTER = "missing_backend"
"""The cluster that answers every request with 500: stands for a backend that a route names and nobody has."""


class MatchKind(StrEnum):
    """How a text must read."""

    EXACT = "exact"
    PREFIX = "prefix"  # of a path: whole segments, so `/a` matches `/a/b` and not `/ab`
    SUFFIX = "suffix"
    CONTAINS = "contains"
    REGEX = "regex"  # RE2, of the whole text
    PRESENT = "present"  # any value


@dataclass(frozen=True, slots=True)
class PathMatch:
    """A condition on the path, without its query."""

    kind: MatchKind = MatchKind.PREFIX
    value: str = "/"


@dataclass(frozen=True, slots=True)
class NamedMatch:
    """A condition on one header or one query parameter."""

    name: str
    kind: MatchKind
    value: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a rule is about; all conditions must hold."""

    path: PathMatch = PathMatch()
    method: str = ""  # any
    headers: tuple[NamedMatch, ...] = ()
    query: tuple[NamedMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderEdit:
    """Changes to headers: values to replace, values to add to those there, names to drop."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


UNCHANGED = HeaderEdit()


@dataclass(frozen=True, slots=True)
class Target:
    """One part of a split; `weight` is relative to the sum of the split's weights."""

    cluster: str
    weight: int = 1
    request: HeaderEdit = UNCHANGED
    response: HeaderEdit = UNCHANGED


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copies go to a cluster whose answers nobody sees, for `numerator` of `denominator` requests."""

    cluster: str
    numerator: int = 100
    denominator: int = 100


@dataclass(frozen=True, slots=True)
class PathRewrite:
    """Another path: `replacement` for the whole of it, or for the part that `prefix` matched."""

    replacement: str
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """Pass the request on to one of the targets, chosen by weight; 500 if no weight is above 0."""

    targets: tuple[Target, ...]
    mirrors: tuple[Mirror, ...] = ()
    host: str = ""  # another Host header; "" keeps it
    path: PathRewrite | None = None
    timeout: timedelta = timedelta(0)  # for the whole answer; 0 is no limit
    try_timeout: timedelta = timedelta(0)  # for one attempt


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the client elsewhere; empty parts stay as they were asked for."""

    scheme: str = ""
    host: str = ""
    port: int = 0
    path: PathRewrite | None = None
    status: int = 302


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer without asking anybody."""

    status: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Cors:
    """Which other origins' pages may read answers; `*` in an origin stands for any characters."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 5  # seconds


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to the requests of one match; the first rule of a host that matches wins."""

    match: Match
    action: Forward | Redirect | Answer
    request: HeaderEdit = UNCHANGED
    response: HeaderEdit = UNCHANGED
    cors: Cors | None = None


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The rules for some names: exact, `*.suffix`, or `*` for all that no other host names."""

    domains: tuple[str, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A TLS identity for some server names (all when empty)."""

    names: tuple[str, ...]
    chain: str = field(repr=False)  # PEM
    key: str = field(repr=False)  # PEM


@dataclass(frozen=True, slots=True)
class HttpListener:
    """HTTP at an address; `bound` is the port really listened on, where `port` may not be had.

    `names` are what the clients of the forward proxy call this listener, apart from its hosts' own domains.
    """

    name: str
    address: str
    port: int
    bound: int
    hosts: tuple[VirtualHost, ...]
    names: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()  # plain HTTP when empty
    any_port: bool = True  # do hosts match without regard to the port in the Host header?
    any_host: bool = False  # are all host names alike to it, in one entry of `hosts`?


@dataclass(frozen=True, slots=True)
class TcpListener:
    """Bytes at an address, passed on to one cluster."""

    name: str
    address: str
    port: int
    bound: int
    cluster: str
    names: tuple[str, ...] = ()


Listener = HttpListener | TcpListener


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where a process answers."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Processes that answer alike; `http2` says that they want HTTP/2 without TLS."""

    name: str
    endpoints: tuple[Endpoint, ...] = ()
    http2: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to serve."""

    listeners: tuple[Listener, ...] = ()
    clusters: tuple[Cluster, ...] = ()


def forward_to(cluster: str) -> Rule:
    """The rule that passes every request on to one cluster."""
    return Rule(Match(), Forward((Target(cluster),)))
