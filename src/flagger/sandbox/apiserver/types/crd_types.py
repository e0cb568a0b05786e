"""The resource types that a CustomResourceDefinition asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types.custom import Custom, schema_of
from flagger.sandbox.apiserver.types.merging import Path
from flagger.sandbox.apiserver.types.resource_type import ResourceType, ScalePaths
from flagger.sandbox.apiserver.types.resources import READ_WRITE, SCALE, STATUS, Subresource

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
"""In the order in which discovery shows them for custom resources."""


def field_path(text: str) -> Path:
    """Return the names in a simple JSON path such as `.spec.replicas`."""
    return tuple(part for part in text.split(".") if part)


def custom_types(crd: Mapping[str, Any]) -> Iterator[ResourceType]:
    """Yield a type for each served version of a CustomResourceDefinition."""
    versions: Sequence[Mapping[str, Any]] = crd["spec"]["versions"]
    stored = next((item["name"] for item in versions if item.get("storage")), versions[0]["name"])
    for version in versions:
        if version.get("served"):
            yield _custom_type(crd, version, stored)


def _custom_type(crd: Mapping[str, Any], version: Mapping[str, Any], stored: str) -> ResourceType:
    spec = crd["spec"]
    named = spec["names"] | {
        key: value for key, value in ((crd.get("status") or {}).get("acceptedNames") or {}).items() if value
    }
    subresources = version.get("subresources") or {}
    selectable = (item["jsonPath"].removeprefix(".") for item in version.get("selectableFields") or ())
    return ResourceType(
        group=spec["group"],
        version=version["name"],
        kind=named["kind"],
        plural=named["plural"],
        behavior=Custom(crd, version),
        list_kind=named.get("listKind") or f"{named['kind']}List",
        singular=named.get("singular") or named["kind"].lower(),
        storage=crd["metadata"]["name"],
        storage_version=f"{spec['group']}/{stored}",
        short_names=tuple(named.get("shortNames") or ()),
        categories=tuple(named.get("categories") or ()),
        namespaced=spec["scope"] == "Namespaced",
        verbs=VERBS,
        subresource_table=_subresources(subresources),
        selectable_fields=frozenset({"metadata.name", "metadata.namespace", *selectable}),
        scale_paths=_scale_paths(subresources.get("scale")),
        custom=True,
        has_generation=True,
        update_needs_version=True,
        schema=schema_of(version),
    )


def _subresources(declared: Mapping[str, Any]) -> tuple[Subresource, ...]:
    status = (Subresource(STATUS.name, READ_WRITE),) if "status" in declared else ()
    return (*status, SCALE) if declared.get("scale") else status


def _scale_paths(scale: Mapping[str, Any] | None) -> ScalePaths | None:
    if not scale:
        return None
    selector = field_path(scale.get("labelSelectorPath") or "")
    return ScalePaths(
        field_path(scale["specReplicasPath"]), field_path(scale["statusReplicasPath"]), selector
    )
