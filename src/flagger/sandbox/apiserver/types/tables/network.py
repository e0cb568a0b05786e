"""Columns of services and what stands behind and before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from flagger.sandbox.apiserver.types.tables.base import (
    AGE,
    NAME,
    NONE,
    Column,
    Object,
    at,
    labels,
    member,
    wide,
)

UNSET = "<unset>"
SHOWN = 3


def _service_port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}"


def _service_ports(service: Object, _now: datetime) -> str:
    return ",".join(map(_service_port, member(service, "spec", "ports") or ())) or NONE


def _external(service: Object, _now: datetime) -> str:
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    addresses = list(spec.get("externalIPs") or ())
    if spec.get("type") == "LoadBalancer":
        return ",".join([*_balancer(service), *addresses]) or "<pending>"
    return ",".join(addresses) or NONE


def _balancer(obj: Object) -> list[str]:
    entries = member(obj, "status", "loadBalancer", "ingress") or ()
    return [item.get("ip") or item.get("hostname") or "" for item in entries]


def _cluster_ip(service: Object, _now: datetime) -> str:
    return str(member(service, "spec", "clusterIP") or NONE)


SERVICE = (
    NAME,
    Column("Type", at("spec", "type")),
    Column("Cluster-IP", _cluster_ip),
    Column("External-IP", _external),
    Column("Port(s)", _service_ports),
    AGE,
    wide("Selector", lambda service, _now: labels(member(service, "spec", "selector"))),
)


def _pairs(endpoints: Object) -> Iterator[str]:
    for subset in endpoints.get("subsets") or ():
        addresses = subset.get("addresses") or ()
        ports = subset.get("ports") or ()
        if not ports:
            yield from (address["ip"] for address in addresses)
        for port in ports:
            yield from (f"{address['ip']}:{port.get('port')}" for address in addresses)


def _endpoints(endpoints: Object, _now: datetime) -> str:
    return _some(list(_pairs(endpoints))) or NONE


def _some(texts: Sequence[str]) -> str:
    """Join the first three, and say how many more there are."""
    more = f" + {len(texts) - SHOWN} more..." if len(texts) > SHOWN else ""
    return ",".join(texts[:SHOWN]) + more


ENDPOINTS = (NAME, Column("Endpoints", _endpoints), AGE)


def _slice_ports(part: Object, _now: datetime) -> str:
    ports = [str(port.get("port", "*")) for port in part.get("ports") or ()]
    return _some(ports) or UNSET


def _slice_addresses(part: Object, _now: datetime) -> str:
    found = [address for item in part.get("endpoints") or () for address in item.get("addresses") or ()]
    return _some(found) or UNSET


ENDPOINT_SLICE = (
    NAME,
    Column("AddressType", at("addressType")),
    Column("Ports", _slice_ports),
    Column("Endpoints", _slice_addresses),
    AGE,
)


def _hosts(ingress: Object, _now: datetime) -> str:
    hosts = [rule["host"] for rule in member(ingress, "spec", "rules") or () if rule.get("host")]
    return _some(hosts) or "*"


def _ingress_ports(ingress: Object, _now: datetime) -> str:
    return "80, 443" if member(ingress, "spec", "tls") else "80"


INGRESS = (
    NAME,
    Column("Class", at("spec", "ingressClassName", default=NONE)),
    Column("Hosts", _hosts),
    Column("Address", lambda ingress, _now: ",".join(_balancer(ingress))),
    Column("Ports", _ingress_ports),
    AGE,
)


def _parameters(ingress_class: Object, _now: datetime) -> str:
    given: Any = member(ingress_class, "spec", "parameters")
    if not given:
        return NONE
    group = f".{given['apiGroup']}" if given.get("apiGroup") else ""
    return f"{given.get('kind')}{group}/{given.get('name')}"


INGRESS_CLASS = (
    NAME,
    Column("Controller", at("spec", "controller")),
    Column("Parameters", _parameters),
    AGE,
)


def _pod_selector(policy: Object, _now: datetime) -> str:
    return labels(member(policy, "spec", "podSelector", "matchLabels"))


NETWORK_POLICY = (NAME, Column("Pod-Selector", _pod_selector), AGE)
