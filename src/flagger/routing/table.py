"""Provider → router. A name that isn't here is a mistake and is reported as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.references import ObjectRef
from flagger.routing.base import Router
from flagger.routing.held import Layout
from flagger.routing.in_place import InPlace, place_of
from flagger.routing.providers.apisix import Apisix
from flagger.routing.providers.gateway_api.in_place import GATEWAY_ROUTES
from flagger.routing.providers.gateway_api.router import GatewayApi
from flagger.routing.providers.istio.in_place import VIRTUAL_SERVICE
from flagger.routing.providers.kubernetes import Kubernetes
from flagger.routing.providers.skipper.router import Skipper
from flagger.routing.providers.traefik import Traefik

ROUTERS: Mapping[str, Callable[[], Router]] = {
    "apisix": Apisix,
    "gatewayapi:v1": partial(GatewayApi, version="v1"),
    "gatewayapi:v1beta1": partial(GatewayApi, version="v1beta1"),
    "kubernetes": Kubernetes,
    "skipper": Skipper,
    "traefik": Traefik,
}

IN_PLACE: Mapping[str, Sequence[Layout]] = {
    "gatewayapi:v1": GATEWAY_ROUTES,
    "gatewayapi:v1beta1": GATEWAY_ROUTES,
    "istio": (VIRTUAL_SERVICE,),
}
"""The kinds of users' own routes whose weights can be moved, by provider."""


def router_for(provider: str) -> Router | None:
    """The router of a provider; None for one that there is no router for."""
    make = ROUTERS.get(provider)
    return make() if make else None


def router_of(canary: Canary, default: str) -> Router | None:
    """The router of a Canary, which its own routes or its provider choose; `default` is the operator's provider.

    None if there is none; `unrouted` says why.
    """
    provider = canary.provider(default)
    if not canary.route_refs:
        return router_for(provider)
    layouts = [_layout_of(ref, provider) for ref in canary.route_refs]
    found = [layout for layout in layouts if layout is not None]
    if len(found) < len(layouts):
        return None
    return InPlace(
        {place_of(canary, ref, layout): layout for ref, layout in zip(canary.route_refs, found, strict=True)}
    )


def unrouted(canary: Canary, default: str) -> FieldError:
    """Why a Canary has no router."""
    provider = canary.provider(default)
    if not canary.route_refs:
        return FieldError(
            "spec.provider", f"{provider!r} is not supported", f"use one of {', '.join(ROUTERS)}"
        )
    kinds = [f"{layout.kind} of {layout.group}" for layout in IN_PLACE.get(provider, ())]
    found = next(ref for ref in canary.route_refs if _layout_of(ref, provider) is None)
    problem = f"provider {provider} can't move weights in a {found.kind} of {found.api_version}"
    fix = f"name a {' or '.join(kinds)}" if kinds else f"use one of the providers {', '.join(IN_PLACE)}"
    return FieldError("spec.service.routeRefs", problem, fix)


def _layout_of(ref: ObjectRef, provider: str) -> Layout | None:
    """Where a route keeps its weights, if the provider knows its kind."""
    wanted = ref.api_version.rpartition("/")[0], ref.kind
    return next((row for row in IN_PLACE.get(provider, ()) if (row.group, row.kind) == wanted), None)
