"""Further container ports to publish on the generated Services."""

from __future__ import annotations

from collections.abc import Iterator

from flagger.api.canary import Canary
from flagger.kube.objects import Object

_SIDECARS = frozenset({"istio-proxy", "envoy"})
_LONGEST = 63  # characters of a Service port's name


def discover_ports(canary: Canary, template: Object) -> dict[str, int]:
    """Names and numbers of the container ports other than the main one; empty unless asked for.

    Of two ports of one name the later one counts. What would clash with the main port is left out: the API
    server would refuse the whole Service.
    """
    if not canary.spec.service.port_discovery:
        return {}
    found = dict(_ports(canary, template))
    taken = {canary.spec.service.port}
    kept = {}
    for name, number in found.items():
        if name != canary.port_name and number not in taken:
            taken.add(number)
            kept[name] = number
    return kept


def _ports(canary: Canary, template: Object) -> Iterator[tuple[str, int]]:
    for container in template.get("spec", {}).get("containers") or ():
        if container["name"] in _SIDECARS:
            continue
        for index, port in enumerate(container.get("ports") or ()):
            if not _is_main(canary.target_port, port):
                yield port.get("name") or _unnamed(container["name"], index), int(port["containerPort"])


def _unnamed(container: str, index: int) -> str:
    end = f"-{index}"
    return f"tcp-{container}"[: _LONGEST - len(end)].rstrip("-") + end


def _is_main(target_port: int | str, port: Object) -> bool:
    if isinstance(target_port, str):
        return bool(port.get("name") == target_port)
    return bool(port["containerPort"] == target_port)
