"""Provider → router. A name that isn't here is a mistake and is reported as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from flagger.api.canary import VARIANTS, Canary
from flagger.api.errors import FieldError
from flagger.api.references import ObjectRef
from flagger.routing.base import NO_FLAGS, Flags, Router
from flagger.routing.held import Layout
from flagger.routing.in_place import InPlace, place_of
from flagger.routing.providers.app_mesh.router import AppMesh
from flagger.routing.providers.contour.in_place import HTTP_PROXY
from flagger.routing.providers.contour.router import Contour
from flagger.routing.providers.gateway_api.router import GatewayApi
from flagger.routing.providers.gloo.router import Gloo
from flagger.routing.providers.istio.in_place import VIRTUAL_SERVICE
from flagger.routing.providers.istio.router import Istio
from flagger.routing.providers.knative import Knative
from flagger.routing.providers.kubernetes import Kubernetes
from flagger.routing.providers.kuma import Kuma
from flagger.routing.providers.nginx.router import Nginx
from flagger.routing.providers.smi import Smi


@dataclass(frozen=True, slots=True)
class Flagged:
    """A router whose objects depend on the operator's flags."""

    make: Callable[[Flags], Router]


ROUTERS: Mapping[str, Callable[[], Router] | Flagged] = {
    "appmesh": partial(AppMesh, version="v1beta1"),
    "appmesh:v1beta2": partial(AppMesh, version="v1beta2"),
    "contour": Flagged(Contour),
    "gatewayapi:v1": partial(GatewayApi, version="v1"),
    "gatewayapi:v1beta1": partial(GatewayApi, version="v1beta1"),
    "istio": Istio,
    "gloo": Gloo,
    "knative": Knative,
    "kubernetes": Kubernetes,
    "kuma": Kuma,
    "linkerd": partial(Smi, version="v1alpha1", mesh="linkerd"),
    "nginx": Flagged(Nginx),
    "osm": partial(Smi, version="v1alpha2", mesh="osm"),
    "smi:v1alpha1": partial(Smi, version="v1alpha1"),
    "smi:v1alpha1:istio": partial(Smi, version="v1alpha1", mesh="istio"),
    "smi:v1alpha2": partial(Smi, version="v1alpha2"),
    "smi:v1alpha2:istio": partial(Smi, version="v1alpha2", mesh="istio"),
    "smi:v1alpha3": partial(Smi, version="v1alpha3"),
    "smi:v1alpha3:istio": partial(Smi, version="v1alpha3", mesh="istio"),
}

TCP_ROUTERS: Mapping[str, Callable[[], Router]] = {
    "istio": partial(Istio, tcp=True),
}
"""Providers that route connections instead of requests where `service.appProtocol` is tcp."""

IN_PLACE: Mapping[str, Sequence[Layout]] = {
    "contour": (HTTP_PROXY,),
    "istio": (VIRTUAL_SERVICE,),
}
"""The kinds of users' own routes whose weights can be moved, by provider."""


def router_for(provider: str, flags: Flags = NO_FLAGS) -> Router | None:
    """The router of a provider under the operator's flags; None for one that there is no router for.

    A variant that has no row of its own is the same as the provider without it.
    """
    plain = next((name for name in VARIANTS if provider.startswith(f"{name}:")), provider)
    match ROUTERS.get(provider) or ROUTERS.get(plain):
        case Flagged(make):
            return make(flags)
        case None:
            return None
        case make:
            return make()


def router_of(canary: Canary, default: str, flags: Flags = NO_FLAGS) -> Router | None:
    """The router of a Canary, which its own routes or its provider choose; `default` is the operator's provider.

    None if there is none; `unrouted` says why.
    """
    provider = canary.provider(default)
    if not canary.route_refs:
        make = TCP_ROUTERS.get(provider) if canary.is_tcp else None
        return make() if make else router_for(provider, flags)
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
