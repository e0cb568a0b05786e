"""How Istio spells a Service: `name`, `name.namespace`, `name.namespace.svc` or the whole name in the cluster."""

from __future__ import annotations

from flagger.api.references import Key


def service_of(host: str, namespace: str) -> Key | None:
    """The Service that a host in a rule of some namespace means; None for what is no Service of this cluster."""
    match host.split("."):
        case [name]:
            return Key(namespace, name)
        case [name, other] | [name, other, "svc"] | [name, other, "svc", _, *_]:
            return Key(other, name)
    return None
