"""Rules of pods and of the templates they are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types import metadata, names, quantities
from flagger.sandbox.apiserver.types.causes import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from flagger.sandbox.apiserver.types.rules.base import Object, not_negative, one_of, positive

HANDLERS = ("exec", "grpc", "httpGet", "sleep", "tcpSocket")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
RESTART_POLICIES = ("Always", "OnFailure", "Never")
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
    volumes = [item.get("name", "") for item in spec.get("volumes") or ()]
    yield from _volumes(spec.get("volumes") or (), f"{field}.volumes")
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    seen: set[str] = set()
    for group in ("containers", "initContainers"):
        for index, item in enumerate(spec.get(group) or ()):
            yield from _container(item, f"{field}.{group}[{index}]", volumes)
            yield from _unique(item.get("name", ""), seen, f"{field}.{group}[{index}].name")
    yield from one_of(spec, field, "restartPolicy", RESTART_POLICIES)
    yield from not_negative(spec, field, "terminationGracePeriodSeconds")
    yield from positive(spec, field, "activeDeadlineSeconds")
    for name in ("nodeName", "serviceAccountName"):
        for problem in names.subdomain(spec[name]) if spec.get(name) else ():
            yield invalid(f"{field}.{name}", spec[name], problem)


def _unique(name: str, seen: set[str], field: str) -> Iterator[Cause]:
    if name and name in seen:
        yield duplicate(field, name)
    seen.add(name)


def _volumes(volumes: Sequence[Mapping[str, Any]], field: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        place = f"{field}[{index}]"
        name = volume.get("name", "")
        yield from _label(name, f"{place}.name")
        yield from _unique(name, seen, f"{place}.name")
        if len(volume) > 2:
            extra = [key for key in volume if key != "name"][1:]
            yield from (
                forbidden(f"{place}.{key}", "may not specify more than 1 volume type") for key in extra
            )
        for source, member in (("secret", "secretName"), ("configMap", "name"), ("hostPath", "path")):
            if source in volume and not volume[source].get(member):
                yield required(f"{place}.{source}.{member}")


def _label(name: str, field: str) -> Iterator[Cause]:
    if not name:
        yield required(field)
    else:
        yield from (invalid(field, name, problem) for problem in names.label(name))


def _container(item: Mapping[str, Any], field: str, volumes: Sequence[str]) -> Iterator[Cause]:
    yield from _label(item.get("name", ""), f"{field}.name")
    image = item.get("image", "")
    if not image:
        yield required(f"{field}.image")
    elif image != image.strip():
        yield invalid(f"{field}.image", image, "must not have leading or trailing whitespace")
    yield from one_of(item, field, "imagePullPolicy", PULL_POLICIES)
    yield from _ports(item.get("ports") or (), f"{field}.ports")
    yield from _env(item.get("env") or (), f"{field}.env")
    yield from _mounts(item.get("volumeMounts") or (), volumes, f"{field}.volumeMounts")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in item:
            yield from _probe(item[name], f"{field}.{name}", once=name != "readinessProbe")
    yield from _resources(item.get("resources") or {}, f"{field}.resources")


def _ports(ports: Sequence[Mapping[str, Any]], field: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        place = f"{field}[{index}]"
        name = port.get("name", "")
        yield from (
            invalid(f"{place}.name", name, problem) for problem in (names.port_name(name) if name else ())
        )
        yield from _unique(name, seen, f"{place}.name")
        if not port.get("containerPort"):
            yield required(f"{place}.containerPort")
        else:
            yield from _port_number(port["containerPort"], f"{place}.containerPort")
        if port.get("hostPort"):
            yield from _port_number(port["hostPort"], f"{place}.hostPort")
        yield from one_of(port, place, "protocol", PROTOCOLS)


def _port_number(port: Any, field: str) -> Iterator[Cause]:
    yield from (invalid(field, port, problem) for problem in names.port_number(port))


def _env(entries: Sequence[Mapping[str, Any]], field: str) -> Iterator[Cause]:
    for index, entry in enumerate(entries):
        place = f"{field}[{index}]"
        name = entry.get("name", "")
        if not name:
            yield required(f"{place}.name")
        else:
            yield from (invalid(f"{place}.name", name, problem) for problem in names.env_name(name))
        source = entry.get("valueFrom")
        if source is None:
            continue
        if entry.get("value"):
            yield invalid(f"{place}.valueFrom", "", "may not be specified when `value` is not empty")
        elif len(source) != 1:
            many = "may not have more than one field specified at a time"
            yield invalid(
                f"{place}.valueFrom",
                "",
                many
                if source
                else "must specify one of: `fieldRef`, "
                "`resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            )


def _mounts(mounts: Sequence[Mapping[str, Any]], volumes: Sequence[str], field: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        place = f"{field}[{index}]"
        if not mount.get("name"):
            yield required(f"{place}.name")
        elif mount["name"] not in volumes:
            yield not_found(f"{place}.name", mount["name"])
        path = mount.get("mountPath", "")
        if not path:
            yield required(f"{place}.mountPath")
        elif path in seen:
            yield invalid(f"{place}.mountPath", path, "must be unique")
        seen.add(path)


def _probe(probe: Mapping[str, Any], field: str, *, once: bool) -> Iterator[Cause]:
    handlers = [name for name in HANDLERS if name in probe]
    if not handlers:
        yield required(field, "must specify a handler type")
    for name in handlers[1:]:
        yield forbidden(f"{field}.{name}", "may not specify more than 1 handler type")
    if "httpGet" in probe:
        yield from _http(probe["httpGet"], f"{field}.httpGet")
    if "tcpSocket" in probe:
        yield from _target_port(probe["tcpSocket"].get("port"), f"{field}.tcpSocket.port")
    numbers = (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    )
    yield from not_negative(probe, field, *numbers)
    if once and probe.get("successThreshold", 1) != 1:
        yield invalid(f"{field}.successThreshold", probe["successThreshold"], "must be 1")


def _http(action: Mapping[str, Any], field: str) -> Iterator[Cause]:
    if not action.get("path"):
        yield required(f"{field}.path")
    yield from _target_port(action.get("port"), f"{field}.port")
    if action.get("scheme") not in {"HTTP", "HTTPS"}:
        yield not_supported(f"{field}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))


def _target_port(port: Any, field: str) -> Iterator[Cause]:
    problems = names.port_name(port) if isinstance(port, str) else names.port_number(port)
    yield from (invalid(field, port, problem) for problem in problems)


def _resources(resources: Mapping[str, Any], field: str) -> Iterator[Cause]:
    limits = resources.get("limits") or {}
    for kind in ("limits", "requests"):
        for name, amount in (resources.get(kind) or {}).items():
            if quantities.parse(amount) < 0:
                yield invalid(f"{field}.{kind}[{name}]", amount, "must be greater than or equal to 0")
    for name, amount in (resources.get("requests") or {}).items():
        if name in limits and quantities.parse(amount) > quantities.parse(limits[name]):
            yield invalid(f"{field}.requests", amount, f"must be less than or equal to {name} limit")
