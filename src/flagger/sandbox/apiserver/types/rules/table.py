"""What makes an object of a built-in kind invalid: one table from message to checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types import metadata, names
from flagger.sandbox.apiserver.types.causes import Cause

Object = dict[str, Any]
Check = Callable[[Object, Object | None], Iterator[Cause]]
"""Takes the object and, for an update, the one it replaces."""

NAME_RULES: Mapping[str, names.Rule] = {
    "core.Namespace": names.label,
    "core.Service": names.label_1035,
    "rbac.ClusterRole": names.path_segment,
    "rbac.ClusterRoleBinding": names.path_segment,
    "rbac.Role": names.path_segment,
    "rbac.RoleBinding": names.path_segment,
}
"""Kinds whose names are not DNS subdomains."""

CHECKS: Mapping[str, Sequence[Check]] = {}


def check(message: str, obj: Object, old: Object | None) -> list[Cause]:
    """Return the violations of an object of a built-in type."""
    old_meta = old["metadata"] if old is not None else None
    rule = NAME_RULES.get(message, names.subdomain)
    causes = list(metadata.validate(obj["metadata"], old_meta, rule, custom=False))
    for one in CHECKS.get(message, ()):
        causes += one(obj, old)
    return causes
