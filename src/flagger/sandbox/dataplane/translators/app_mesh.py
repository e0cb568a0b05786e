"""App Mesh: a virtual service's name is a Service's; its router, or its node, says who answers.

Both versions of the API are the same objects here, told apart by what they have: in v1beta1 the routes are part of
the virtual service, in v1beta2 it refers to a router.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flagger.api.errors import FieldError
from flagger.kube.objects import SERVICE, Object, name_of, namespace_of
from flagger.sandbox.dataplane.emit_routes import RETRY_ON
from flagger.sandbox.dataplane.kinds import APP_MESH_SERVICE, VIRTUAL_NODE, VIRTUAL_ROUTER
from flagger.sandbox.dataplane.routes import (
    MISSING_CLUSTER,
    Forward,
    Match,
    MatchKind,
    NamedMatch,
    Retries,
    Rule,
    Target,
    forward_to,
)
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.gateway.rules import check_regex
from flagger.sandbox.dataplane.translators.mesh import (
    begins_with,
    listeners_of,
    pods_of,
    service_called,
)

LAST = 1000
"""The priority of a route that has none."""
KINDS = {
    "exact": MatchKind.EXACT,
    "prefix": MatchKind.PREFIX,
    "suffix": MatchKind.SUFFIX,
    "regex": MatchKind.REGEX,
}
EVENTS = {
    "server-error": "5xx",
    "gateway-error": "gateway-error",
    "client-error": "retriable-4xx",
    "stream-error": "refused-stream",
    "connection-error": "connect-failure",
}
UNITS = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}


@dataclass(frozen=True, slots=True)
class Provided:
    """Who answers for a virtual service, and at which ports."""

    rules: Sequence[Rule] = ()
    ports: frozenset[int] = frozenset()


class AppMesh:
    """Virtual services of HTTP. One that can't be served leaves its Service as it is."""

    needs = (SERVICE, VIRTUAL_NODE, APP_MESH_SERVICE)
    uses = (VIRTUAL_ROUTER,)

    def translate(self, seen: Snapshot) -> Contribution:
        """The rules of the Services that virtual services are named after."""
        mesh: dict[str, tuple[Rule, ...]] = {}
        for virtual in seen.all(APP_MESH_SERVICE):
            service = service_called(_called(virtual), namespace_of(virtual), seen)
            try:
                provided = _provided(virtual, seen)
            except FieldError:
                continue
            for listener in listeners_of(service, seen, provided.ports):
                mesh.setdefault(listener, tuple(provided.rules))
        return Contribution(mesh=mesh)


def _called(virtual: Object) -> str:
    return virtual["spec"].get("awsName") or name_of(virtual)


def _provided(virtual: Object, seen: Snapshot) -> Provided:
    """Who answers; nobody, at no port, where a reference leads nowhere.

    Raises:
        FieldError: a regular expression of a route is none.
    """
    spec, namespace = virtual["spec"], namespace_of(virtual)
    provider = spec.get("provider")
    if provider is None:
        return _routed(spec.get("virtualRouter") or {}, spec.get("routes") or [], namespace, seen)
    if ref := (provider.get("virtualNode") or {}).get("virtualNodeRef"):
        node = seen.get(VIRTUAL_NODE, ref.get("namespace") or namespace, ref["name"])
        return Provided([forward_to(_pods(node, seen))], _ports(node["spec"])) if node else Provided()
    ref = (provider.get("virtualRouter") or {}).get("virtualRouterRef") or {}
    router = seen.get(VIRTUAL_ROUTER, ref.get("namespace") or namespace, ref.get("name", ""))
    if router is None:
        return Provided()
    return _routed(router["spec"], router["spec"].get("routes") or [], namespace_of(router), seen)


def _routed(router: Object, routes: Sequence[Object], namespace: str, seen: Snapshot) -> Provided:
    ordered = sorted(routes, key=lambda route: route.get("priority", LAST))
    rules = [_rule(route, namespace, seen) for route in ordered if _http(route)]
    return Provided(rules, _ports(router))


def _http(route: Object) -> Object:
    return route.get("http") or route.get("httpRoute") or route.get("http2Route") or {}


def _ports(spec: Object) -> frozenset[int]:
    mappings = (listener.get("portMapping") or {} for listener in spec.get("listeners") or [])
    return frozenset(mapping["port"] for mapping in mappings if "port" in mapping)


def _rule(route: Object, namespace: str, seen: Snapshot) -> Rule:
    http = _http(route)
    match = Match(
        begins_with(http["match"].get("prefix", "")),
        http["match"].get("method", ""),
        tuple(_header(header) for header in http["match"].get("headers") or []),
    )
    policy = http.get("retryPolicy") or {}
    forward = Forward(
        tuple(_target(target, namespace, seen) for target in http["action"]["weightedTargets"]),
        timeout=_time((http.get("timeout") or {}).get("perRequest")),
        try_timeout=_time(policy.get("perRetryTimeout"))
        or timedelta(milliseconds=policy.get("perRetryTimeoutMillis", 0)),
        retries=_retries(policy),
    )
    return Rule(match, forward)


def _retries(policy: Object) -> Retries | None:
    events = [*(policy.get("httpRetryEvents") or []), *(policy.get("tcpRetryEvents") or [])]
    known = (EVENTS[event] for event in events if event in EVENTS)
    return Retries(policy.get("maxRetries", 0), ",".join((RETRY_ON, *known))) if policy else None


def _header(header: Object) -> NamedMatch:
    wanted, inverted = header.get("match") or {}, header.get("invert", False)
    for how, kind in KINDS.items():
        if how in wanted:
            if kind is MatchKind.REGEX:
                check_regex(header["name"], wanted[how])
            return NamedMatch(header["name"].lower(), kind, wanted[how], inverted)
    return NamedMatch(header["name"].lower(), MatchKind.PRESENT, inverted=inverted)


def _target(target: Object, namespace: str, seen: Snapshot) -> Target:
    ref = target.get("virtualNodeRef") or {"name": target.get("virtualNodeName", "")}
    node = seen.get(VIRTUAL_NODE, ref.get("namespace") or namespace, ref["name"])
    return Target(_pods(node, seen), target["weight"])


def _pods(node: Object | None, seen: Snapshot) -> str:
    """The cluster of a node's pods, which its host name leads to."""
    dns = (node["spec"].get("serviceDiscovery") or {}).get("dns") or {} if node else {}
    host = dns.get("hostname") or dns.get("hostName")
    if node is None or not host:
        return MISSING_CLUSTER
    service = service_called(host, namespace_of(node), seen)
    return next((pods_of(service, port) for port in sorted(_ports(node["spec"]))), MISSING_CLUSTER)


def _time(given: Object | None) -> timedelta:
    return given["value"] * UNITS[given["unit"]] if given else timedelta()
