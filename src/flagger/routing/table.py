"""Provider → router. A name that isn't here is a mistake and is reported as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from flagger.api.canary import VARIANTS
from flagger.routing.base import Router
from flagger.routing.providers.app_mesh.router import AppMesh
from flagger.routing.providers.gateway_api.router import GatewayApi
from flagger.routing.providers.kubernetes import Kubernetes
from flagger.routing.providers.kuma import Kuma
from flagger.routing.providers.smi import Smi

ROUTERS: Mapping[str, Callable[[], Router]] = {
    "appmesh": partial(AppMesh, version="v1beta1"),
    "appmesh:v1beta2": partial(AppMesh, version="v1beta2"),
    "gatewayapi:v1": partial(GatewayApi, version="v1"),
    "gatewayapi:v1beta1": partial(GatewayApi, version="v1beta1"),
    "kubernetes": Kubernetes,
    "kuma": Kuma,
    "linkerd": partial(Smi, version="v1alpha1", mesh="linkerd"),
    "osm": partial(Smi, version="v1alpha2", mesh="osm"),
    "smi:v1alpha1": partial(Smi, version="v1alpha1"),
    "smi:v1alpha1:istio": partial(Smi, version="v1alpha1", mesh="istio"),
    "smi:v1alpha2": partial(Smi, version="v1alpha2"),
    "smi:v1alpha2:istio": partial(Smi, version="v1alpha2", mesh="istio"),
    "smi:v1alpha3": partial(Smi, version="v1alpha3"),
    "smi:v1alpha3:istio": partial(Smi, version="v1alpha3", mesh="istio"),
}


def router_for(provider: str) -> Router | None:
    """The router of a provider; None for one that there is no router for.

    A variant that has no row of its own is the same as the provider without it.
    """
    plain = next((name for name in VARIANTS if provider.startswith(f"{name}:")), provider)
    make = ROUTERS.get(provider) or ROUTERS.get(plain)
    return make() if make else None
