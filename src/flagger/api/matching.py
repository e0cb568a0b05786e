"""Conditions on requests: strings, and the HTTP matches of `service.match` and `analysis.match`."""

from collections.abc import Mapping
from typing import ClassVar

from msgspec import field

from flagger.api.model import Model
from flagger.api.schema import JsonSchema, at_most_one, exactly_one


class StringMatch(Model):
    """Compares a text in one of three ways; without any of them it says nothing."""

    SCHEMA: ClassVar[JsonSchema] = at_most_one("exact", "prefix", "regex")

    exact: str | None = None
    """The text has to be this."""
    prefix: str | None = None
    """The text has to begin with this."""
    regex: str | None = None
    """The text has to match this RE2 expression as a whole."""


class StrictStringMatch(StringMatch):
    """A comparison in exactly one of three ways."""

    SCHEMA: ClassVar[JsonSchema] = exactly_one("exact", "prefix", "regex")


class HeaderMatch(Model):
    """Compares a request header in exactly one of four ways."""

    SCHEMA: ClassVar[JsonSchema] = exactly_one("exact", "prefix", "suffix", "regex")

    exact: str | None = None
    """The value has to be this."""
    prefix: str | None = None
    """The value has to begin with this."""
    suffix: str | None = None
    """The value has to end with this."""
    regex: str | None = None
    """The value has to match this RE2 expression as a whole."""


class HttpMatch(Model):
    """Which requests a generated route takes; all members given have to agree."""

    name: str = ""
    """Label of the condition."""
    uri: StringMatch | None = None
    """Path of the request."""
    scheme: StringMatch | None = None
    """Scheme of the request."""
    method: StringMatch | None = None
    """Method of the request."""
    authority: StringMatch | None = None
    """Host of the request."""
    headers: Mapping[str, StringMatch] = field(default_factory=dict)
    """Header name to condition."""
    without_headers: Mapping[str, StringMatch] = field(default_factory=dict)
    """Header name to a condition that must not hold."""
    query_params: Mapping[str, StringMatch] = field(default_factory=dict)
    """Query parameter to condition."""
    port: int = 0
    """Port the client asked for; 0 for any."""
    source_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the client's pods."""
    source_namespace: str = ""
    """Namespace of the client."""
    gateways: tuple[str, ...] = ()
    """Gateways for which the condition counts."""
    ignore_uri_case: bool = False
    """Compare the path without regard to case."""


class AnalysisMatch(Model):
    """Which requests see the new revision during an A/B test."""

    headers: Mapping[str, HeaderMatch] = field(default_factory=dict)
    """Header name to condition."""
    query_params: Mapping[str, StringMatch] = field(default_factory=dict)
    """Query parameter to condition."""
    source_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the client's pods."""
