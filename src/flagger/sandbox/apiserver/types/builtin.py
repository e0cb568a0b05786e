"""The behaviour of built-in types: decode, complete, check, convert and show them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flagger.sandbox.apiserver.types import conversion, decoding, merging, preparation
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.decoding import Decoder
from flagger.sandbox.apiserver.types.defaults import HOOKS
from flagger.sandbox.apiserver.types.merging import ListType, Path
from flagger.sandbox.apiserver.types.resources import Row
from flagger.sandbox.apiserver.types.rules import table as rules
from flagger.sandbox.apiserver.types.tables import table as tables

Object = dict[str, Any]
_DECODER = Decoder(HOOKS)


class BuiltIn:
    """One built-in resource in one version; see `ResourceType` for the contract of the methods."""

    def __init__(self, group: str, version: str, row: Row, *, loopback: bool = True) -> None:
        self.api_version = f"{group}/{version}" if group else version
        self.version = version
        self.row = row
        self.loopback = loopback
        self._older = conversion.OLDER.get(row.message)

    def _decoded(self, obj: Object) -> Object:
        result = _DECODER.decode(self.row.message, obj, self.row.kind, self.version)
        return {"kind": self.row.kind, "apiVersion": self.api_version} | result

    def prepare_create(self, obj: Object, now: datetime) -> Object:
        """Return the object as it is stored."""
        body = obj
        if "status" in obj and not self.row.keeps_status:
            body = {key: value for key, value in obj.items() if key != "status"}
        result = self._decoded(body)
        preparation.created(self.row, result)
        return self._round_trip(result)

    def prepare_update(self, old: Object, new: Object, subresource: str) -> Object:
        """Return the object that replaces `old`."""
        result = self._decoded(new)
        preparation.updated(self.row, old, result, subresource)
        return self._round_trip(result)

    def _round_trip(self, obj: Object) -> Object:
        """Give an older version the defaults of the stored one."""
        if self._older is None or not self._older.has_defaults:
            return obj
        return self.from_storage(self.to_storage(obj))

    def prepare_read(self, obj: Object) -> Object:
        """Return the object: what is stored is what is shown."""
        return obj

    def to_storage(self, obj: Object) -> Object:
        """Return the object in the version that is stored."""
        if self._older is None:
            return obj
        return _DECODER.decode(self._older.stored, self._older.to_stored(obj), self.row.kind, self.version)

    def from_storage(self, obj: Object) -> Object:
        """Return a stored object in this version."""
        if self._older is None:
            return obj
        return self._decoded(self._older.from_stored(obj) | {"apiVersion": self.api_version})

    def unknown_fields(self, obj: Object) -> list[str]:
        """Return the paths of members that the type does not have."""
        return decoding.unknown_fields(self.row.message, obj)

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        """Return the violations."""
        return rules.check(self.row.message, obj, old, loopback=self.loopback)

    def merge_keys(self, path: Path) -> str | None:
        """Return the merge key of a list for strategic merge patch."""
        return merging.merge_key(self.row.message, path)

    def list_type(self, path: Path) -> ListType:
        """Return how server-side apply merges the container at a path."""
        return merging.list_type(self.row.message, path)

    def table(self, objects: Iterable[Object], now: datetime) -> Object:
        """Return `columnDefinitions` and the cells of each object."""
        return tables.built_in(self.row.message, objects, now)
