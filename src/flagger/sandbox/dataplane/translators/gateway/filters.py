"""A rule's filters: a function per type, which adds to what the rule does. Unknown types refuse the route."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from flagger.api.errors import FieldError
from flagger.kube.objects import Object
from flagger.sandbox.dataplane.routes import UNCHANGED, Cors, HeaderEdit, Mirror, PathRewrite, Redirect
from flagger.sandbox.dataplane.translators.gateway.backends import Scope, cluster_or_missing

PREFIX_REWRITE = "ReplacePrefixMatch"


@dataclass(frozen=True, slots=True)
class Effects:
    """What the filters of a rule, or of one backend, amount to."""

    request: HeaderEdit = UNCHANGED
    response: HeaderEdit = UNCHANGED
    host: str = ""
    path: PathRewrite | None = None  # its prefix is "" where the match's own is meant
    mirrors: tuple[Mirror, ...] = ()
    redirect: Redirect | None = None
    cors: Cors | None = None


def effects_of(owner: Object, scope: Scope) -> Effects:
    """The effects of all filters of a rule or backendRef, in order.

    Raises:
        FieldError: a filter cannot be applied here.
    """
    effects = Effects()
    for entry in owner.get("filters") or []:
        apply = FILTERS.get(entry["type"])
        if apply is None:
            known = ", ".join(sorted(FILTERS))
            raise FieldError("filters", f"the sandbox knows no filter {entry['type']}", f"use one of {known}")
        effects = apply(effects, entry, scope)
    return effects


def _request_headers(effects: Effects, entry: Object, _: Scope) -> Effects:
    """Envoy edits the Host header by other means than the rest, so it is taken out."""
    edit = header_edit(entry["requestHeaderModifier"])
    hosts = [value for name, value in edit.set + edit.add if name.lower() == "host"]
    kept = HeaderEdit(
        tuple(pair for pair in edit.set if pair[0].lower() != "host"),
        tuple(pair for pair in edit.add if pair[0].lower() != "host"),
        tuple(name for name in edit.remove if name.lower() != "host"),
    )
    return replace(effects, request=_both(effects.request, kept), host=hosts[-1] if hosts else effects.host)


def _response_headers(effects: Effects, entry: Object, _: Scope) -> Effects:
    return replace(effects, response=_both(effects.response, header_edit(entry["responseHeaderModifier"])))


def _url_rewrite(effects: Effects, entry: Object, _: Scope) -> Effects:
    rewrite = entry["urlRewrite"]
    return replace(effects, host=rewrite.get("hostname", effects.host), path=_path(rewrite.get("path")))


def _mirror(effects: Effects, entry: Object, scope: Scope) -> Effects:
    mirror = entry["requestMirror"]
    fraction = mirror.get("fraction") or {"numerator": mirror.get("percent", 100)}
    copy = Mirror(
        cluster_or_missing(mirror["backendRef"], scope),
        fraction["numerator"],
        fraction.get("denominator", 100),
    )
    return replace(effects, mirrors=(*effects.mirrors, copy))


def _redirect(effects: Effects, entry: Object, _: Scope) -> Effects:
    wanted = entry["requestRedirect"]
    redirect = Redirect(
        scheme=wanted.get("scheme", ""),
        host=wanted.get("hostname", ""),
        port=wanted.get("port", 0),
        path=_path(wanted.get("path")),
        status=wanted.get("statusCode", 302),
    )
    return replace(effects, redirect=redirect)


def _cors(effects: Effects, entry: Object, _: Scope) -> Effects:
    wanted = entry["cors"]
    cors = Cors(
        origins=tuple(wanted.get("allowOrigins") or ()),
        methods=tuple(wanted.get("allowMethods") or ()),
        headers=tuple(wanted.get("allowHeaders") or ()),
        expose=tuple(wanted.get("exposeHeaders") or ()),
        credentials=wanted.get("allowCredentials", False),
        max_age=wanted.get("maxAge", 5),
    )
    return replace(effects, cors=cors)


FILTERS: Mapping[str, Callable[[Effects, Object, Scope], Effects]] = {
    "RequestHeaderModifier": _request_headers,
    "ResponseHeaderModifier": _response_headers,
    "URLRewrite": _url_rewrite,
    "RequestMirror": _mirror,
    "RequestRedirect": _redirect,
    "CORS": _cors,
}


def header_edit(modifier: Object) -> HeaderEdit:
    """A header modifier; a filter with an empty one changes nothing."""
    return HeaderEdit(
        tuple((entry["name"], entry["value"]) for entry in modifier.get("set") or []),
        tuple((entry["name"], entry["value"]) for entry in modifier.get("add") or []),
        tuple(modifier.get("remove") or []),
    )


def _both(one: HeaderEdit, other: HeaderEdit) -> HeaderEdit:
    return HeaderEdit(one.set + other.set, one.add + other.add, one.remove + other.remove)


def _path(modifier: Object | None) -> PathRewrite | None:
    if not modifier:
        return None
    if modifier["type"] == PREFIX_REWRITE:
        return PathRewrite(modifier.get("replacePrefixMatch", ""), prefix="")
    return PathRewrite(modifier.get("replaceFullPath", ""))
