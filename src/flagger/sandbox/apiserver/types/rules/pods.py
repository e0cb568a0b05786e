"""Rules of pods and of the templates they are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types import metadata, names
from flagger.sandbox.apiserver.types.causes import Cause, forbidden, invalid, not_supported, required
from flagger.sandbox.apiserver.types.rules.base import Object, one_of, positive
from flagger.sandbox.apiserver.types.rules.containers import container, label, unique

RESTART_POLICIES = ("Always", "OnFailure", "Never")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
SOURCES: Mapping[str, str] = {"secret": "secretName", "configMap": "name", "hostPath": "path"}
"""Source of a volume → its required member."""
UPDATE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, "
    "`spec.activeDeadlineSeconds` or `spec.tolerations` (only additions to existing tolerations)"
)


def pod(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a pod; of one that exists, hardly anything may change."""
    yield from pod_spec(obj["spec"], "spec")
    if old is not None and not _may_become(old["spec"], obj["spec"]):
        yield forbidden("spec", UPDATE_TEXT)


def _may_become(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if before == after:
        return True
    tolerations = after.get("tolerations") or ()
    kept = all(item in tolerations for item in before.get("tolerations") or ())
    return kept and _fixed(before) == _fixed(after)


def _fixed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may never change in a pod that exists."""
    free = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"}
    fixed = {name: value for name, value in spec.items() if name not in free}
    for name in ("containers", "initContainers"):
        if fixed.get(name):
            fixed[name] = [{key: item[key] for key in item if key != "image"} for item in fixed[name]]
    return fixed


def template(value: Mapping[str, Any], field: str) -> Iterator[Cause]:
    """Check a pod template."""
    meta = value.get("metadata") or {}
    for key, item in (meta.get("labels") or {}).items():
        yield from metadata.labels_cause(f"{field}.metadata.labels", key, item)
    for key in meta.get("annotations") or {}:
        bad = names.qualified(key.lower())
        yield from (invalid(f"{field}.metadata.annotations", key, problem) for problem in bad)
    yield from pod_spec(value.get("spec") or {}, f"{field}.spec")


def pod_spec(spec: Mapping[str, Any], field: str) -> Iterator[Cause]:
    """Check the specification of a pod."""
    mountable: set[str] = set()
    yield from _volumes(spec.get("volumes") or (), f"{field}.volumes", mountable)
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    seen: set[str] = set()
    for group in ("containers", "initContainers"):
        for index, item in enumerate(spec.get(group) or ()):
            yield from container(item, f"{field}.{group}[{index}]", mountable)
            yield from unique(item.get("name", ""), seen, f"{field}.{group}[{index}].name")
    yield from one_of(spec, field, "restartPolicy", RESTART_POLICIES)
    yield from positive(spec, field, "activeDeadlineSeconds")
    for name in ("nodeName", "serviceAccountName"):
        for problem in names.subdomain(spec[name]) if spec.get(name) else ():
            yield invalid(f"{field}.{name}", spec[name], problem)
    for key, value in (spec.get("nodeSelector") or {}).items():
        yield from metadata.labels_cause(f"{field}.nodeSelector", key, value)
    yield from _tolerations(spec.get("tolerations") or (), f"{field}.tolerations")
    yield from _aliases(spec.get("hostAliases") or (), f"{field}.hostAliases")


def _volumes(volumes: Sequence[Mapping[str, Any]], field: str, mountable: set[str]) -> Iterator[Cause]:
    """Check volumes, and collect the names of those that containers can mount."""
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        causes = list(_volume(volume, f"{field}[{index}]", seen))
        yield from causes
        if not causes:
            mountable.add(volume["name"])


def _volume(volume: Mapping[str, Any], field: str, seen: set[str]) -> Iterator[Cause]:
    name = volume.get("name", "")
    yield from label(name, f"{field}.name")
    yield from unique(name, seen, f"{field}.name")
    extra = [key for key in volume if key != "name"][1:]
    yield from (forbidden(f"{field}.{key}", "may not specify more than 1 volume type") for key in extra)
    for source, member in SOURCES.items():
        if source in volume:
            yield from _source(volume[source], member, f"{field}.{source}")


def _source(given: Mapping[str, Any], member: str, field: str) -> Iterator[Cause]:
    if not given.get(member):
        yield required(f"{field}.{member}")
    for index, item in enumerate(given.get("items") or ()):
        missing = (key for key in ("key", "path") if not item.get(key))
        yield from (required(f"{field}.items[{index}].{key}") for key in missing)


def _tolerations(tolerations: Sequence[Mapping[str, Any]], field: str) -> Iterator[Cause]:
    for index, item in enumerate(tolerations):
        place, operator = f"{field}[{index}]", item.get("operator", "")
        if not item.get("key") and operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid(f"{place}.operator", operator, text)
        if operator not in {"", "Equal", "Exists"}:
            yield not_supported(f"{place}.operator", operator, ("Equal", "Exists"))
        if item.get("effect") and item["effect"] not in EFFECTS:
            yield not_supported(f"{place}.effect", item["effect"], EFFECTS)


def _aliases(aliases: Sequence[Mapping[str, Any]], field: str) -> Iterator[Cause]:
    for alias in aliases:
        address = alias.get("ip", "")
        if not names.is_address(address):
            yield invalid(f"{field}.ip", address, "must be valid IP address")
        for name in alias.get("hostnames") or ():
            yield from (invalid(f"{field}.hostnames", name, problem) for problem in names.subdomain(name))
