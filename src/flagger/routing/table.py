"""Provider → router. A name that isn't here is a mistake and is reported as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from flagger.routing.base import Router
from flagger.routing.providers.gateway_api.router import GatewayApi
from flagger.routing.providers.kubernetes import Kubernetes

ROUTERS: Mapping[str, Callable[[], Router]] = {
    "gatewayapi:v1": partial(GatewayApi, version="v1"),
    "gatewayapi:v1beta1": partial(GatewayApi, version="v1beta1"),
    "kubernetes": Kubernetes,
}


def router_for(provider: str) -> Router | None:
    """The router of a provider; None for one that there is no router for."""
    make = ROUTERS.get(provider)
    return make() if make else None
