"""Where the routes of the Gateway API keep their weights: in the backends of each rule, whatever the protocol."""

from __future__ import annotations

from flagger.api.references import Key
from flagger.kube.objects import Object
from flagger.routing.held import EACH, Layout
from flagger.routing.providers.gateway_api.acceptance import refusal_of

GROUP = "gateway.networking.k8s.io"
_CORE = ("", "core")


def _service_of(entry: Object, namespace: str) -> Key | None:
    if entry.get("group", "") not in _CORE or entry.get("kind", "Service") != "Service":
        return None
    return Key(entry.get("namespace") or namespace, entry.get("name", ""))


GATEWAY_ROUTES = tuple(
    Layout(
        group=GROUP,
        kind=kind,
        plural=f"{kind.lower()}s",
        lists=[("rules", EACH, "backendRefs")],
        service_of=_service_of,
        absent=1,
        refusal_of=refusal_of,
    )
    for kind in ("GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute")
)
