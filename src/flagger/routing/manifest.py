"""What every generated routing object and Service has in common."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from msgspec.structs import FieldInfo, fields

from flagger.api.canary import Canary
from flagger.api.model import Model
from flagger.api.names import GITOPS_IGNORE
from flagger.kube.objects import Kind, Object, annotations_of


def manifest(kind: Kind, canary: Canary, name: str, spec: Object) -> Object:
    """A routing object in the Canary's namespace, with the metadata asked for by `service.apex`."""
    custom = canary.spec.service.apex
    obj = plain_manifest(
        kind, canary, name, spec, {**(custom.annotations if custom else {}), **GITOPS_IGNORE}
    )
    if custom and custom.labels:
        obj["metadata"]["labels"] = dict(custom.labels)
    return obj


def plain_manifest(
    kind: Kind,
    canary: Canary,
    name: str,
    spec: Object,
    annotations: Mapping[str, str | None] | None = None,
    live: Object | None = None,
) -> Object:
    """A routing object in the Canary's namespace with these annotations only; a None takes that of `live` away."""
    metadata: Object = {"name": name, "namespace": canary.namespace}
    there = annotations_of(live or {})
    found = {key: text for key, text in (annotations or {}).items() if text is not None or key in there}
    if found:
        metadata["annotations"] = found
    metadata["ownerReferences"] = canary.owner_references
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


def named_pairs(pairs: Mapping[str, str]) -> list[Object]:
    """A mapping as the list of names and values that most APIs want, in a stable order."""
    return [{"name": name, "value": value} for name, value in sorted(pairs.items())]


def plain(value: Any) -> Any:
    """A model as the user wrote it: fields with their defaults are left out."""
    match value:
        case Model():
            found = ((info, getattr(value, info.name)) for info in _fields(type(value)))
            return {info.encode_name: plain(inner) for info, inner in found if inner != _default_of(info)}
        case Mapping():
            return {key: plain(inner) for key, inner in value.items()}
        case tuple():
            return [plain(inner) for inner in value]
    return value


@cache
def _fields(model: type[Model]) -> tuple[FieldInfo, ...]:
    return fields(model)


def _default_of(info: FieldInfo) -> Any:
    factory: Any = info.default_factory
    return factory() if callable(factory) else info.default
