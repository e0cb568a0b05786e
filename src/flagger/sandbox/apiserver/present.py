"""How objects are shown: in which version, as themselves, as a Table or as metadata only; JSON or YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import yaml

from flagger.sandbox.apiserver.call import Call, now
from flagger.sandbox.apiserver.negotiation import YAML, Media
from flagger.sandbox.apiserver.objects import Entry, canonical, decode, encode
from flagger.sandbox.apiserver.status_errors import bad_request, not_acceptable
from flagger.sandbox.apiserver.types.resource_type import Object, ResourceType

INCLUDED = frozenset({"", "None", "Metadata", "Object"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns: a status code and a JSON document."""

    code: int
    raw: bytes
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One way to show objects of a kind; equal views share encoded watch events."""

    kind: ResourceType
    media: Media
    include: str = ""
    """What a table row carries: None, Metadata or Object."""

    @property
    def plain(self) -> bool:
        """Whether objects are shown as they are."""
        return not self.media.shape

    def key(self) -> tuple[str, str, str, str]:
        """Return what tells this view from others of the same storage."""
        return (self.kind.api_version, self.media.shape, self.media.version, self.include)


def view_of(call: Call) -> View:
    """Return the view that a request asks for.

    Raises:
        ApiError: 406 or 400.
    """
    include = call.query.get("includeObject", "")
    if include not in INCLUDED:
        raise bad_request(f'unrecognized includeObject value: "{include}"')
    return View(call.kind, call.media, include)


def raw_of(kind: ResourceType, entry: Entry) -> bytes:
    """Return a stored object's JSON in the version of `kind`."""
    if kind.api_version == kind.storage_version:
        return entry.raw
    return encode(canonical(load_as(kind, entry)))


def load_as(kind: ResourceType, entry: Entry) -> Object:
    """Decode a stored object in the version of `kind`; the caller may change it."""
    obj = entry.load()
    if kind.api_version == kind.storage_version:
        return obj
    return kind.from_storage(obj) | {"apiVersion": kind.api_version}


def stored_form(kind: ResourceType, obj: Object) -> Object:
    """Return an object in the version that is kept."""
    if kind.api_version == kind.storage_version:
        return obj
    return kind.to_storage(obj) | {"apiVersion": kind.storage_version}


def metadata_only(obj: Object, version: str) -> Object:
    """Return the PartialObjectMetadata of an object."""
    kind = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}"}
    return kind | {"metadata": obj["metadata"]}


def _row_object(view: View, obj: Object) -> Mapping[str, Object]:
    if view.include == "None":
        return {}
    return {"object": obj if view.include == "Object" else metadata_only(obj, view.media.version)}


def table_of(view: View, objects: Sequence[Object], metadata: Object) -> Object:
    """Return a Table; `metadata` is that of the list, or of the one object."""
    table = view.kind.table(objects, now())
    rows = [row | _row_object(view, obj) for row, obj in zip(table.get("rows") or (), objects, strict=True)]
    head = {"kind": "Table", "apiVersion": f"meta.k8s.io/{view.media.version}", "metadata": metadata}
    return head | {"columnDefinitions": table["columnDefinitions"], "rows": rows}


def _show_table(view: View, obj: Object) -> Object:
    return table_of(view, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})


def _refuse_list(view: View, obj: Object) -> Object:
    text = "the requested object is not a list"
    raise not_acceptable(f"you requested PartialObjectMetadataList, but {text} ({obj['kind']})")


SHOW: Mapping[str, Callable[[View, Object], Object]] = {
    "Table": _show_table,
    "PartialObjectMetadata": lambda view, obj: metadata_only(obj, view.media.version),
    "PartialObjectMetadataList": _refuse_list,
}


def show(view: View, raw: bytes, *, columns: bool = True) -> bytes:
    """Return one object's JSON in the shape of a view; `columns` tells whether a table describes them.

    Raises:
        ApiError: 406, the shape is one for lists.
    """
    if view.plain:
        return raw
    shown = SHOW[view.media.shape](view, decode(raw))
    if not columns and "columnDefinitions" in shown:
        shown["columnDefinitions"] = None
    return encode(shown)


def list_of(view: View, entries: Sequence[Entry], metadata: Object) -> bytes:
    """Return the JSON of a list; items of built-in kinds are bare, as real servers write them."""
    if view.media.shape == "Table":
        return encode(table_of(view, [load_as(view.kind, entry) for entry in entries], metadata))
    if view.media.shape:
        items = [metadata_only(decode(entry.raw), view.media.version) for entry in entries]
        kind = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{view.media.version}"}
        return encode(kind | {"metadata": metadata, "items": items})
    return plain_list(view.kind, [raw_of(view.kind, entry) for entry in entries], metadata)


def plain_list(kind: ResourceType, raws: Sequence[bytes], metadata: Object) -> bytes:
    """Join objects to the JSON of a list."""
    head = encode({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata})
    if not kind.custom:
        # Canonical JSON starts with kind and apiVersion, so that they can be cut off without decoding.
        skip = len(encode({"kind": kind.kind, "apiVersion": kind.api_version}))
        raws = [b"{" + raw[skip:] for raw in raws]
    return b'%s,"items":[%s]}' % (head[:-1], b",".join(raws))


def written(raw: bytes, media: Media, *, pretty: bool) -> bytes:
    """Return a JSON document as it goes over the wire."""
    if media.form == YAML:
        return yaml.safe_dump(decode(raw), default_flow_style=False, allow_unicode=True).encode()
    return (msgspec.json.format(raw, indent=2) if pretty else raw) + b"\n"
