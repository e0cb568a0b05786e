"""GRPCRoute as the HTTPRoute that it amounts to: a gRPC method is a path."""

import re

from flagger.kube.objects import Object

ANY_SEGMENT = "[^/]+"


def as_http(route: Object) -> Object:
    """The same route with path matches in place of method matches."""
    rules = [
        rule | {"matches": [_match(match) for match in rule.get("matches") or [{}]]}
        for rule in route["spec"].get("rules") or [{}]
    ]
    return route | {"spec": route["spec"] | {"rules": rules}}


def _match(match: Object) -> Object:
    return {key: value for key, value in match.items() if key != "method"} | {
        "path": _path(match.get("method") or {})
    }


def _path(method: Object) -> Object:
    service, name = method.get("service"), method.get("method")
    if method.get("type") == "RegularExpression":
        return {"type": "RegularExpression", "value": f"/{service or ANY_SEGMENT}/{name or ANY_SEGMENT}"}
    if service and name:
        return {"type": "Exact", "value": f"/{service}/{name}"}
    if name:
        return {"type": "RegularExpression", "value": f"/{ANY_SEGMENT}/{re.escape(name)}"}
    return {"type": "PathPrefix", "value": f"/{service}" if service else "/"}
