"""Columns of everything else: configuration, access, events, nodes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flagger.sandbox.apiserver.types.tables.base import (
    AGE,
    AGE_TEXT,
    NAME,
    NAME_TEXT,
    NONE,
    UNKNOWN,
    Column,
    Object,
    at,
    member,
    since,
    wide,
)

ROLE_LABEL = "node-role.kubernetes.io/"


def _count(*names: str) -> Any:
    return lambda obj, _now: sum(len(obj.get(name) or ()) for name in names)


CONFIG_MAP = (NAME, Column("Data", _count("data", "binaryData")), AGE)
SECRET = (NAME, Column("Type", at("type")), Column("Data", _count("data")), AGE)
SERVICE_ACCOUNT = (NAME, Column("Secrets", _count("secrets")), AGE)
NAMESPACE = (NAME, Column("Status", at("status", "phase")), AGE)
LEASE = (NAME, Column("Holder", at("spec", "holderIdentity")), AGE)
POD_TEMPLATE = (NAME, AGE)
CREATED = Column("Created At", at("metadata", "creationTimestamp"), "date", description=AGE_TEXT)
ROLE = (NAME, CREATED)


def _node_status(node: Object, _now: datetime) -> str:
    conditions = member(node, "status", "conditions") or ()
    states = [
        "Ready" if item.get("status") == "True" else "NotReady"
        for item in conditions
        if item.get("type") == "Ready"
    ]
    held = ["SchedulingDisabled"] if member(node, "spec", "unschedulable") else []
    return ",".join([*(states or ["Unknown"]), *held])


def _roles(node: Object, _now: datetime) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = [key.removeprefix(ROLE_LABEL) for key in labels if key.startswith(ROLE_LABEL)]
    roles += [value for key, value in labels.items() if key == "kubernetes.io/role" and value]
    return ",".join(sorted(roles)) or NONE


def _address(kind: str) -> Any:
    def cell(node: Object, _now: datetime) -> str:
        addresses = member(node, "status", "addresses") or ()
        return next((item["address"] for item in addresses if item.get("type") == kind), NONE)

    return cell


NODE = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _roles),
    AGE,
    Column("Version", at("status", "nodeInfo", "kubeletVersion")),
    wide("Internal-IP", _address("InternalIP")),
    wide("External-IP", _address("ExternalIP")),
    wide("OS-Image", at("status", "nodeInfo", "osImage", default=UNKNOWN)),
    wide("Kernel-Version", at("status", "nodeInfo", "kernelVersion", default=UNKNOWN)),
    wide("Container-Runtime", at("status", "nodeInfo", "containerRuntimeVersion", default=UNKNOWN)),
)


def _first(event: Object, *names: str) -> Any:
    return next((event[name] for name in names if event.get(name)), None)


def _last_seen(event: Object, now: datetime) -> str:
    last = member(event, "series", "lastObservedTime") or _first(
        event, "lastTimestamp", "deprecatedLastTimestamp", "eventTime"
    )
    return since(last, now)


def _first_seen(event: Object, now: datetime) -> str:
    return since(_first(event, "firstTimestamp", "deprecatedFirstTimestamp", "eventTime"), now)


def _about(event: Object) -> Object:
    return event.get("involvedObject") or event.get("regarding") or {}


def _object(event: Object, _now: datetime) -> str:
    about = _about(event)
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _source(event: Object, _now: datetime) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    parts = [source.get("component"), source.get("host")]
    if not any(parts):
        parts = [_first(event, "reportingComponent", "reportingController"), event.get("reportingInstance")]
    return ", ".join(part for part in parts if part)


def _times(event: Object, _now: datetime) -> int:
    series = event.get("series")
    if series:
        return int(series.get("count", 0)) + 1
    return int(_first(event, "count", "deprecatedCount") or 1)


EVENT = (
    Column("Last Seen", _last_seen),
    Column("Type", at("type")),
    Column("Reason", at("reason")),
    Column("Object", _object),
    wide("Subobject", lambda event, _now: _about(event).get("fieldPath", "")),
    wide("Source", _source),
    Column("Message", lambda event, _now: str(_first(event, "message", "note") or "").strip()),
    wide("First Seen", _first_seen),
    wide("Count", _times),
    Column("Name", at("metadata", "name"), priority=1, description=NAME_TEXT, format="name"),
)


def _limit(name: str) -> Any:
    def cell(budget: Object, _now: datetime) -> str:
        value = member(budget, "spec", name)
        return "N/A" if value is None else str(value)

    return cell


DISRUPTION_BUDGET = (
    NAME,
    Column("Min Available", _limit("minAvailable")),
    Column("Max Unavailable", _limit("maxUnavailable")),
    Column("Allowed Disruptions", at("status", "disruptionsAllowed", default=0), "integer"),
    AGE,
)


def _controller(revision: Object, _now: datetime) -> str:
    owners: Sequence[Object] = revision["metadata"].get("ownerReferences") or ()
    owner = next((item for item in owners if item.get("controller")), None)
    if owner is None:
        return NONE
    group = str(owner.get("apiVersion", "")).rpartition("/")[0]
    kind = str(owner.get("kind", "")).lower()
    return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"


CONTROLLER_REVISION = (
    NAME,
    Column("Controller", _controller),
    Column("Revision", at("revision", default=0)),
    AGE,
)


def _bound_role(binding: Object, _now: datetime) -> str:
    role = binding.get("roleRef") or {}
    return f"{role.get('kind', '')}/{role.get('name', '')}"


def _subjects(kind: str) -> Any:
    def cell(binding: Object, _now: datetime) -> str:
        found = [item for item in binding.get("subjects") or () if item.get("kind") == kind]
        return ", ".join(_subject(item) for item in found)

    return cell


def _subject(item: Object) -> str:
    namespace = item.get("namespace")
    return f"{namespace}/{item.get('name')}" if namespace else str(item.get("name", ""))


ROLE_BINDING = (
    NAME,
    Column("Role", _bound_role),
    AGE,
    wide("Users", _subjects("User")),
    wide("Groups", _subjects("Group")),
    wide("ServiceAccounts", _subjects("ServiceAccount")),
)


def _usage(quota: Object, name: str) -> str:
    hard, used = member(quota, "status", "hard") or {}, member(quota, "status", "used") or {}
    chosen = [key for key in sorted(hard) if key.startswith("limits.") is (name == "limits")]
    return ", ".join(f"{key}: {used.get(key, '0')}/{hard[key]}" for key in chosen)


QUOTA = (
    NAME,
    AGE,
    Column("Request", lambda quota, _now: _usage(quota, "requests")),
    Column("Limit", lambda quota, _now: _usage(quota, "limits")),
)
CREATED_ONLY = (NAME, CREATED)


def _storage(claim: Object, _now: datetime) -> str:
    return str(member(claim, "status", "capacity", "storage") or "")


def _modes(claim: Object, _now: datetime) -> str:
    short = {
        "ReadWriteOnce": "RWO",
        "ReadOnlyMany": "ROX",
        "ReadWriteMany": "RWX",
        "ReadWriteOncePod": "RWOP",
    }
    return ",".join(short.get(mode, mode) for mode in member(claim, "status", "accessModes") or ())


CLAIM = (
    NAME,
    Column("Status", at("status", "phase")),
    Column("Volume", at("spec", "volumeName")),
    Column("Capacity", _storage),
    Column("Access Modes", _modes),
    Column("StorageClass", at("spec", "storageClassName")),
    AGE,
    wide("VolumeMode", at("spec", "volumeMode", default=UNKNOWN)),
)
