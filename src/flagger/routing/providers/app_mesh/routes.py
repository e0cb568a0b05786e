"""What both versions of App Mesh's API have in common: which routes there are, and what is said of requests.

What is owned and not wanted is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flagger.api.canary import Canary
from flagger.api.names import APPMESH_ACCESS_LOG
from flagger.api.quantities import duration_or, parse_duration
from flagger.kube.objects import Object
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.base import RouteError

TESTED_PRIORITY, OTHERS_PRIORITY = 10, 20
"""The route of the requests under test comes first; the lower number wins."""
RETRY_TIMEOUT = timedelta(milliseconds=250)
RETRY_EVENTS = "gateway-error"
GATEWAY = "gateway.appmesh.k8s.aws"
_COMPARISONS = ("exact", "prefix", "suffix", "regex")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route of a virtual router; `targets` are weights by Service name, the canary's first.

    `headers` are those of the requests that it is for, None for all; `priority` is None where it is the only one.
    """

    name: str
    targets: Mapping[str, int]
    headers: Sequence[Object] | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, how long at most and after what a request is sent again."""

    attempts: int
    timeout: timedelta
    events: Sequence[str]


def apex_routes(canary: Canary, split: Split) -> Sequence[Route]:
    """The route of the apex; in an A/B test one for each condition of it, and one for all other requests.

    Raises:
        RouteError: a condition that can't be expressed; names the field.
    """
    apex, primary, _ = canary.service_names
    conditions = [_headers(canary, index) for index in range(len(canary.spec.analysis.match))]
    if not conditions:
        return [Route(name=apex, targets=_targets(canary, split))]
    tested = [
        Route(
            name=f"{apex}-a{index or ''}",
            targets=_targets(canary, split),
            headers=headers,
            priority=TESTED_PRIORITY + index,
        )
        for index, headers in enumerate(conditions)
    ]
    last = max(OTHERS_PRIORITY, TESTED_PRIORITY + len(tested))
    return [*tested, Route(name=f"{apex}-b", targets={primary: HOME.primary}, priority=last)]


def canary_route(canary: Canary) -> Route:
    """The route of the canary's own address, which never changes."""
    return Route(name=canary.service_names.canary, targets=_targets(canary, AWAY))


def path_prefix(canary: Canary) -> str:
    """The paths that the routes are for: the first prefix of the service, or all."""
    match = canary.spec.service.match
    return (match[0].uri.prefix if match and match[0].uri else "") or "/"


def protocol(canary: Canary) -> str:
    """What the listeners speak."""
    return "grpc" if "grpc" in canary.spec.service.port_name else "http"


def logging(canary: Canary) -> Object | None:
    """The access log of the nodes, if the Canary asks for it."""
    wanted = canary.metadata.annotations.get(APPMESH_ACCESS_LOG) == "enabled"
    return {"accessLog": {"file": {"path": "/dev/stdout"}}} if wanted else None


def retries(canary: Canary) -> Retries | None:
    """How requests are repeated, with what App Mesh needs to know filled in."""
    given = canary.spec.service.retries
    if given is None:
        return None
    events = [event.strip() for event in (given.retry_on or RETRY_EVENTS).split(",")]
    timeout = duration_or(given.per_try_timeout, RETRY_TIMEOUT)
    return Retries(max(given.attempts, 1), timeout, [event for event in events if event])


def time_limit(canary: Canary) -> int | None:
    """The time that a request may take, in milliseconds; a text that is no duration says nothing."""
    try:
        return milliseconds(parse_duration(canary.spec.service.timeout))
    except ValueError:
        return None


def milliseconds(time: timedelta) -> int:
    """A duration as App Mesh counts it."""
    return time // timedelta(milliseconds=1)


def gateway_annotations(canary: Canary) -> Mapping[str, str | None]:
    """What tells App Mesh's gateway to let users in from outside; nothing where there are no hosts."""
    service = canary.spec.service
    attempts = service.retries.attempts if service.retries else 0
    found = {
        "expose": "true",
        "domain": "".join(f"{host}," for host in service.hosts),
        "timeout": service.timeout or None,
        "retries": str(attempts) if attempts > 0 else None,
    }
    return {f"{GATEWAY}/{name}": text if service.hosts else None for name, text in found.items()}


def _targets(canary: Canary, split: Split) -> Mapping[str, int]:
    _, primary, candidate = canary.service_names
    return {candidate: split.canary, primary: split.primary}


def _headers(canary: Canary, index: int) -> Sequence[Object]:
    match = canary.spec.analysis.match[index]
    if match.query_params or match.source_labels or not match.headers:
        raise RouteError(
            f"spec.analysis.match[{index}] of {canary.name}.{canary.namespace}: App Mesh matches by headers only; "
            "name headers and nothing else, or choose another provider"
        )
    return [
        {"name": name, "match": {how: getattr(header, how) or None for how in _COMPARISONS}}
        for name, header in sorted(match.headers.items())
    ]
