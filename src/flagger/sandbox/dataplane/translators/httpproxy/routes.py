"""The routes of an HTTPProxy as rules."""

from flagger.api.errors import FieldError
from flagger.kube.objects import Object, namespace_of
from flagger.sandbox.dataplane.routes import (
    Cors,
    Forward,
    HeaderEdit,
    MatchKind,
    Mirror,
    PathMatch,
    PathRewrite,
    Rule,
    Target,
)
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.durations import duration_of
from flagger.sandbox.dataplane.translators.fronts import cluster_of
from flagger.sandbox.dataplane.translators.httpproxy.conditions import Conditions


def rule_of(route: Object, conditions: Conditions, proxy: Object, seen: Snapshot, cors: Cors | None) -> Rule:
    """One route of a proxy.

    Raises:
        FieldError: it leads nowhere, or a time limit is none.
    """
    services = route.get("services") or []
    serving = [service for service in services if not service.get("mirror")]
    if not serving:
        raise FieldError("spec.routes.services", "there is none", "name a Service")
    weights = [service.get("weight", 0) for service in serving]
    shares = weights if any(weights) else [1] * len(serving)
    request = route.get("requestHeadersPolicy") or {}
    hosts = [entry["value"] for entry in request.get("set") or () if entry["name"].lower() == "host"]
    timeouts, retries = route.get("timeoutPolicy") or {}, route.get("retryPolicy") or {}
    action = Forward(
        targets=tuple(
            _target(service, share, proxy, seen) for service, share in zip(serving, shares, strict=True)
        ),
        mirrors=tuple(
            Mirror(_cluster(service, proxy, seen), service.get("weight") or 100)
            for service in services
            if service.get("mirror")
        ),
        host=hosts[0] if hosts else "",
        path=_rewrite(route.get("pathRewritePolicy"), conditions.match.path),
        timeout=duration_of("timeoutPolicy.response", timeouts.get("response")),
        try_timeout=duration_of("retryPolicy.perTryTimeout", retries.get("perTryTimeout")),
    )
    return Rule(conditions.match, action, _edit(request), _edit(route.get("responseHeadersPolicy")), cors)


def _target(service: Object, weight: int, proxy: Object, seen: Snapshot) -> Target:
    request, response = service.get("requestHeadersPolicy"), service.get("responseHeadersPolicy")
    return Target(_cluster(service, proxy, seen), weight, _edit(request), _edit(response))


def _cluster(service: Object, proxy: Object, seen: Snapshot) -> str:
    return cluster_of(seen, namespace_of(proxy), service["name"], service["port"])


def _edit(policy: Object | None) -> HeaderEdit:
    given = policy or {}
    changes = ((entry["name"], entry["value"]) for entry in given.get("set") or ())
    kept = tuple((name, value) for name, value in changes if name.lower() != "host")
    return HeaderEdit(set=kept, remove=tuple(given.get("remove") or ()))


def _rewrite(policy: Object | None, path: PathMatch) -> PathRewrite | None:
    """The replacement for the route's own prefix, or else that for any."""
    entries = (policy or {}).get("replacePrefix") or () if path.kind is MatchKind.PREFIX else ()
    for wanted in (path.value, None):
        for entry in entries:
            if entry.get("prefix") == wanted:
                return PathRewrite(entry["replacement"], path.value)
    return None
