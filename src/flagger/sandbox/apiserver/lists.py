"""The list verb: selection, revisions, and pages with continue tokens."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from flagger.sandbox.apiserver import fields
from flagger.sandbox.apiserver.call import Call
from flagger.sandbox.apiserver.objects import Entry, Key
from flagger.sandbox.apiserver.selectors import (
    FieldSelector,
    LabelSelector,
    parse_fields,
    parse_labels,
)
from flagger.sandbox.apiserver.status_errors import bad_request, expired, internal, invalid_options
from flagger.sandbox.apiserver.store import ForgottenError, Store
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.resource_type import Object

TOO_OLD_PAGE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter, or use the continue token in this response to retrieve the "
    "remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
    "that were created, modified, or deleted between the time the first chunk was returned and now may show "
    "up in the list."
)
TOKEN_VERSION = "meta.k8s.io/v1"
LATEST = -1
"""Revision in a token that continues inconsistently, after a 410."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a storage a request is about."""

    storage: str
    namespace: str | None
    labels: LabelSelector
    fields: FieldSelector

    @property
    def everything(self) -> bool:
        """Whether no selector was given."""
        return not self.labels and not self.fields

    def matches(self, entry: Entry) -> bool:
        """Tell whether an object is selected; its namespace included."""
        if self.namespace is not None and entry.key[0] != self.namespace:
            return False
        if self.labels and not self.labels.matches(entry.labels):
            return False
        return not self.fields or self.fields.matches(fields.values(self.storage, entry))


def selection_of(call: Call) -> Selection:
    """Read the selectors of a request.

    Raises:
        ApiError: 400, one of them is malformed.
    """
    storage = call.kind.storage
    text = call.query.get("fieldSelector", "")
    if call.target.watch and call.name:
        text = f"{text},metadata.name={call.name}"
    labels = parse_labels(call.query.get("labelSelector", ""))
    return Selection(storage, call.target.namespace, labels, parse_fields(text, call.kind.selectable_fields))


@dataclass(frozen=True, slots=True)
class Token:
    """A decoded continue parameter: go on behind `after`, in the state of `revision`."""

    revision: int
    after: Key


class _WireToken(msgspec.Struct):
    v: str
    rv: int
    start: str


def encode_token(token: Token) -> str:
    """Write a continue token, in the form that real servers use."""
    namespace, name = token.after
    start = f"{namespace}/{name}\0"
    raw = msgspec.json.encode(_WireToken(TOKEN_VERSION, token.revision, start))
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_token(text: str) -> Token:
    """Read a continue token.

    Raises:
        ApiError: 400, it is not one.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        wire = msgspec.json.decode(raw, type=_WireToken)
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    namespace, _, name = wire.start.rstrip("\0").partition("/")
    return Token(wire.rv, (namespace, name))


@dataclass(frozen=True, slots=True)
class Reading:
    """How a list reads: as of which revision (None for the latest), from where, how many (0 for all)."""

    revision: int | None = None
    after: Key | None = None
    limit: int = 0


def asked_revision(call: Call) -> int | None:
    """Read the resourceVersion parameter; None if it is absent.

    Raises:
        ApiError: 500, it is not a number.
    """
    text = call.query.get("resourceVersion", "")
    if not text:
        return None
    if not text.isdecimal():
        raise internal(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


MATCHES = frozenset({"Exact", "NotOlderThan"})
FORBIDDEN = "FieldValueForbidden"


def _match_causes(match: str, revision: int | None, token: str) -> list[Cause]:
    field = "resourceVersionMatch"
    if token:
        return [
            Cause(FORBIDDEN, "Forbidden: resourceVersionMatch is forbidden when continue is provided", field)
        ]
    if revision is None:
        text = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        return [Cause(FORBIDDEN, text, field)]
    if match not in MATCHES:
        text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        return [Cause("FieldValueNotSupported", text, field)]
    if match == "Exact" and revision == 0:
        text = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        return [Cause(FORBIDDEN, text, field)]
    return []


def reading_of(call: Call) -> Reading:
    """Read the paging and revision parameters of a list.

    Raises:
        ApiError: 400, 422 or 500 for parameters that are malformed or contradict each other.
    """
    limit = max(call.integer("limit") or 0, 0)
    text, match = call.query.get("continue", ""), call.query.get("resourceVersionMatch", "")
    revision = asked_revision(call)
    if match and (causes := _match_causes(match, revision, text)):
        raise invalid_options("ListOptions", *causes)
    if text:
        if revision:
            raise bad_request("specifying resource version is not allowed when using continue")
        token = decode_token(text)
        return Reading(None if token.revision == LATEST else token.revision, token.after, limit)
    if revision == 0:
        return Reading()
    exact = match == "Exact" or (limit and not match)
    return Reading(revision if exact else None, None, limit)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, with the metadata of the list object."""

    entries: Sequence[Entry]
    metadata: Object


def page(store: Store, selection: Selection, reading: Reading, *, custom: bool) -> Page:
    """Read one page.

    Raises:
        ApiError: 410, the revision is forgotten; the answer holds a token to go on with the present state.
    """
    revision = store.revision if reading.revision is None else reading.revision
    entries = [entry for entry in _candidates(store, selection, reading) if selection.matches(entry)]
    metadata: Object = {"resourceVersion": str(revision)}
    if custom:
        metadata["continue"] = ""
    if not reading.limit or len(entries) <= reading.limit:
        return Page(entries, metadata)
    shown = entries[: reading.limit]
    metadata["continue"] = encode_token(Token(revision, shown[-1].key))
    if selection.everything:
        metadata["remainingItemCount"] = len(entries) - len(shown)
    return Page(shown, metadata)


def _candidates(store: Store, selection: Selection, reading: Reading) -> Sequence[Entry]:
    name = selection.fields.required("metadata.name")
    if name is not None and selection.namespace is not None and reading == Reading():
        entry = store.get(selection.storage, (selection.namespace, name))
        return [entry] if entry else []
    if reading.revision is None:
        entries = store.entries(selection.storage, selection.namespace)
    else:
        entries = _entries_at(store, selection, reading)
    after = reading.after
    return entries if after is None else [entry for entry in entries if entry.key > after]


def _entries_at(store: Store, selection: Selection, reading: Reading) -> list[Entry]:
    revision = reading.revision or 0
    try:
        return store.entries_at(revision, selection.storage, selection.namespace)
    except ForgottenError as error:
        if reading.after is None:
            raise expired("The resourceVersion for the provided list is too old.") from error
        raise expired(TOO_OLD_PAGE, encode_token(Token(LATEST, reading.after))) from error
