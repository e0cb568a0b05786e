"""Further container ports to publish on the generated Services."""

from __future__ import annotations

from collections.abc import Iterator

from flagger.api.canary import Canary
from flagger.kube.objects import Object

_SIDECARS = frozenset({"istio-proxy", "envoy"})


def discover_ports(canary: Canary, template: Object) -> dict[str, int]:
    """Names and numbers of the container ports other than the main one; empty unless asked for."""
    if not canary.spec.service.port_discovery:
        return {}
    return dict(_ports(canary, template))


def _ports(canary: Canary, template: Object) -> Iterator[tuple[str, int]]:
    for container in template.get("spec", {}).get("containers") or ():
        if container["name"] in _SIDECARS:
            continue
        for index, port in enumerate(container.get("ports") or ()):
            if not _is_main(canary.target_port, port):
                yield port.get("name") or f"tcp-{container['name']}-{index}", int(port["containerPort"])


def _is_main(target_port: int | str, port: Object) -> bool:
    if isinstance(target_port, str):
        return bool(port.get("name") == target_port)
    return bool(port["containerPort"] == target_port)
