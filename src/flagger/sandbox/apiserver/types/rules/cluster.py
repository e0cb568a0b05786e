"""Rules of configuration, events, leases, access and everything else that is small."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from flagger.sandbox.apiserver.types import names, quantities
from flagger.sandbox.apiserver.types.causes import Cause, forbidden, invalid, not_supported, required
from flagger.sandbox.apiserver.types.defaults import RBAC
from flagger.sandbox.apiserver.types.rules.base import (
    NOT_NEGATIVE,
    Object,
    not_negative,
    positive,
    selector,
    share,
    unchanged,
)

DATA_LIMIT = 1024 * 1024
IMMUTABLE_DATA = "field is immutable when `immutable` is set"


def config_map(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a ConfigMap."""
    texts, binaries = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key, text in texts.items():
        yield from (invalid(f"data[{key}]", key, problem) for problem in names.config_key(key))
        if key in binaries:
            yield invalid("data", key, "duplicate of key present in binaryData")
        size += len(text.encode())
    for key, text in binaries.items():
        yield from (invalid(f"binaryData[{key}]", key, problem) for problem in names.config_key(key))
        size += len(base64.b64decode(text))
    if size > DATA_LIMIT:
        yield Cause("FieldValueTooLong", f"Too long: must have at most {DATA_LIMIT} bytes", "")
    yield from _immutable(obj, old, "data", "binaryData")


def secret(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a Secret; its values never appear in a violation."""
    data = obj.get("data") or {}
    for key in data:
        yield from (invalid(f"data[{key}]", key, problem) for problem in names.config_key(key))
    if sum(len(base64.b64decode(text)) for text in data.values()) > DATA_LIMIT:
        yield Cause("FieldValueTooLong", f"Too long: must have at most {DATA_LIMIT} bytes", "data")
    for key in SECRET_KEYS.get(obj.get("type", ""), ()):
        if key not in data:
            yield required(f"data[{key}]")
    yield from unchanged(obj, old, "type", "type")
    yield from _immutable(obj, old, "data")


SECRET_KEYS: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
"""Type of a Secret → keys it must have."""


def _immutable(obj: Object, old: Object | None, *members: str) -> Iterator[Cause]:
    if old is None or not old.get("immutable"):
        return
    if not obj.get("immutable"):
        yield forbidden("immutable", IMMUTABLE_DATA)
    yield from (forbidden(name, IMMUTABLE_DATA) for name in members if old.get(name) != obj.get(name))


def core_event(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check a core event: it lives beside what it is about."""
    yield from _event_namespace(obj, obj.get("involvedObject") or {}, "involvedObject")


def _event_namespace(obj: Object, about: Mapping[str, Any], field: str) -> Iterator[Cause]:
    namespace, own = about.get("namespace", ""), obj["metadata"].get("namespace", "")
    if not namespace:
        if own not in {"", "default", "kube-system"}:
            yield invalid(f"{field}.namespace", namespace, "does not match event.namespace")
    elif namespace != own:
        yield invalid(f"{field}.namespace", namespace, "does not match event.namespace")


def event(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check an event of events.k8s.io, which must say who reports what."""
    if old is None and not obj.get("eventTime"):
        yield required("eventTime")
    for name in ("reportingController", "reportingInstance", "action", "reason") if old is None else ():
        if not obj.get(name):
            yield required(name)
    if old is None and obj.get("type") not in {"Normal", "Warning"}:
        yield invalid("type", obj.get("type", ""), "has invalid value: " + str(obj.get("type", "")))
    yield from _event_namespace(obj, obj.get("regarding") or {}, "regarding")


def lease(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check a lease."""
    spec = obj.get("spec") or {}
    yield from positive(spec, "spec", "leaseDurationSeconds")
    yield from not_negative(spec, "spec", "leaseTransitions")


def disruption_budget(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check a disruption budget."""
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        yield invalid("spec", "", "minAvailable and maxUnavailable cannot be both set")
    for name in ("minAvailable", "maxUnavailable"):
        yield from share(spec.get(name), f"spec.{name}")
    yield from selector(spec.get("selector") or {}, "spec.selector")


def resource_quota(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check a quota."""
    for name, amount in (obj["spec"].get("hard") or {}).items():
        if quantities.parse(amount) < 0:
            yield invalid(f"spec.hard[{name}]", amount, NOT_NEGATIVE)


ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def volume_claim(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check a claim for storage."""
    spec = obj["spec"]
    if not spec.get("accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes") or ():
        if mode not in ACCESS_MODES:
            yield not_supported("spec.accessModes", mode, ACCESS_MODES)
    amount = (spec["resources"].get("requests") or {}).get("storage")
    if amount is None:
        yield required("spec.resources[storage]")
    elif quantities.parse(amount) <= 0:
        yield invalid("spec.resources[storage]", amount, "must be greater than zero")


def role(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check a role of the namespace or the cluster."""
    for index, rule in enumerate(obj.get("rules") or ()):
        field = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{field}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            yield required(f"{field}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{field}.resources", "resource rules must supply at least one resource")


SUBJECT_KINDS = ("ServiceAccount", "User", "Group")


def role_binding(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a binding; the role it refers to stays."""
    reference = obj.get("roleRef") or {}
    kinds = ("ClusterRole",) if obj["kind"] == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if reference.get("kind") not in kinds:
        yield not_supported("roleRef.kind", reference.get("kind", ""), kinds)
    if reference.get("apiGroup") != RBAC:
        yield not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), (RBAC,))
    if not reference.get("name"):
        yield required("roleRef.name")
    for index, subject in enumerate(obj.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{index}]", obj)
    if old is not None and old.get("roleRef") != reference:
        yield invalid(
            "roleRef", {str(key): str(value) for key, value in reference.items()}, "cannot change roleRef"
        )


def _subject(subject: Mapping[str, Any], field: str, binding: Object) -> Iterator[Cause]:
    if not subject.get("name"):
        yield required(f"{field}.name")
    if subject.get("kind") not in SUBJECT_KINDS:
        yield not_supported(f"{field}.kind", subject.get("kind", ""), SUBJECT_KINDS)
    elif subject["kind"] == "ServiceAccount":
        yield from (
            invalid(f"{field}.name", subject["name"], text) for text in names.subdomain(subject["name"])
        )
        if not subject.get("namespace") and binding["kind"] == "ClusterRoleBinding":
            yield required(f"{field}.namespace")
    elif subject.get("apiGroup") != RBAC:
        yield not_supported(f"{field}.apiGroup", subject.get("apiGroup", ""), (RBAC,))
