"""Hosts and rules as Envoy's RouteConfiguration. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flagger.sandbox.dataplane.routes import (
    Answer,
    Cors,
    Forward,
    HeaderEdit,
    HttpListener,
    Match,
    MatchKind,
    NamedMatch,
    PathMatch,
    PathRewrite,
    Redirect,
    Rule,
    Target,
    VirtualHost,
)

Json = dict[str, Any]
TYPE = "type.googleapis.com/envoy"
SHARED = "services"
"""The configuration that the listeners of all Services share."""

LISTENER_HEADER = "x-sandbox-listener"
RETRY_ON = "connect-failure,refused-stream,reset-before-request"
"""Only what no pod has seen yet is sent again: an error that an application answers with is never hidden."""
RETRIES = 3

TEXTS: Mapping[MatchKind, Callable[[str], Json]] = {
    MatchKind.EXACT: lambda text: {"exact": text},
    MatchKind.PREFIX: lambda text: {"prefix": text},
    MatchKind.SUFFIX: lambda text: {"suffix": text},
    MatchKind.CONTAINS: lambda text: {"contains": text},
    MatchKind.REGEX: lambda text: {"safe_regex": {"regex": text}},
}
REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def route_configuration(listener: HttpListener) -> Json:
    """The hosts of a listener, under the listener's name."""
    return {
        "@type": f"{TYPE}.config.route.v3.RouteConfiguration",
        "name": listener.name,
        "ignore_port_in_host_matching": listener.any_port,
        "virtual_hosts": [virtual_host(host) for host in listener.hosts],
    }


def shared_configuration(listeners: Sequence[HttpListener]) -> Json:
    """The rules of listeners to which all host names are alike; what they differ by is the listener's own name."""
    hosts = [replace(host, domains=(each.name,)) for each in listeners for host in each.hosts]
    return {
        "@type": f"{TYPE}.config.route.v3.RouteConfiguration",
        "name": SHARED,
        "vhost_header": LISTENER_HEADER,
        "request_headers_to_remove": [LISTENER_HEADER],
        "virtual_hosts": [virtual_host(host) for host in hosts],
    }


def virtual_host(host: VirtualHost) -> Json:
    """Some domains and their rules; what is sent again is the same for all of them."""
    return {
        "name": host.domains[0],
        "domains": list(host.domains),
        "routes": [route(rule) for rule in host.rules],
        "retry_policy": retries(),
    }


def route(rule: Rule) -> Json:
    """One rule."""
    written: Json = {"match": matcher(rule.match)} | action(rule.action)
    written |= header_edit("request", rule.request) | header_edit("response", rule.response)
    if rule.cors is not None:
        written["typed_per_filter_config"] = {"envoy.filters.http.cors": cors_policy(rule.cors)}
    return written


def matcher(match: Match) -> Json:
    """The conditions of a rule."""
    method = (NamedMatch(":method", MatchKind.EXACT, match.method),) if match.method else ()
    written = path_matcher(match.path)
    if method or match.headers:
        written["headers"] = [named_matcher(condition) for condition in (*method, *match.headers)]
    if match.query:
        written["query_parameters"] = [named_matcher(condition) for condition in match.query]
    return written


def path_matcher(path: PathMatch) -> Json:
    """The condition on the path."""
    if path.kind is MatchKind.EXACT:
        return {"path": path.value}
    if path.kind is MatchKind.REGEX:
        return {"safe_regex": {"regex": path.value}}
    segments = path.value.rstrip("/")
    return {"path_separated_prefix": segments} if segments else {"prefix": "/"}


def named_matcher(condition: NamedMatch) -> Json:
    """The condition on a header or a query parameter."""
    if condition.kind is MatchKind.PRESENT:
        return {"name": condition.name, "present_match": True}
    return {"name": condition.name, "string_match": TEXTS[condition.kind](condition.value)}


def action(what: Forward | Redirect | Answer) -> Json:
    """What a rule does."""
    match what:
        case Forward():
            return forwarding(what)
        case Redirect():
            return {"redirect": redirection(what)}
        case Answer(status, text):
            return {"direct_response": {"status": status, "body": {"inline_string": text}}}


def forwarding(forward: Forward) -> Json:
    """A split over clusters; parts without weight are left out, and nothing but such parts answers 500."""
    chosen = [weighted(target) for target in forward.targets if target.weight > 0]
    if not chosen:
        return action(Answer(500, "sandbox: no backend of this rule has a weight above 0\n"))
    written: Json = {
        "weighted_clusters": {"clusters": chosen},
        "timeout": duration(forward.timeout),
    }
    if forward.try_timeout:
        written["retry_policy"] = retries() | {"per_try_timeout": duration(forward.try_timeout)}
    if forward.mirrors:
        written["request_mirror_policies"] = [
            {
                "cluster": mirror.cluster,
                "runtime_fraction": {"default_value": millionths(mirror.numerator, mirror.denominator)},
                "disable_shadow_host_suffix_append": True,
            }
            for mirror in forward.mirrors
        ]
    if forward.host:
        written["host_rewrite_literal"] = forward.host
    if forward.path is not None:
        written["regex_rewrite"] = path_rewrite(forward.path)
    return {"route": written}


def weighted(target: Target) -> Json:
    """One part of a split."""
    written: Json = {"name": target.cluster, "weight": target.weight}
    return written | header_edit("request", target.request) | header_edit("response", target.response)


def retries() -> Json:
    """When a request is sent again, to another pod."""
    return {
        "retry_on": RETRY_ON,
        "num_retries": RETRIES,
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": f"{TYPE}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
    }


def millionths(numerator: int, denominator: int) -> Json:
    """A fraction as Envoy takes it."""
    return {"numerator": round(1_000_000 * numerator / denominator), "denominator": "MILLION"}


def redirection(redirect: Redirect) -> Json:
    """Where a client is sent."""
    written: Json = {"response_code": REDIRECT_CODES[redirect.status]}
    if redirect.scheme:
        written["scheme_redirect"] = redirect.scheme
    if redirect.host:
        written["host_redirect"] = redirect.host
    if redirect.port:
        written["port_redirect"] = redirect.port
    if redirect.path is not None:
        written["regex_rewrite"] = path_rewrite(redirect.path)
    return written


def path_rewrite(rewrite: PathRewrite) -> Json:
    """Another path, the query kept; by regular expression, as Envoy's prefix rewrite would double slashes."""
    replacement = rewrite.replacement.replace("\\", "\\\\")
    if rewrite.prefix is None:
        return {"pattern": {"regex": "^.*$"}, "substitution": replacement}
    prefix, replacement = re.escape(rewrite.prefix.rstrip("/")), replacement.rstrip("/")
    if replacement:
        return {"pattern": {"regex": f"^{prefix}"}, "substitution": replacement}
    return {"pattern": {"regex": f"^{prefix}/*"}, "substitution": "/"}


def header_edit(side: str, edit: HeaderEdit) -> Json:
    """Changes to the headers of the request or the response; Envoy takes a lone `%` for a variable."""
    values = [(name, value, "OVERWRITE_IF_EXISTS_OR_ADD") for name, value in edit.set]
    values += [(name, value, "APPEND_IF_EXISTS_OR_ADD") for name, value in edit.add]
    written: Json = {}
    if values:
        written[f"{side}_headers_to_add"] = [
            {"header": {"key": name, "value": value.replace("%", "%%")}, "append_action": how}
            for name, value, how in values
        ]
    if edit.remove:
        written[f"{side}_headers_to_remove"] = list(edit.remove)
    return written


def cors_policy(cors: Cors) -> Json:
    """What pages of other origins may do."""
    origins = [
        {"safe_regex": {"regex": re.escape(origin).replace(r"\*", ".*")}}
        if "*" in origin
        else {"exact": origin}
        for origin in cors.origins
    ]
    lists = {
        "allow_methods": cors.methods,
        "allow_headers": cors.headers,
        "expose_headers": cors.expose,
    }
    return {
        "@type": f"{TYPE}.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": origins,
        "allow_credentials": cors.credentials,
        "max_age": str(cors.max_age),
        "forward_not_matching_preflights": False,
    } | {name: ", ".join(values) for name, values in lists.items() if values}


def duration(time: timedelta) -> str:
    """A duration as protobuf's JSON has it: `1.500000s`."""
    return f"{time.total_seconds():.6f}s"
