"""A served resource in one version: what discovery says of it, and how its objects behave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flagger.sandbox.apiserver.types.builtin import BuiltIn
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.custom import Custom
from flagger.sandbox.apiserver.types.merging import ListType, Path
from flagger.sandbox.apiserver.types.resources import Subresource

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a kind with `/scale` keeps its numbers: field names from the top of the object.

    `selector` leads to a LabelSelector in built-in kinds and to its text form in custom ones; it is empty
    when there is none.
    """

    spec_replicas: Path
    status_replicas: Path
    selector: Path = ()


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A served resource in one version. All methods are pure and leave their arguments alone."""

    group: str
    version: str
    kind: str
    plural: str
    behavior: BuiltIn | Custom = field(repr=False, compare=False)
    list_kind: str
    singular: str
    storage: str
    """`deployments.apps`: the same for all versions of a resource."""
    storage_version: str
    """The apiVersion that objects are kept in."""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    verbs: tuple[str, ...] = ()
    subresource_table: tuple[Subresource, ...] = ()
    selectable_fields: frozenset[str] = frozenset({"metadata.name", "metadata.namespace"})
    """Fields that a field selector may name."""
    scale_paths: ScalePaths | None = None
    custom: bool = False
    """Defined by a CustomResourceDefinition, whose name is then `plural.group`."""
    has_generation: bool = False
    """Objects have `metadata.generation`."""
    update_needs_version: bool = False
    """A PUT without metadata.resourceVersion is refused."""
    update_creates: bool = False
    """A PUT of a missing object creates it."""
    message: str = ""
    """Name in the field table, for built-in types; see `messages.py`."""
    schema: Mapping[str, Any] | None = None
    """The structural schema, for custom types."""

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def subresources(self) -> tuple[str, ...]:
        """Names of the subresources: "status", "scale", …."""
        return tuple(item.name for item in self.subresource_table)

    @property
    def ignored_rules(self) -> tuple[str, ...]:
        """Validation rules of a custom type that are accepted and not enforced; see `schema/cel.py`."""
        return self.behavior.ignored_rules if isinstance(self.behavior, Custom) else ()

    def prepare_create(self, obj: Object, now: datetime) -> Object:
        """Return a new object as it is stored: unknown fields dropped, defaults filled in, status reset.

        `metadata` must already hold name, namespace, uid and creationTimestamp (Jobs label their pods with
        the uid).

        Raises:
            DecodeError: a value of a built-in object has the wrong type.
        """
        return self.behavior.prepare_create(obj, now)

    def prepare_update(self, old: Object, new: Object, subresource: str = "") -> Object:
        """Return what replaces `old`: only what the subresource ("" for the object itself) may write changes.

        The generation is raised by the rule of the kind. Metadata that clients may not change comes back
        from `old`; `resourceVersion` and `managedFields` are left as `new` has them.

        Raises:
            DecodeError: a value of a built-in object has the wrong type.
        """
        return self.behavior.prepare_update(old, new, subresource)

    def prepare_read(self, obj: Object) -> Object:
        """Return a stored object as the present schema shows it; built-in ones come back as they are."""
        return self.behavior.prepare_read(obj)

    def to_storage(self, obj: Object) -> Object:
        """Return a prepared object in the version that is stored."""
        return self.behavior.to_storage(obj) | {"apiVersion": self.storage_version}

    def from_storage(self, obj: Object) -> Object:
        """Return a stored object in this version."""
        return self.behavior.from_storage(obj)

    def unknown_fields(self, obj: Object) -> list[str]:
        """Return the paths of members that the type does not have, such as `spec.replicass`."""
        return self.behavior.unknown_fields(obj)

    def validate(self, obj: Object, old: Object | None = None) -> list[Cause]:
        """Return the violations of a prepared object; with `old`, those of replacing it too."""
        return self.behavior.validate(obj, old)

    def merge_keys(self, path: Path) -> str | None:
        """Return the key by which a strategic merge patch merges the list at a path.

        "" is a list of scalars that is merged as a set; None is a list that is replaced.
        """
        return self.behavior.merge_keys(path)

    def list_type(self, path: Path) -> ListType:
        """Return how server-side apply merges the list or object at a path."""
        return self.behavior.list_type(path)

    def table(self, objects: Iterable[Object], now: datetime) -> Object:
        """Return `columnDefinitions` and `rows`: `cells` (and `conditions`), in the order of the objects."""
        return self.behavior.table(objects, now)
