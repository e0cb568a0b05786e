"""Annotations that say what the CRD demands of a field beyond its type.

The decoder ignores them: what the API server already checked is not checked twice, what it could not check is
judged by `flagger.api.validate` with a better message.
"""

from typing import Any

from msgspec import Meta

JsonSchema = dict[str, Any]
"""Keywords of OpenAPI v3 as the apiextensions API spells them."""


def keywords(**extra: Any) -> Meta:
    """Return an annotation that adds these keywords to the field's schema, over what the type gives."""
    return Meta(extra_json_schema=extra)


def enum(*values: str) -> Meta:
    """Return an annotation for a string that has to be one of the values."""
    return keywords(enum=list(values))


NUMBER = keywords(type="number")
"""An integer that the CRD declares as `number`, as upstream does: 2.5 is stored, then refused here."""
INT32 = keywords(type="integer", format="int32")
INT_OR_STRING = keywords(**{"x-kubernetes-int-or-string": True})
SHORT_DURATION = keywords(pattern="^[0-9]+(m|s)")
"""A duration; the pattern is anchored at the start only, so `1m30s`, `500ms` and `5minutes` pass."""

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS_LABEL = keywords(pattern=f"^{_DNS_LABEL}$", minLength=1, maxLength=63)
DNS_SUBDOMAIN = keywords(pattern=rf"^{_DNS_LABEL}(\.{_DNS_LABEL})*$", minLength=1, maxLength=253)
OBJECT_NAME = keywords(minLength=1, maxLength=253)
PORT_NUMBER = keywords(type="integer", format="int32", minimum=1, maximum=65535)


def api_group(default: str) -> Meta:
    """Return the annotation of an API group that the server fills in."""
    pattern = rf"^$|^{_DNS_LABEL}(\.{_DNS_LABEL})*$"
    # Kubernetes 1.20 built with Go 1.19 or later takes an empty text for null, and refuses it as a default.
    empty = {} if default else {"nullable": True}
    return keywords(pattern=pattern, maxLength=253, default=default, **empty)


def object_kind(default: str) -> Meta:
    """Return the annotation of a kind that the server fills in."""
    pattern = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
    return keywords(pattern=pattern, minLength=1, maxLength=63, default=default)


def exactly_one(*names: str) -> JsonSchema:
    """Return the keywords of an object that must have exactly one of the fields."""
    return {"oneOf": [{"required": [name]} for name in names]}


def at_most_one(*names: str) -> JsonSchema:
    """Return the keywords of an object that may have one of the fields, or none."""
    alternatives = [{"required": [name]} for name in names]
    return {"oneOf": [{"not": {"anyOf": alternatives}}, *alternatives]}
