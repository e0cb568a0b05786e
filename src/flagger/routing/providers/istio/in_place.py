"""Where a VirtualService keeps its weights. Field meanings: https://istio.io/latest/docs/reference/config/networking/."""

from __future__ import annotations

from flagger.api.references import Key
from flagger.kube.objects import Object
from flagger.routing.held import EACH, Layout
from flagger.routing.providers.istio.hosts import service_of


def _service_of(entry: Object, namespace: str) -> Key | None:
    return service_of((entry.get("destination") or {}).get("host", ""), namespace)


VIRTUAL_SERVICE = Layout(
    group="networking.istio.io",
    kind="VirtualService",
    plural="virtualservices",
    lists=[(section, EACH, "route") for section in ("http", "tcp", "tls")],
    service_of=_service_of,
    absent=0,  # among several; a lone destination gets everything, and is none of two sides
)
