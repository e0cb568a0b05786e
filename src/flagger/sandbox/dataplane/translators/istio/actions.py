"""What a route of a VirtualService does with its requests."""

from collections.abc import Iterator
from datetime import timedelta

from flagger.api.quantities import parse_duration
from flagger.kube.objects import Object
from flagger.sandbox.dataplane.routes import (
    UNCHANGED,
    Answer,
    Cors,
    Fault,
    Forward,
    HeaderEdit,
    Mirror,
    PathRewrite,
    Redirect,
    Retries,
    Target,
)
from flagger.sandbox.dataplane.translators.istio.scope import Scope, cluster_of

RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,503"
"""After what Istio sends a request again unless it is told otherwise."""
PER_PERCENT = 10_000  # parts of a million


def action(route: Object, wanted: Object, scope: Scope) -> Forward | Redirect | Answer:
    """The action of a route for the requests of one of its conditions."""
    if "directResponse" in route:
        answer = route["directResponse"]
        return Answer(answer["status"], (answer.get("body") or {}).get("string", ""))
    if "redirect" in route:
        return _redirect(route["redirect"])
    retries, rewrite = route.get("retries"), route.get("rewrite") or {}
    return Forward(
        targets=targets(route, scope),
        mirrors=tuple(_mirrors(route, scope)),
        host=rewrite.get("authority", "") or host_of(route.get("headers")),
        path=_path(rewrite.get("uri", ""), wanted.get("uri") or {"prefix": "/"}),
        timeout=_duration(route.get("timeout")),
        try_timeout=_duration((retries or {}).get("perTryTimeout")),
        retries=_retries(retries) if retries is not None else None,
    )


def targets(route: Object, scope: Scope) -> tuple[Target, ...]:
    """The destinations with their weights, which a lone one doesn't need."""
    entries = route.get("route") or []
    return tuple(
        Target(
            cluster_of(entry["destination"], scope),
            1 if len(entries) == 1 else entry.get("weight", 0),
            *header_edits(entry),
        )
        for entry in entries
    )


def header_edits(owner: Object) -> tuple[HeaderEdit, HeaderEdit]:
    """What a route or a destination changes in requests and in answers; the host has a way of its own."""
    headers = owner.get("headers") or {}
    return _edit(headers.get("request")), _edit(headers.get("response"))


def host_of(headers: Object | None) -> str:
    """The host that header changes set."""
    found = ((headers or {}).get("request") or {}).get("set") or {}
    return next((value for name, value in found.items() if _is_host(name)), "")


def cors_of(route: Object) -> Cors | None:
    """What pages of other origins may do."""
    policy = route.get("corsPolicy")
    if not policy:
        return None
    return Cors(
        origins=tuple(_origins(policy)),
        methods=tuple(policy.get("allowMethods") or ()),
        headers=tuple(policy.get("allowHeaders") or ()),
        expose=tuple(policy.get("exposeHeaders") or ()),
        credentials=bool(policy.get("allowCredentials")),
        max_age=_duration(policy.get("maxAge")) // timedelta(seconds=1),
    )


def fault_of(route: Object) -> Fault | None:
    """What is done to requests on purpose."""
    wanted = route.get("fault") or {}
    delay, abort = wanted.get("delay") or {}, wanted.get("abort") or {}
    if not (delay.get("fixedDelay") or abort.get("httpStatus")):
        return None
    return Fault(
        delay=_duration(delay.get("fixedDelay")),
        delayed=_percent(delay.get("percentage"), delay.get("percent")),
        status=abort.get("httpStatus", 0),
        aborted=_percent(abort.get("percentage")),
    )


def _retries(wanted: Object) -> Retries:
    """Istio takes statuses among the conditions, Envoy has a list of their own for them."""
    conditions = [text.strip() for text in (wanted.get("retryOn") or RETRY_ON).split(",")]
    statuses = tuple(int(text) for text in conditions if text.isdecimal())
    named = [text for text in conditions if not text.isdecimal()]
    on = ",".join([*named, *(["retriable-status-codes"] if statuses else [])])
    return Retries(wanted.get("attempts", 0), on, statuses)


def _mirrors(route: Object, scope: Scope) -> Iterator[Mirror]:
    if "mirror" in route:
        share = _percent(route.get("mirrorPercentage"), route.get("mirrorPercent"))
        yield _mirror(route["mirror"], share, scope)
    for entry in route.get("mirrors") or []:
        yield _mirror(entry["destination"], _percent(entry.get("percentage")), scope)


def _mirror(destination: Object, percent: float, scope: Scope) -> Mirror:
    return Mirror(cluster_of(destination, scope), round(percent * PER_PERCENT), 100 * PER_PERCENT)


def _percent(share: Object | None, whole: int | None = None) -> float:
    """A share, or its older form as a whole number; everything where neither is given."""
    if share is not None:
        return float(share.get("value", 0))
    return 100.0 if whole is None else float(whole)


def _path(replacement: str, uri: Object) -> PathRewrite | None:
    """What was matched is replaced: a prefix by itself, anything else as a whole."""
    return PathRewrite(replacement, uri.get("prefix")) if replacement else None


def _redirect(wanted: Object) -> Redirect:
    return Redirect(
        scheme=wanted.get("scheme", ""),
        host=wanted.get("authority", ""),
        port=wanted.get("port", 0),
        path=PathRewrite(wanted["uri"]) if wanted.get("uri") else None,
        status=wanted.get("redirectCode", 301),
    )


def _edit(changes: Object | None) -> HeaderEdit:
    if not changes:
        return UNCHANGED
    return HeaderEdit(
        _pairs(changes.get("set")),
        _pairs(changes.get("add")),
        tuple(name for name in changes.get("remove") or () if not _is_host(name)),
    )


def _pairs(headers: Object | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in (headers or {}).items() if not _is_host(name))


def _is_host(name: str) -> bool:
    return name.lower() in {"host", ":authority"}


def _origins(policy: Object) -> Iterator[str]:
    yield from policy.get("allowOrigin") or ()
    for text in policy.get("allowOrigins") or ():
        if text.get("regex") == ".*":
            yield "*"
        elif "prefix" in text:
            yield f"{text['prefix']}*"
        elif "exact" in text:
            yield text["exact"]


def _duration(text: str | None) -> timedelta:
    return parse_duration(text) if text else timedelta(0)
