"""Label sets as sorted tuples: small, hashable, and directly usable as group keys."""

from collections.abc import Collection, Mapping

import msgspec

Labels = tuple[tuple[str, str], ...]
"""Pairs of name and value, sorted by name. An empty value means "not set" and never appears."""

METRIC_NAME = "__name__"
BUCKET_BOUND = "le"


def labels_of(mapping: Mapping[str, str]) -> Labels:
    """The label set of `mapping`; labels with an empty value are left out."""
    return tuple(sorted((name, value) for name, value in mapping.items() if value))


def value_of(labels: Labels, name: str) -> str:
    """The value of one label, "" when it is not set."""
    for pair in labels:
        if pair[0] == name:
            return pair[1]
    return ""


def without(labels: Labels, names: Collection[str]) -> Labels:
    """The labels that are not in `names`."""
    return tuple([pair for pair in labels if pair[0] not in names])


def only(labels: Labels, names: Collection[str]) -> Labels:
    """The labels that are in `names`."""
    return tuple([pair for pair in labels if pair[0] in names])


def unnamed(labels: Labels) -> Labels:
    """The labels without the metric name."""
    if labels and labels[0][0] == METRIC_NAME:  # the usual place: only capitals sort before it
        return labels[1:]
    return without(labels, (METRIC_NAME,))


def changed(labels: Labels, name: str, value: str) -> Labels:
    """The labels with one of them set, or removed when `value` is empty."""
    return labels_of({**dict(labels), name: value})


def as_text(labels: Labels) -> str:
    """The labels as they appear in messages: `{__name__="a", b="c"}`."""
    pairs = ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in labels)
    return f"{{{pairs}}}"
