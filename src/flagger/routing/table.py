"""Provider → router. A name that isn't here is a mistake and is reported as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from flagger.routing.base import NO_FLAGS, Flags, Router
from flagger.routing.providers.contour import Contour
from flagger.routing.providers.gateway_api.router import GatewayApi
from flagger.routing.providers.gloo.router import Gloo
from flagger.routing.providers.kubernetes import Kubernetes
from flagger.routing.providers.nginx.router import Nginx


@dataclass(frozen=True, slots=True)
class Flagged:
    """A router whose objects depend on the operator's flags."""

    make: Callable[[Flags], Router]


ROUTERS: Mapping[str, Callable[[], Router] | Flagged] = {
    "contour": Flagged(Contour),
    "gatewayapi:v1": partial(GatewayApi, version="v1"),
    "gatewayapi:v1beta1": partial(GatewayApi, version="v1beta1"),
    "gloo": Gloo,
    "kubernetes": Kubernetes,
    "nginx": Flagged(Nginx),
}

VARIANTS = {"gloo:": "gloo"}
"""Beginnings of names that stand for a row of the table, whatever follows."""


def router_for(provider: str, flags: Flags = NO_FLAGS) -> Router | None:
    """The router of a provider under the operator's flags; None for one that there is no router for."""
    row = next((row for start, row in VARIANTS.items() if provider.startswith(start)), provider)
    match ROUTERS.get(row):
        case Flagged(make):
            return make(flags)
        case None:
            return None
        case make:
            return make()
