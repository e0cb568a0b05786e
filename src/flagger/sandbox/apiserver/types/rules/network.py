"""Rules of services, endpoints, ingresses and network policies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types import metadata, names
from flagger.sandbox.apiserver.types.causes import Cause, duplicate, invalid, not_supported, required
from flagger.sandbox.apiserver.types.rules.base import Object, one_of, selector, unchanged

SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def service(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a service; its address stays."""
    spec = obj["spec"]
    kind = spec.get("type")
    yield from one_of(spec, "spec", "type", SERVICE_TYPES)
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if kind == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")
    if kind == "LoadBalancer" and headless:
        yield invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services")
    yield from one_of(spec, "spec", "sessionAffinity", ("ClientIP", "None"))
    for index, address in enumerate(spec.get("clusterIPs") or ()):
        if address not in {"", "None"} and not names.is_address(address):
            yield invalid(f"spec.clusterIPs[{index}]", address, "must be a valid IP address, (e.g. 10.9.8.7)")
    for key, value in (spec.get("selector") or {}).items():
        yield from metadata.labels_cause("spec.selector", key, value)
    yield from _service_ports(spec.get("ports") or ())
    if old is not None:
        yield from _same_address(spec, old["spec"])


def _service_ports(ports: Sequence[Mapping[str, Any]]) -> Iterator[Cause]:
    seen: set[Any] = set()
    for index, port in enumerate(ports):
        field = f"spec.ports[{index}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            yield required(f"{field}.name")
        elif name:
            yield from (invalid(f"{field}.name", name, problem) for problem in names.label(name))
            if name in seen:
                yield duplicate(f"{field}.name", name)
        pair = (port.get("port"), port.get("protocol"))
        if pair in seen:
            yield Cause("FieldValueDuplicate", f"Duplicate value: {_go_port(port)}", field)
        seen |= {name, pair}
        yield from _service_port(port, field)


def _go_port(port: Mapping[str, Any]) -> str:
    shown = f'Protocol:"{port.get("protocol")}", AppProtocol:(*string)(nil), Port:{port.get("port")}'
    target = 'TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}'
    return f'core.ServicePort{{Name:"", {shown}, {target}, NodePort:0}}'


def _service_port(port: Mapping[str, Any], field: str) -> Iterator[Cause]:
    yield from (
        invalid(f"{field}.port", port.get("port"), text) for text in names.port_number(port.get("port"))
    )
    yield from one_of(port, field, "protocol", PROTOCOLS)
    target = port.get("targetPort")
    problems = names.port_name(target) if isinstance(target, str) else names.port_number(target)
    yield from (invalid(f"{field}.targetPort", target, problem) for problem in problems)


def _same_address(spec: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Cause]:
    if "ExternalName" in {spec.get("type"), before.get("type")} or not before.get("clusterIP"):
        return
    addresses = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else None)
    if not addresses:
        text = "Invalid value: []string(nil): primary clusterIP can not be unset"
        yield Cause("FieldValueInvalid", text, "spec.clusterIPs[0]")
    elif spec.get("clusterIP") != before["clusterIP"]:
        yield invalid("spec.clusterIPs[0]", [spec.get("clusterIP", "")], "may not change once set")


def endpoints(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check endpoints."""
    for index, subset in enumerate(obj.get("subsets") or ()):
        field = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield required(field, "must specify `addresses` or `notReadyAddresses`")
        for group in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(group) or ()):
                yield from _address(address.get("ip", ""), f"{field}.{group}[{place}].ip")
        ports = subset.get("ports") or ()
        for place, port in enumerate(ports):
            yield from _endpoint_port(port, f"{field}.ports[{place}]", named=len(ports) > 1)


def _address(text: str, field: str) -> Iterator[Cause]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        yield invalid(field, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        return
    if address.is_unspecified:
        yield invalid(field, text, "may not be unspecified (0.0.0.0 or ::)")
    if address.is_link_local:
        yield invalid(field, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")


def _endpoint_port(port: Mapping[str, Any], field: str, *, named: bool) -> Iterator[Cause]:
    name = port.get("name", "")
    if named and not name:
        yield required(f"{field}.name")
    yield from (invalid(f"{field}.name", name, text) for text in (names.label(name) if name else ()))
    yield from (
        invalid(f"{field}.port", port.get("port"), text) for text in names.port_number(port.get("port"))
    )
    yield from one_of(port, field, "protocol", PROTOCOLS)


ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")


def endpoint_slice(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check an endpoint slice."""
    kind = obj.get("addressType", "")
    if not kind:
        yield required("addressType")
    elif kind not in ADDRESS_TYPES:
        yield not_supported("addressType", kind, ADDRESS_TYPES)
    yield from unchanged(obj, old, "addressType", "addressType")
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        field = f"endpoints[{index}].addresses"
        if not endpoint.get("addresses"):
            yield required(field, "must contain at least 1 address")
        if kind == "FQDN":
            continue
        for place, address in enumerate(endpoint.get("addresses") or ()):
            yield from _address(address, f"{field}[{place}]")
    seen: set[str] = set()
    for index, port in enumerate(obj.get("ports") or ()):
        name = port.get("name", "")
        if name in seen:
            yield duplicate(f"ports[{index}].name", name)
        seen.add(name)


def endpoints_off_loopback(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Refuse loopback addresses, which pods of a sandbox have and those of a cluster have not."""
    for index, subset in enumerate(obj.get("subsets") or ()):
        for group in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(group) or ()):
                yield from _off_loopback(address.get("ip", ""), f"subsets[{index}].{group}[{place}].ip")


def endpoint_slice_off_loopback(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Refuse loopback addresses in a slice."""
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        for place, address in enumerate(endpoint.get("addresses") or ()):
            yield from _off_loopback(address, f"endpoints[{index}].addresses[{place}]")


def _off_loopback(text: str, field: str) -> Iterator[Cause]:
    if text.startswith("127.") or text == "::1":
        yield invalid(field, text, "may not be in the loopback range (127.0.0.0/8)")


def ingress(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check an ingress."""
    spec = obj["spec"]
    if not spec.get("rules") and "defaultBackend" not in spec:
        yield invalid("spec", [], "either `defaultBackend` or `rules` must be specified")
    if "ingressClassName" in spec:
        name = spec["ingressClassName"]
        yield from (invalid("spec.ingressClassName", name, text) for text in names.subdomain(name))
    if "defaultBackend" in spec:
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for index, rule in enumerate(spec.get("rules") or ()):
        field = f"spec.rules[{index}]"
        yield from _host(rule.get("host", ""), f"{field}.host")
        if "http" not in rule:
            continue
        if not rule["http"].get("paths"):
            yield required(f"{field}.http.paths")
        for place, path in enumerate(rule["http"].get("paths") or ()):
            yield from _path(path, f"{field}.http.paths[{place}]")


def _host(host: str, field: str) -> Iterator[Cause]:
    if host:
        bare = host.removeprefix("*.")
        yield from (invalid(field, host, problem) for problem in names.subdomain(bare))


def _path(path: Mapping[str, Any], field: str) -> Iterator[Cause]:
    kind, text = path.get("pathType"), path.get("path", "")
    if kind is None:
        yield required(f"{field}.pathType", "pathType must be specified")
        return
    if kind not in PATH_TYPES:
        yield not_supported(f"{field}.pathType", kind, PATH_TYPES)
    elif not text.startswith("/") and (text or kind != "ImplementationSpecific"):
        yield invalid(f"{field}.path", text, "must be an absolute path")
    yield from _backend(path.get("backend") or {}, f"{field}.backend")


def _backend(backend: Mapping[str, Any], field: str) -> Iterator[Cause]:
    target = backend.get("service")
    if target is None:
        if "resource" not in backend:
            yield invalid(field, "", "resource or service backend is required")
        return
    name = target.get("name", "")
    if not name:
        yield required(f"{field}.service.name")
    else:
        yield from (invalid(f"{field}.service.name", name, text) for text in names.label_1035(name))
    port = target.get("port") or {}
    if not port.get("name") and not port.get("number"):
        yield required(field, "port name or number is required")
    elif port.get("name"):
        yield from (
            invalid(f"{field}.service.port.name", port["name"], text)
            for text in names.port_name(port["name"])
        )
    else:
        number = port["number"]
        yield from (
            invalid(f"{field}.service.port.number", number, text) for text in names.port_number(number)
        )


def network_policy(obj: Object, _old: Object | None) -> Iterator[Cause]:
    """Check a network policy."""
    yield from selector(obj["spec"].get("podSelector") or {}, "spec.podSelector")
    for index, kind in enumerate(obj["spec"].get("policyTypes") or ()):
        if kind not in {"Ingress", "Egress"}:
            yield not_supported(f"spec.policyTypes[{index}]", kind, ("Egress", "Ingress"))
