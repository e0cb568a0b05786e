"""Content negotiation: which form of an answer a request accepts.

This server answers in JSON and YAML only. Clients that prefer protobuf list JSON behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from flagger.sandbox.apiserver.status_errors import ACCEPTED, ApiError, not_acceptable

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
FORMS: Mapping[str, str] = {"*/*": JSON, "application/*": JSON, JSON: JSON, YAML: YAML}
SHAPES: Mapping[str, frozenset[str]] = {
    "Table": frozenset({"v1", "v1beta1"}),
    "PartialObjectMetadata": frozenset({"v1", "v1beta1"}),
    "PartialObjectMetadataList": frozenset({"v1", "v1beta1"}),
}


@dataclass(frozen=True, slots=True)
class Media:
    """The form of an answer: JSON or YAML, and a `shape` other than the object itself ("" for that)."""

    form: str = JSON
    shape: str = ""
    version: str = "v1"


@dataclass(frozen=True, slots=True)
class Clause:
    """One entry of an Accept header."""

    media_type: str
    parameters: Mapping[str, str]


@lru_cache(maxsize=256)
def clauses(accept: str) -> tuple[Clause, ...]:
    """Split an Accept header into its entries, in the order of preference that they are written in."""
    return tuple(_clause(part) for part in accept.split(",") if part.strip()) or (Clause("*/*", {}),)


def _clause(text: str) -> Clause:
    media_type, *parameters = (part.strip() for part in text.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters)
    return Clause(media_type.lower(), {name.strip(): value.strip() for name, _, value in pairs})


@lru_cache(maxsize=256)
def negotiate(accept: str, *, tables: bool = True) -> Media:
    """Return the first form in an Accept header that can be served; `tables` tells whether shapes exist here.

    Raises:
        ApiError: 406, none can.
    """
    for clause in clauses(accept):
        if media := _media(clause, tables):
            return media
    raise _refusal(accept)


def _media(clause: Clause, tables: bool) -> Media | None:
    form = FORMS.get(clause.media_type)
    shape, version = clause.parameters.get("as", ""), clause.parameters.get("v", "v1")
    if form is None or not shape:
        return Media(form) if form else None
    fits = tables and clause.parameters.get("g") == "meta.k8s.io" and version in SHAPES.get(shape, ())
    return Media(form, shape, version) if fits else None


def _refusal(accept: str) -> ApiError:
    known = {*FORMS, PROTOBUF}
    if any(clause.media_type in known for clause in clauses(accept)):
        return not_acceptable(f"only the following media types are accepted: {ACCEPTED}")
    return not_acceptable()
