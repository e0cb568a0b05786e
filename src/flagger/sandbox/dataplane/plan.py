"""From a snapshot to everything that shall be served: what all translators contribute, put together. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from flagger.sandbox.dataplane.proxy import forward_proxy
from flagger.sandbox.dataplane.routes import HttpListener, Listener, Plan, Rule, TcpListener, VirtualHost
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Report
from flagger.sandbox.dataplane.translators.table import TRANSLATORS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to serve, and what to tell about it once it is served."""

    plan: Plan
    reports: tuple[Report, ...]


def plan_for(seen: Snapshot) -> Outcome:
    """What the objects seen ask for, all families taken together.

    Where two families claim the same listener the first one in the table has it.
    """
    families = [family for family in TRANSLATORS.values() if all(seen.has(kind) for kind in family.needs)]
    parts = [family.translate(seen) for family in families]
    mesh = {name: rules for part in reversed(parts) for name, rules in part.mesh.items()}
    listeners = _distinct([_meshed(listener, mesh) for part in parts for listener in part.listeners])
    address, _ = seen.site.proxy
    if address:
        listeners = (*listeners, forward_proxy(address, listeners))
    clusters = {cluster.name: cluster for part in reversed(parts) for cluster in part.clusters}
    reports = tuple(report for part in parts for report in part.reports)
    return Outcome(Plan(listeners, tuple(clusters[name] for name in sorted(clusters))), reports)


def _meshed(listener: Listener, mesh: Mapping[str, tuple[Rule, ...]]) -> Listener:
    """The listener of a Service with the rules that some route gave it; any route speaks HTTP."""
    if listener.name not in mesh:
        return listener
    match listener:
        case TcpListener(name, address, port, bound, _, names) | HttpListener(
            name, address, port, bound, _, names
        ):
            host = VirtualHost(("*",), mesh[name])
            return HttpListener(name, address, port, bound, (host,), names, any_host=True)


def _distinct(listeners: list[Listener]) -> tuple[Listener, ...]:
    """One listener for an address and port: two would keep each other from being bound."""
    chosen: dict[tuple[str, int], Listener] = {}
    for listener in listeners:
        chosen.setdefault((listener.address, listener.bound), listener)
    return tuple(chosen.values())
