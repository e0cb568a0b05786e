"""The environment of a container: literals, references, `$(VAR)`; by the rules of core/v1 EnvVar. Pure."""

import base64
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flagger.kube.objects import (
    CONFIG_MAP,
    SECRET,
    Kind,
    Object,
    annotations_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)

Lookup = Callable[[Kind, str, str], Object | None]  # kind, namespace, name

REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
MAP_FIELD = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTP", 1)
}


class MissingConfig(Exception):  # noqa: N818  a state of the cluster, not of the program
    """A ConfigMap, Secret or key that a container needs is not there (yet)."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What a pod knows of itself when its containers start."""

    pod: Object
    ip: str
    host_ip: str
    capacity: Mapping[str, str] = field(default_factory=dict)  # of the node, for containers without limits
    tokens: dict[str, str] = field(default_factory=dict, repr=False)  # of the service account, by file


def environment(
    container: Object, facts: PodFacts, lookup: Lookup, base: Mapping[str, str]
) -> dict[str, str]:
    """The variables of a container: `base`, then envFrom, then env, which wins.

    Raises:
        MissingConfig: something that is not optional is missing.
    """
    values = dict(base)
    namespace = namespace_of(facts.pod)
    for source in container.get("envFrom") or ():
        values |= from_source(source, namespace, lookup)
    for entry in container.get("env") or ():
        if "valueFrom" not in entry:
            values[entry["name"]] = expand(entry.get("value") or "", values)
        elif (value := reference(entry["valueFrom"], container, facts, lookup)) is not None:
            values[entry["name"]] = value
    return values


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; unknown names stay, `$$` is a dollar."""

    def replace(match: "re.Match[str]") -> str:
        return "$" if match.group() == "$$" else values.get(match.group(1), match.group())

    return REFERENCE.sub(replace, text)


def from_source(source: Object, namespace: str, lookup: Lookup) -> dict[str, str]:
    """All entries of a ConfigMap or Secret, with the prefix."""
    prefix = source.get("prefix") or ""
    found: dict[str, str] = {}
    for kind, field_name in ((CONFIG_MAP, "configMapRef"), (SECRET, "secretRef")):
        if field_name in source:
            wanted = source[field_name]
            data = content(kind, namespace, wanted["name"], lookup, optional=wanted.get("optional"))
            found |= {prefix + key: value.decode("utf-8", "replace") for key, value in data.items()}
    return found


def reference(source: Object, container: Object, facts: PodFacts, lookup: Lookup) -> str | None:
    """The value of `valueFrom`; None for an optional one that is missing."""
    namespace = namespace_of(facts.pod)
    for kind, field_name in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
        if field_name in source:
            wanted = source[field_name]
            optional = wanted.get("optional")
            data = content(kind, namespace, wanted["name"], lookup, optional=optional)
            if wanted["key"] in data:
                return data[wanted["key"]].decode("utf-8", "replace")
            if optional:
                return None
            key, owner = wanted["key"], f"{namespace}/{wanted['name']}"
            raise MissingConfig(f"couldn't find key {key} in {kind.kind} {owner}")
    if "fieldRef" in source:
        return pod_field(source["fieldRef"]["fieldPath"], facts)
    return resource(source.get("resourceFieldRef") or {}, container, facts)


def content(
    kind: Kind, namespace: str, name: str, lookup: Lookup, *, optional: bool | None
) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes.

    Raises:
        MissingConfig: it does not exist and is not optional.
    """
    obj = lookup(kind, namespace, name)
    if obj is None:
        if optional:
            return {}
        raise MissingConfig(f'{kind.kind.lower()} "{name}" not found')
    data = obj.get("data") or {}
    if kind == SECRET:
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return {key: value.encode() for key, value in data.items()} | binary


def pod_field(path: str, facts: PodFacts) -> str:
    """A field of the pod that the downward API offers; "" for one that it does not have."""
    pod, spec = facts.pod, facts.pod.get("spec", {})
    if match := MAP_FIELD.fullmatch(path):
        return (labels_of if match[1] == "labels" else annotations_of)(pod).get(match[2], "")
    fields: Mapping[str, str] = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "metadata.labels": listed(labels_of(pod)),
        "metadata.annotations": listed(annotations_of(pod)),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName") or "default",
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
        "status.podIP": facts.ip,
        "status.podIPs": facts.ip,
    }
    return fields.get(path, "")


def listed(values: Mapping[str, str]) -> str:
    """Labels or annotations as the downward API writes them: a quoted pair per line."""
    return "\n".join(f'{key}="{escaped(value)}"' for key, value in sorted(values.items()))


def escaped(value: str) -> str:
    """A value between double quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource(source: Object, container: Object, facts: PodFacts) -> str:
    """`limits.cpu` and the like, in units of the divisor and rounded up; without a limit that of the node."""
    which, _, name = str(source.get("resource", "")).partition(".")
    given = (container.get("resources") or {}).get(which) or {}
    amount = quantity(str(given.get(name) or facts.capacity.get(name, "0")))
    divisor = quantity(str(source.get("divisor") or "1")) or 1.0
    return str(math.ceil(amount / divisor))


def quantity(text: str) -> float:
    """A resource quantity such as `500m`, `64Mi` or `1e3` as a number; 0 for what is none."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if text.endswith(suffix):
            return number(text.removesuffix(suffix)) * SUFFIXES[suffix]
    return number(text)


def number(text: str) -> float:
    """A number, 0 for what is none."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def service_variables(services: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """`NAME_SERVICE_HOST` and `NAME_SERVICE_PORT` of Services that have an address."""
    for service in services:
        spec = service.get("spec", {})
        address = spec.get("clusterIP")
        if not address or address == "None" or not spec.get("ports"):
            continue
        prefix = name_of(service).upper().replace("-", "_")
        yield f"{prefix}_SERVICE_HOST", address
        yield f"{prefix}_SERVICE_PORT", str(spec["ports"][0]["port"])
