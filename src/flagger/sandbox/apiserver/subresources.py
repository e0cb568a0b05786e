"""Subresources that change an object by another form: scale, binding, finalize, ephemeral containers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.bodies import object_of, parse
from flagger.sandbox.apiserver.call import Call, check_options, now
from flagger.sandbox.apiserver.custom_resources import condition, with_conditions
from flagger.sandbox.apiserver.objects import Entry, decode, encode
from flagger.sandbox.apiserver.patches import patch_body, patch_function
from flagger.sandbox.apiserver.present import Answer, load_as
from flagger.sandbox.apiserver.status_errors import (
    ApiError,
    conflict,
    created,
    invalid,
    no_such_resource,
    not_found,
)
from flagger.sandbox.apiserver.types import causes
from flagger.sandbox.apiserver.types.decoding import Decoder
from flagger.sandbox.apiserver.types.merging import Path
from flagger.sandbox.apiserver.types.resource_type import Object, ScalePaths
from flagger.sandbox.apiserver.writes import replace_object

SCALE_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
PODS = "pods"
SCALE, BINDING = "autoscaling.v1.Scale", "core.Binding"
"""Names in the field table."""


_FORMS = Decoder({})


def body_of(call: Call, message: str) -> Object:
    """Read the body of a POST or PUT whose form is not that of the object: a Binding, a Scale, ….

    Raises:
        ApiError: 400 or 415.
        DecodeError: a value has the wrong type.
    """
    value = parse(call) if call.body.strip() else {}
    return _form(value, message)


def _form(value: Any, message: str) -> Object:
    kind = message.rpartition(".")[2]
    return _FORMS.decode(message, value, kind, "v1")


def at(obj: Any, path: Path) -> Any:
    """Return the value at a path, or None."""
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _with(obj: Object, path: Path, value: Any) -> Object:
    """Return a copy of an object with one value changed."""
    name, *rest = path
    inner = obj.get(name)
    below = inner if isinstance(inner, dict) else {}
    return {**obj, name: _with(below, tuple(rest), value) if rest else value}


def scale_paths(call: Call) -> ScalePaths:
    """Return where the resource keeps its replicas.

    Raises:
        ApiError: 404, it cannot be scaled.
    """
    if call.kind.scale_paths is None:
        raise no_such_resource()
    return call.kind.scale_paths


def scale_of(obj: Object, paths: ScalePaths) -> Object:
    """Return the Scale of an object (autoscaling/v1)."""
    about = {name: obj["metadata"][name] for name in SCALE_META if name in obj["metadata"]}
    status: Object = {"replicas": at(obj, paths.status_replicas) or 0}
    if selector := selector_text(at(obj, paths.selector) if paths.selector else None):
        status["selector"] = selector
    spec = {"replicas": at(obj, paths.spec_replicas) or 0}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": about,
        "spec": spec,
        "status": status,
    }


def selector_text(selector: Any) -> str:
    """Write a LabelSelector in the query syntax; a text is one already."""
    if not isinstance(selector, dict):
        return selector or ""
    labels = selector.get("matchLabels") or ({} if "matchExpressions" in selector else selector)
    parts = [f"{key}={value}" for key, value in sorted(labels.items()) if isinstance(value, str)]
    return ",".join([*parts, *map(_requirement_text, selector.get("matchExpressions") or ())])


def _requirement_text(requirement: Object) -> str:
    key, operator = requirement["key"], requirement["operator"]
    listed = ",".join(sorted(requirement.get("values") or ()))
    texts: dict[str, str] = {
        "Exists": key,
        "DoesNotExist": f"!{key}",
        "In": f"{key} in ({listed})",
        "NotIn": f"{key} notin ({listed})",
    }
    return texts[operator]


def get_scale(backend: Backend, call: Call) -> Answer:
    """Answer GET …/scale."""
    obj = load_as(call.kind, backend.entry(call))
    return Answer(200, encode(scale_of(obj, scale_paths(call))))


def put_scale(backend: Backend, call: Call) -> Answer:
    """Answer PUT …/scale."""
    check_options(call)
    entry = backend.entry(call)
    return _scaled(backend, call, entry, body_of(call, SCALE))


def patch_scale(backend: Backend, call: Call) -> Answer:
    """Answer PATCH …/scale."""
    check_options(call)
    entry = backend.entry(call)
    before = scale_of(load_as(call.kind, entry), scale_paths(call))
    changed = patch_function(call)(before, patch_body(call), lambda _: None)
    return _scaled(backend, call, entry, _form(changed, SCALE))


def _scaled(backend: Backend, call: Call, entry: Entry, scale: Object) -> Answer:
    paths = scale_paths(call)
    wanted = (scale.get("spec") or {}).get("replicas", 0)
    if wanted < 0:
        problem = causes.invalid("spec.replicas", wanted, "must be greater than or equal to 0")
        raise invalid("Scale", "autoscaling", call.name, [problem])
    obj = _with(load_as(call.kind, entry), paths.spec_replicas, wanted)
    asked = (scale.get("metadata") or {}).get("resourceVersion")
    obj["metadata"] = {**obj["metadata"], **({"resourceVersion": asked} if asked else {})}
    # What is written is the object itself: its own rules apply, not those of a subresource.
    written = replace_object(backend, _on_object(call), entry, obj)
    return Answer(200, encode(scale_of(_decoded(written), paths)))


def _on_object(call: Call) -> Call:
    return replace(call, target=replace(call.target, subresource=""))


def _decoded(raw: bytes) -> Object:
    obj: Object = decode(raw)
    return obj


def bind(backend: Backend, call: Call) -> Answer:
    """Answer POST …/pods/NAME/binding."""
    check_options(call)
    binding = body_of(call, BINDING)
    return bind_pod(backend, call, backend.entry(call), binding)


def bind_pod(backend: Backend, call: Call, entry: Entry, binding: Object) -> Answer:
    """Assign a pod to a node.

    Raises:
        ApiError: 409, it has one; 422, no node is named.
    """
    node = (binding.get("target") or {}).get("name")
    if not node:
        raise invalid("Binding", "", entry.key[1], [causes.required("target.name")])
    pod = entry.load()
    if present := pod["spec"].get("nodeName"):
        text = f'pod {entry.key[1]} is already assigned to node "{present}"'
        raise conflict("pods/binding", "", entry.key[1], text)
    scheduled = condition("PodScheduled", True, "", "")
    scheduled = {name: value for name, value in scheduled.items() if value}
    status = with_conditions(pod.get("status") or {}, [scheduled], now())
    bound = {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status}
    if annotations := (binding.get("metadata") or {}).get("annotations"):
        about = pod["metadata"]
        bound["metadata"] = about | {"annotations": {**(about.get("annotations") or {}), **annotations}}
    if not call.dry_run:
        backend.store.put(PODS, bound)
    return Answer(201, encode(created()))


def bind_by_collection(backend: Backend, call: Call) -> Answer:
    """Answer POST …/bindings, the old form."""
    check_options(call)
    binding = body_of(call, BINDING)
    name = (binding.get("metadata") or {}).get("name", "")
    entry = backend.store.get(PODS, (call.namespace, name))
    if entry is None:
        raise ApiError(404, "NotFound", f'pods "{name}" not found', details={"name": name, "kind": PODS})
    return bind_pod(backend, call, entry, binding)


def finalize(backend: Backend, call: Call) -> Answer:
    """Answer PUT …/namespaces/NAME/finalize, the only way to change a namespace's own finalizers."""
    check_options(call)
    if (entry := backend.store.get(call.kind.storage, ("", call.name))) is None:
        raise not_found(call.kind, call.name)
    body = object_of(call)
    body["metadata"]["name"] = call.name
    return Answer(200, replace_object(backend, call, entry, body))


def put_ephemeral_containers(backend: Backend, call: Call) -> Answer:
    """Answer PUT …/pods/NAME/ephemeralcontainers: nothing else of the pod changes."""
    check_options(call)
    entry = backend.entry(call)
    return _with_ephemeral(backend, call, entry, object_of(call))


def patch_ephemeral_containers(backend: Backend, call: Call) -> Answer:
    """Answer PATCH …/pods/NAME/ephemeralcontainers."""
    check_options(call)
    entry = backend.entry(call)
    changed = patch_function(call)(entry.load(), patch_body(call), call.kind.merge_keys)
    return _with_ephemeral(backend, call, entry, changed)


def _with_ephemeral(backend: Backend, call: Call, entry: Entry, body: Object) -> Answer:
    containers = at(body, ("spec", "ephemeralContainers")) or []
    pod = _with(entry.load(), ("spec", "ephemeralContainers"), containers)
    return Answer(200, replace_object(backend, call, entry, pod))
