"""Which resources are served: the built-in ones, and those that CustomResourceDefinitions add."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flagger.sandbox.apiserver.types.builtin import BuiltIn
from flagger.sandbox.apiserver.types.crd_types import custom_types
from flagger.sandbox.apiserver.types.resource_type import ResourceType, ScalePaths
from flagger.sandbox.apiserver.types.resources import CATEGORIES, RESOURCES, SCALE, SHARED_STORAGE, Row

METADATA_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
SCALED = ScalePaths(("spec", "replicas"), ("status", "replicas"), ("spec", "selector"))

Key = tuple[str, str, str]


_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def priority(version: str) -> tuple[int, int, int]:
    """Return the rank of a version: v2 before v1 before v1beta2 before v1alpha1, other names last."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (0, 0, 0)
    stability = {None: 3, "beta": 2, "alpha": 1}[match[2]]
    return (stability, int(match[1]), int(match[3] or 0))


def built_in_type(group: str, version: str, row: Row, *, loopback: bool = True) -> ResourceType:
    """Return the type that a row of the resource table stands for."""
    api_version = f"{group}/{version}" if group else version
    own = f"{row.plural}.{group}" if group else row.plural
    storage, storage_version = SHARED_STORAGE.get(row.message, (own, api_version))
    return ResourceType(
        group=group,
        version=version,
        kind=row.kind,
        plural=row.plural,
        behavior=BuiltIn(group, version, row, loopback=loopback),
        list_kind=f"{row.kind}List",
        singular=row.singular or row.kind.lower(),
        storage=storage,
        storage_version=storage_version,
        short_names=tuple(row.short.split()),
        categories=("all",) if row.all else CATEGORIES.get(row.plural, ()),
        namespaced=row.namespaced,
        verbs=row.verbs,
        subresource_table=row.subresources,
        selectable_fields=METADATA_FIELDS | frozenset(row.fields),
        scale_paths=SCALED if SCALE in row.subresources else None,
        has_generation=bool(row.generation),
        update_needs_version=row.update_needs_version,
        update_creates=row.update_creates,
        message=row.message,
    )


class Registry:
    """All served resources, by group, version and plural.

    `loopback` allows endpoints on 127.x addresses, where the pods of a sandbox live; real servers refuse them.
    """

    def __init__(self, *, loopback: bool = True) -> None:
        self._types: dict[Key, ResourceType] = {}
        for (group, version), rows in RESOURCES.items():
            for row in rows:
                self._add(built_in_type(group, version, row, loopback=loopback))

    def _add(self, resource: ResourceType) -> None:
        self._types[(resource.group, resource.version, resource.plural)] = resource

    def lookup(self, group: str, version: str, plural: str) -> ResourceType | None:
        """Return the resource that is served at a path, if any."""
        return self._types.get((group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> ResourceType | None:
        """Return the resource of a kind, if it is served."""
        found = (item for item in self.group_version(group, version) if item.kind == kind)
        return next(found, None)

    def all(self) -> tuple[ResourceType, ...]:
        """Return every served resource, a group's preferred version first."""
        return tuple(self._types.values())

    def group_version(self, group: str, version: str) -> tuple[ResourceType, ...]:
        """Return the resources of a group version."""
        return tuple(item for item in self._types.values() if (item.group, item.version) == (group, version))

    def versions(self) -> Mapping[str, tuple[str, ...]]:
        """Return group → versions, the preferred version first."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._types:
            seen = found.setdefault(group, [])
            if version not in seen:
                seen.append(version)
        return {group: tuple(sorted(seen, key=priority, reverse=True)) for group, seen in found.items()}

    def same_storage(self, storage: str) -> Iterator[ResourceType]:
        """Yield the versions of a resource."""
        return (item for item in self._types.values() if item.storage == storage)

    def add_crd(self, crd: Mapping[str, Any]) -> None:
        """Serve what a CustomResourceDefinition describes; what it described before goes."""
        self.remove_crd(crd["metadata"]["name"])
        for resource in custom_types(crd):
            self._add(resource)

    def remove_crd(self, name: str) -> None:
        """Stop serving the resources of a CustomResourceDefinition, if there are any."""
        gone = [key for key, item in self._types.items() if item.custom and item.storage == name]
        for key in gone:
            del self._types[key]
