"""Where a route of a VirtualService or RouteTable leads."""

from collections.abc import Iterator

from flagger.kube.objects import Object
from flagger.sandbox.dataplane.kinds import GLOO_UPSTREAM
from flagger.sandbox.dataplane.routes import (
    MISSING_CLUSTER,
    Answer,
    Forward,
    Match,
    MatchKind,
    PathRewrite,
    Target,
)
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.durations import duration_of
from flagger.sandbox.dataplane.translators.fronts import cluster_of


def action_of(route: Object, match: Match, seen: Snapshot) -> Forward | Answer:
    """What happens to the requests of one match of a route.

    Raises:
        FieldError: its time limit is none.
    """
    targets = tuple(_targets(route.get("routeAction") or {}, seen))
    if not targets:
        return Answer(404, "sandbox: this route leads nowhere\n")
    options = route.get("options") or {}
    rewrite, timeout = options.get("prefixRewrite"), options.get("timeout")
    prefix = match.path.value if match.path.kind is MatchKind.PREFIX else None
    return Forward(
        targets,
        path=None if rewrite is None else PathRewrite(rewrite, prefix),
        timeout=duration_of("options.timeout", timeout),
    )


def _targets(action: Object, seen: Snapshot) -> Iterator[Target]:
    if action.get("single"):
        yield Target(_cluster(action["single"], seen))
    for entry in (action.get("multi") or {}).get("destinations") or ():
        yield Target(_cluster(entry.get("destination") or {}, seen), max(0, entry.get("weight") or 0))


def _cluster(destination: Object, seen: Snapshot) -> str:
    """The pods of a Service, which is named or which an Upstream stands for."""
    kube = destination.get("kube")
    if kube:
        ref = kube.get("ref") or {}
        return cluster_of(seen, ref.get("namespace", ""), ref.get("name", ""), kube.get("port", 0))
    ref = destination.get("upstream") or {}
    upstream = seen.get(GLOO_UPSTREAM, ref.get("namespace", ""), ref.get("name", ""))
    service = upstream["spec"].get("kube") if upstream else None
    if not service:
        return MISSING_CLUSTER
    port = service.get("servicePort", 0)
    return cluster_of(seen, service.get("serviceNamespace", ""), service.get("serviceName", ""), port)
