"""From a request's method and target to the function that answers it: tables, and the checks around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp.web import StreamResponse

from flagger.sandbox.apiserver import deletion, eviction, logs, patches, reads, reviews, subresources, writes
from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.call import FALSE, Call
from flagger.sandbox.apiserver.present import Answer
from flagger.sandbox.apiserver.routes import Target
from flagger.sandbox.apiserver.status_errors import ApiError, method_not_allowed
from flagger.sandbox.apiserver.watch import serve_watch

Result = Answer | StreamResponse
Handler = Callable[[Backend, Call], Result | Awaitable[Result]]

COLLECTION: Mapping[str, str] = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
ITEM: Mapping[str, str] = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
SUBRESOURCE: Mapping[str, str] = {**ITEM, "POST": "create"}

VERBS: Mapping[str, Handler] = {
    "get": reads.get,
    "list": reads.list_objects,
    "watch": lambda backend, call: serve_watch(backend.hub, call),
    "create": writes.create,
    "update": writes.update,
    "patch": patches.patch,
    "delete": deletion.delete,
    "deletecollection": deletion.delete_collection,
}


def _upgrade_required(_: Backend, call: Call) -> Answer:
    raise ApiError(400, "BadRequest", "Upgrade request required")


def _no_proxy(_: Backend, call: Call) -> Answer:
    raise ApiError(501, "NotImplemented", f"{call.target.resource} is not implemented by this server")


SUBRESOURCES: Mapping[tuple[str, str], Handler] = {
    ("get", "status"): reads.get,
    ("update", "status"): writes.update,
    ("patch", "status"): patches.patch,
    ("get", "scale"): subresources.get_scale,
    ("update", "scale"): subresources.put_scale,
    ("patch", "scale"): subresources.patch_scale,
    ("get", "ephemeralcontainers"): reads.get,
    ("update", "ephemeralcontainers"): subresources.put_ephemeral_containers,
    ("patch", "ephemeralcontainers"): subresources.patch_ephemeral_containers,
    ("create", "binding"): subresources.bind,
    ("create", "eviction"): eviction.evict,
    ("create", "token"): reviews.token_request,
    ("update", "finalize"): subresources.finalize,
    ("get", "log"): logs.pod_log,
    **{
        (verb, name): _upgrade_required
        for name in ("exec", "attach", "portforward")
        for verb in ("get", "create")
    },
    **{(verb, "proxy"): _no_proxy for verb in ("get", "create", "update", "patch", "delete")},
}
CREATES: Mapping[str, Handler] = {**reviews.REVIEWS, "bindings": subresources.bind_by_collection}
"""Plural → handler of kinds that can only be posted and are not stored."""


def verb_of(method: str, target: Target, query: Mapping[str, str]) -> str:
    """Return the API verb of a request.

    Raises:
        ApiError: 405, the resource does not have it.
    """
    if target.watch and method == "GET" and "watch" in target.kind.verbs:
        return "watch"
    verb = _table(target).get(method, "")
    if verb not in _verbs(target) or (verb in {"create", "deletecollection"} and _lacks_namespace(target)):
        raise method_not_allowed()
    wants_watch = verb == "list" and query.get("watch", "0") not in FALSE and query["watch"] != ""
    return "watch" if wants_watch else verb


def _table(target: Target) -> Mapping[str, str]:
    if not target.name:
        return COLLECTION
    return SUBRESOURCE if target.subresource else ITEM


def _verbs(target: Target) -> tuple[str, ...]:
    if not target.subresource:
        return target.kind.verbs
    return next(item.verbs for item in target.kind.subresource_table if item.name == target.subresource)


def _lacks_namespace(target: Target) -> bool:
    return target.kind.namespaced and target.namespace is None


def handler_of(verb: str, target: Target) -> Handler:
    """Return the function that answers a verb on a target.

    Raises:
        ApiError: 405.
    """
    if target.subresource:
        handler = SUBRESOURCES.get((verb, target.subresource))
    elif verb == "create" and target.kind.verbs == ("create",):
        handler = CREATES.get(target.kind.plural)
    else:
        handler = VERBS.get(verb)
    if handler is None:
        raise method_not_allowed()
    return handler


SHAPED = frozenset({"get", "create", "update", "patch"})


def has_shapes(verb: str, target: Target) -> bool:
    """Tell whether the answer is an object of the kind, which can be shown as a table or as metadata."""
    plain_kind = target.subresource in {"", "status", "ephemeralcontainers", "finalize"}
    return plain_kind and not (verb == "create" and target.kind.verbs == ("create",))
