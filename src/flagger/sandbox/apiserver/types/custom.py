"""Types that CustomResourceDefinitions define: their behaviour, compiled from schema and columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from flagger.sandbox.apiserver.types import metadata, names
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.decoding import Decoder, unknown_fields
from flagger.sandbox.apiserver.types.merging import ATOMIC, GRANULAR, SET, ListType, Path, list_type
from flagger.sandbox.apiserver.types.schema.completion import completion, unknown_members
from flagger.sandbox.apiserver.types.schema.expressions import ABSENT, rules_of
from flagger.sandbox.apiserver.types.schema.validation import validation
from flagger.sandbox.apiserver.types.tables.base import AGE, NAME, table
from flagger.sandbox.apiserver.types.tables.custom import column
from flagger.sandbox.apiserver.types.values import DecodeError, Mismatch

Object = dict[str, Any]

_DECODER = Decoder({})
_META = _DECODER.converter("meta.ObjectMeta")


class Custom:
    """One custom resource in one version; see `ResourceType` for the contract of the methods."""

    def __init__(self, crd: Mapping[str, Any], version: Mapping[str, Any]) -> None:
        spec = crd["spec"]
        self.kind = spec["names"]["kind"]
        self.version = version["name"]
        self.api_version = f"{spec['group']}/{version['name']}"
        self.schema = schema_of(version)
        body = {key: value for key, value in self.schema.items() if key != "properties"}
        body["properties"] = _without_meta(self.schema.get("properties") or {})
        self._complete = completion({"type": "object"} | body)
        self._unknown = unknown_members(body)
        self._check = validation({key: value for key, value in body.items() if key != "type"})
        self._rules = rules_of(self.schema)
        self._has_status = "status" in (version.get("subresources") or {})
        self._columns = [NAME, *(map(column, version.get("additionalPrinterColumns") or ()))]
        if len(self._columns) == 1:
            self._columns.append(replace(AGE, type="date"))
        self._list_type = lru_cache(maxsize=2048)(self._find_list_type)

    def _completed(self, obj: Object) -> Object:
        """Return the object with pruned and defaulted content and typed metadata."""
        content = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind", "metadata"}}
        try:
            meta = _META(obj.get("metadata") or {})
        except Mismatch as problem:
            problem.within("metadata", "")
            text = f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: {problem}'
            raise DecodeError(text) from None
        if meta["creationTimestamp"] is None:
            del meta["creationTimestamp"]
        return self._whole(meta, content)

    def prepare_create(self, obj: Object, now: datetime) -> Object:
        """Return the object as it is stored."""
        result = self._completed(obj)
        if self._has_status:
            result.pop("status", None)
        metadata.for_create(result["metadata"], generation=True)
        return result

    def prepare_update(self, old: Object, new: Object, subresource: str) -> Object:
        """Return the object that replaces `old`."""
        result = self._completed(new)
        if subresource == "status":
            return _with_status_of(old, result)
        meta = result["metadata"]
        metadata.for_update(old["metadata"], meta)
        if self._has_status:
            result.pop("status", None)
            if "status" in old:
                result["status"] = old["status"]
        if _content(old) != _content(result):
            meta["generation"] = old["metadata"].get("generation", 0) + 1
        return result

    def prepare_read(self, obj: Object) -> Object:
        """Return a stored object as the schema shows it now."""
        content = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind", "metadata"}}
        return self._whole(obj["metadata"], content)

    def _whole(self, meta: Object, content: Object) -> Object:
        members: Object = self._complete(content)
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": meta} | members

    def to_storage(self, obj: Object) -> Object:
        """Return the object: without conversion only apiVersion differs between versions."""
        return obj

    def from_storage(self, obj: Object) -> Object:
        """Return a stored object in this version."""
        return obj if obj.get("apiVersion") == self.api_version else obj | {"apiVersion": self.api_version}

    def unknown_fields(self, obj: Object) -> list[str]:
        """Return the paths of members that would be pruned."""
        found = [f"metadata.{path}" for path in unknown_fields("meta.ObjectMeta", obj.get("metadata") or {})]
        content = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind", "metadata"}}
        self._unknown(content, "", found)
        return found

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        """Return the violations."""
        before = old["metadata"] if old is not None else None
        causes = list(metadata.validate(obj["metadata"], before, names.subdomain, custom=True))
        broken = len(causes)
        self._check(obj, "", causes)
        if len(causes) == broken:  # rules may rely on the schema
            self._rules.check(obj, ABSENT if old is None else old, "", causes)
        return causes

    @property
    def ignored_rules(self) -> tuple[str, ...]:
        """Validation rules of the schema that use more of their language than is implemented."""
        return self._rules.ignored

    def merge_keys(self, path: Path) -> str | None:
        """Custom resources know no strategic merge; only metadata would have keys."""
        return None

    def list_type(self, path: Path) -> ListType:
        """Return how server-side apply merges the container at a path."""
        return self._list_type(path)

    def _find_list_type(self, path: Path) -> ListType:
        if path[:1] == ("metadata",):
            return GRANULAR if len(path) == 1 else list_type("meta.ObjectMeta", path[1:])
        schema: Any = self.schema
        for part in path:
            if isinstance(schema.get("items"), Mapping):
                schema = schema["items"]
            schema = _member(schema, part)
            if schema is None:
                return GRANULAR  # preserved unknown content: objects merge; a list is replaced all the same
        return _declared(schema)

    def table(self, objects: Iterable[Object], now: datetime) -> Object:
        """Return `columnDefinitions` and rows, by the printer columns."""
        return table(self._columns, objects, now)


def schema_of(version: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a version of a CRD."""
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return schema if isinstance(schema, Mapping) else {}


def _without_meta(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: member for name, member in properties.items() if name not in {"apiVersion", "kind", "metadata"}
    }


def _content(obj: Object) -> Object:
    return {
        key: value for key, value in obj.items() if key not in {"metadata", "status", "kind", "apiVersion"}
    }


def _with_status_of(old: Object, new: Object) -> Object:
    """Return `old` with the status of `new`, which keeps its own version and field owners."""
    meta = dict(old["metadata"])
    for name in ("resourceVersion", "managedFields"):
        if name in new["metadata"]:
            meta[name] = new["metadata"][name]
    result = old | {"metadata": meta}
    result.pop("status", None)
    return result | ({"status": new["status"]} if "status" in new else {})


def _member(schema: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    member = (schema.get("properties") or {}).get(name)
    if member is None and isinstance(schema.get("additionalProperties"), Mapping):
        member = schema["additionalProperties"]
    return member


def _declared(schema: Mapping[str, Any]) -> ListType:
    if schema.get("type") == "array":
        kind = schema.get("x-kubernetes-list-type", "atomic")
        if kind == "set":
            return SET
        return _keyed(schema) if kind == "map" else ATOMIC
    return ATOMIC if schema.get("x-kubernetes-map-type") == "atomic" else GRANULAR


def _keyed(schema: Mapping[str, Any]) -> ListType:
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    members = (schema.get("items") or {}).get("properties") or {}
    defaults = {key: members[key]["default"] for key in keys if "default" in members.get(key, {})}
    return ListType("map", keys, defaults)
