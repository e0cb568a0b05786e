"""Rules of containers: ports, environment, mounts, probes, resources."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types import names, quantities
from flagger.sandbox.apiserver.types.causes import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from flagger.sandbox.apiserver.types.rules.base import NOT_NEGATIVE, not_negative, one_of

HANDLERS = ("exec", "grpc", "httpGet", "sleep", "tcpSocket")
KEY_SOURCES = ("configMapKeyRef", "secretKeyRef")
PROBE_NUMBERS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def container(item: Mapping[str, Any], field: str, volumes: Collection[str]) -> Iterator[Cause]:
    """Check a container; `volumes` are the names that it can mount."""
    yield from label(item.get("name", ""), f"{field}.name")
    image = item.get("image", "")
    if not image:
        yield required(f"{field}.image")
    elif image != image.strip():
        yield invalid(f"{field}.image", image, "must not have leading or trailing whitespace")
    yield from one_of(item, field, "imagePullPolicy", PULL_POLICIES)
    yield from _ports(item.get("ports") or (), f"{field}.ports")
    yield from _env(item.get("env") or (), f"{field}.env")
    yield from _env_from(item.get("envFrom") or (), f"{field}.envFrom")
    yield from _mounts(item.get("volumeMounts") or (), volumes, f"{field}.volumeMounts")
    for name in PROBES:
        if name in item:
            yield from _probe(item[name], f"{field}.{name}", once=name != "readinessProbe")
    for name in ("postStart", "preStop"):
        if name in (item.get("lifecycle") or {}):
            yield from _handler(item["lifecycle"][name], f"{field}.lifecycle.{name}")
    yield from _resources(item.get("resources") or {}, f"{field}.resources")


def label(name: str, field: str) -> Iterator[Cause]:
    """Check the name of something inside a pod."""
    if not name:
        yield required(field)
    else:
        yield from (invalid(field, name, problem) for problem in names.label(name))


def unique(name: str, seen: set[str], field: str) -> Iterator[Cause]:
    """Check that a name has not been seen before, and remember it."""
    if name and name in seen:
        yield duplicate(field, name)
    seen.add(name)


def _ports(ports: Sequence[Mapping[str, Any]], field: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        place = f"{field}[{index}]"
        name = port.get("name", "")
        yield from (
            invalid(f"{place}.name", name, problem) for problem in (names.port_name(name) if name else ())
        )
        yield from unique(name, seen, f"{place}.name")
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
        if "valueFrom" in entry:
            yield from _env_source(entry["valueFrom"], entry.get("value"), f"{place}.valueFrom")


def _env_source(source: Mapping[str, Any], value: str | None, field: str) -> Iterator[Cause]:
    if value:
        yield invalid(field, "", "may not be specified when `value` is not empty")
    elif not source:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid(field, "", text)
    elif len(source) > 1:
        yield invalid(field, "", "may not have more than one field specified at a time")
    for name in KEY_SOURCES:
        if name in source:
            yield from _key(source[name], f"{field}.{name}")


def _key(reference: Mapping[str, Any], field: str) -> Iterator[Cause]:
    """Check a reference to one key of a ConfigMap or Secret."""
    name, key = reference.get("name", ""), reference.get("key", "")
    yield from (invalid(f"{field}.name", name, problem) for problem in names.subdomain(name))
    if not key:
        yield required(f"{field}.key")
    else:
        yield from (invalid(f"{field}.key", key, problem) for problem in names.config_key(key))


def _env_from(entries: Sequence[Mapping[str, Any]], field: str) -> Iterator[Cause]:
    for index, entry in enumerate(entries):
        given = [name for name in ("configMapRef", "secretRef") if name in entry]
        if not given:
            yield invalid(field, "", "must specify one of: `configMapRef` or `secretRef`")
        for name in given:
            text, place = entry[name].get("name", ""), f"{field}[{index}].{name}.name"
            if not text:
                yield required(place)
            else:
                yield from (invalid(place, text, problem) for problem in names.subdomain(text))


def _mounts(mounts: Sequence[Mapping[str, Any]], volumes: Collection[str], field: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        place, name = f"{field}[{index}]", mount.get("name", "")
        if not name:
            yield required(f"{place}.name")
        if name not in volumes:
            yield not_found(f"{place}.name", name)
        path = mount.get("mountPath", "")
        if not path:
            yield required(f"{place}.mountPath")
        elif path in seen:
            yield invalid(f"{place}.mountPath", path, "must be unique")
        seen.add(path)


def _handler(action: Mapping[str, Any], field: str) -> Iterator[Cause]:
    """Check what a probe or hook does."""
    given = [name for name in HANDLERS if name in action]
    if not given:
        yield required(field, "must specify a handler type")
    yield from (
        forbidden(f"{field}.{name}", "may not specify more than 1 handler type") for name in given[1:]
    )
    if "exec" in action and not action["exec"].get("command"):
        yield required(f"{field}.exec.command")
    if "httpGet" in action:
        yield from _http(action["httpGet"], f"{field}.httpGet")
    if "tcpSocket" in action:
        yield from _target_port(action["tcpSocket"].get("port"), f"{field}.tcpSocket.port")


def _probe(probe: Mapping[str, Any], field: str, *, once: bool) -> Iterator[Cause]:
    yield from _handler(probe, field)
    yield from not_negative(probe, field, *PROBE_NUMBERS)
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
                yield invalid(f"{field}.{kind}[{name}]", amount, NOT_NEGATIVE)
    for name, amount in (resources.get("requests") or {}).items():
        if name in limits and quantities.parse(amount) > quantities.parse(limits[name]):
            yield invalid(f"{field}.requests", amount, f"must be less than or equal to {name} limit")
