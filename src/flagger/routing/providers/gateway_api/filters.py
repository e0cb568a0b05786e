"""What a rule of an HTTPRoute does to requests and answers on their way.

What is owned and not wanted is None: a filter of another type at the same place must leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from flagger.api.canary import Canary
from flagger.api.quantities import duration_or
from flagger.api.service import BackendRef, CorsPolicy, HeaderChanges, HttpRewrite
from flagger.kube.objects import Object
from flagger.routing.manifest import named_pairs

CORS_MAX_AGE = 5  # seconds; what the HTTPRoute CRD fills in, so it is written out to cause no drift
MEMBERS = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "URLRewrite": "urlRewrite",
    "RequestMirror": "requestMirror",
    "CORS": "cors",
    "RequestRedirect": "requestRedirect",
    "ExtensionRef": "extensionRef",
    "ExternalAuth": "externalAuth",
}
"""Types of filters, and the one member that a filter of that type has."""


def service_filters(canary: Canary, *, cors: bool) -> Iterator[Object]:
    """The filters that the service asks for, at every stage of a release; `cors` says that there is such one."""
    service = canary.spec.service
    if service.headers and service.headers.request is not None:
        yield _filter("RequestHeaderModifier", _header_change(service.headers.request))
    if service.headers and service.headers.response is not None:
        yield _filter("ResponseHeaderModifier", _header_change(service.headers.response))
    if service.rewrite is not None:
        yield _filter("URLRewrite", _rewrite(service.rewrite))
    for mirror in service.mirror:
        if mirror.backend_ref is not None:
            yield mirror_to(_referred(mirror.backend_ref))
    if cors and service.cors_policy is not None:
        yield _filter("CORS", _cors(service.cors_policy))


def mirror_to(backend: Object) -> Object:
    """The filter that sends a copy of every request to `backend`."""
    return _filter("RequestMirror", {"backendRef": backend})


def adding_header(filters: Sequence[Object] | None, name: str, value: str) -> list[Object]:
    """Filters with one more header for answers; a rule may hold one modifier of answers only, so it is shared."""
    found = list(filters or ())
    if not any(_modifies_answers(item) for item in found):
        found.append(_filter("ResponseHeaderModifier", dict.fromkeys(("set", "add", "remove"))))
    header = {"name": name, "value": value}
    return [_adding(item, header) if _modifies_answers(item) else item for item in found]


def _modifies_answers(item: Object) -> bool:
    return bool(item["type"] == "ResponseHeaderModifier")


def _adding(modifier: Object, header: Object) -> Object:
    changes = modifier["responseHeaderModifier"]
    return modifier | {"responseHeaderModifier": changes | {"add": [*(changes["add"] or ()), header]}}


def _filter(kind: str, value: Object) -> Object:
    return {member: value if name == kind else None for name, member in MEMBERS.items()} | {"type": kind}


def _referred(ref: BackendRef) -> Object:
    namespace = ref.namespace or None
    return {"group": ref.group, "kind": ref.kind, "name": ref.name, "namespace": namespace, "port": ref.port}


def _header_change(changes: HeaderChanges) -> Object:
    found = {"set": named_pairs(changes.set), "add": named_pairs(changes.add), "remove": list(changes.remove)}
    return {name: values or None for name, values in found.items()}


def _rewrite(rewrite: HttpRewrite) -> Object:
    path: Object | None = None
    if rewrite.uri:
        by_prefix = rewrite.type == "ReplacePrefixMatch"
        path = {
            "type": "ReplacePrefixMatch" if by_prefix else "ReplaceFullPath",
            "replacePrefixMatch": rewrite.uri if by_prefix else None,
            "replaceFullPath": None if by_prefix else rewrite.uri,
        }
    return {"hostname": rewrite.authority or None, "path": path}


def _cors(policy: CorsPolicy) -> Object:
    lists = {
        "allowOrigins": policy.allow_origin,
        "allowMethods": policy.allow_methods,
        "allowHeaders": policy.allow_headers,
        "exposeHeaders": policy.expose_headers,
    }
    found: Object = {name: list(values) or None for name, values in lists.items()}
    found["allowCredentials"] = True if policy.allow_credentials else None
    age = duration_or(policy.max_age, timedelta()) // timedelta(seconds=1)
    return found | {"maxAge": max(age, 0) or CORS_MAX_AGE}
