"""Traefik: an IngressRoute to the TraefikService that will be made."""

from collections.abc import Sequence

from flagger.kube.objects import Kind, Object
from tests.e2e.providers.setting import BLUE_GREEN, CANARY, PORT, Setting, a_front

INGRESS_ROUTE = Kind("traefik.io", "v1alpha1", "IngressRoute", "ingressroutes")


def _objects(name: str) -> Sequence[Object]:
    service = {"name": name, "kind": "TraefikService", "port": PORT}
    route = {"match": f"Host(`{name}.example`)", "kind": "Rule", "services": [service]}
    ingress_route = {
        "apiVersion": INGRESS_ROUTE.api_version,
        "kind": INGRESS_ROUTE.kind,
        "metadata": {"name": name},
        "spec": {"entryPoints": ["web"], "routes": [route]},
    }
    return [a_front("traefik"), ingress_route]


TRAEFIK = Setting(
    provider="traefik",
    strategies=(CANARY, BLUE_GREEN),
    spec=lambda _: {},
    objects=_objects,
    kinds=(INGRESS_ROUTE,),
    front="front",
)
