"""Field selectors against stored objects: which values are kept for them, and under which names."""

from __future__ import annotations

from collections.abc import Mapping

from flagger.sandbox.apiserver.objects import Entry
from flagger.sandbox.apiserver.types.registry import METADATA_FIELDS, Registry

INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
ALIASES: Mapping[str, Mapping[str, str]] = {
    "events": {
        "source": "source.component",
        "reportingController": "reportingComponent",
        **{f"regarding.{name}": f"involvedObject.{name}" for name in INVOLVED},
    }
}
"""Storage → selector name → path in the stored version, where they differ."""
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "nodes": {"spec.unschedulable": "false"},
    "jobs.batch": {"status.successful": "0"},
    "replicasets.apps": {"status.replicas": "0"},
    "replicationcontrollers": {"status.replicas": "0"},
}
"""Values of fields that are left out of an object when they are zero."""


FACTS: Mapping[str, tuple[str, ...]] = {
    "customresourcedefinitions.apiextensions.k8s.io": ("metadata.deletionTimestamp",),
}
"""Storage → paths that the server itself asks for often; nobody can select by them."""


class StoredFields:
    """The paths whose values are kept beside each stored object, by storage."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, storage: str) -> tuple[str, ...]:
        """Return the paths, without those of metadata."""
        paths = self._known.get(storage)
        if paths is None:
            paths = self._known[storage] = self._paths(storage)
        return paths

    def _paths(self, storage: str) -> tuple[str, ...]:
        names = {name for kind in self._registry.same_storage(storage) for name in kind.selectable_fields}
        aliases = ALIASES.get(storage, {})
        selectable = {aliases.get(name, name) for name in names} - METADATA_FIELDS
        return (*sorted(selectable), *FACTS.get(storage, ()))

    def forget(self, storage: str) -> None:
        """Look again at what the registry says about a storage."""
        self._known.pop(storage, None)


def values(storage: str, entry: Entry) -> Mapping[str, str]:
    """Return what an object's fields are compared by, under all their names."""
    namespace, name = entry.key
    found = {
        "metadata.name": name,
        "metadata.namespace": namespace,
        **DEFAULTS.get(storage, {}),
        **entry.fields,
    }
    aliases = ALIASES.get(storage, {})
    return found | {alias: found.get(path, "") for alias, path in aliases.items()}
