"""Rules about an object that need other objects: its namespace, its address, its definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.call import Call
from flagger.sandbox.apiserver.custom_resources import check_not_terminating
from flagger.sandbox.apiserver.status_errors import ApiError, details_of, forbidden
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.resource_type import Object, ResourceType

NAMESPACES = "namespaces"


def check_namespace(backend: Backend, call: Call, name: str) -> None:
    """Refuse new content in a namespace that is not there or is going away.

    Raises:
        ApiError: 404 or 403; 405 for an instance of a definition that is being deleted.
    """
    if call.kind.custom:
        check_not_terminating(backend.store, call.kind)
    if not call.kind.namespaced:
        return
    namespace = backend.store.get(NAMESPACES, ("", call.namespace))
    if namespace is None:
        message = f'namespaces "{call.namespace}" not found'
        raise ApiError(404, "NotFound", message, details=details_of(NAMESPACES, "", call.namespace))
    if namespace.fields.get("status.phase") == "Terminating":
        text = f"namespace {call.namespace} is being terminated"
        cause = Cause("NamespaceTerminating", text, "metadata.namespace")
        why = f"unable to create new content in namespace {call.namespace} because it is being terminated"
        raise forbidden(call.kind, name, why, [cause])


def _service_address(backend: Backend, obj: Object, old: Object | None) -> Sequence[Cause]:
    if old is not None and old["spec"].get("clusterIP"):
        return ()
    return backend.addresses.assign(obj)


Rule = Callable[[Backend, Object, Object | None], Sequence[Cause]]
RULES: Mapping[str, Rule] = {"services": _service_address}
"""By storage. A rule may complete the object; it returns what is wrong with it."""


def admit(backend: Backend, kind: ResourceType, obj: Object, old: Object | None) -> Sequence[Cause]:
    """Apply the rules for a kind to a prepared object."""
    rule = RULES.get(kind.storage)
    return rule(backend, obj, old) if rule else ()
