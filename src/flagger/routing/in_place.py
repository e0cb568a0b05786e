"""The router of Canaries whose routes are their users': it moves weights where they are and touches nothing else.

Which API keeps its weights where says a `Layout`; a further one is a row of `table.IN_PLACE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.api.names import USERS_WEIGHTS
from flagger.api.references import Key, ObjectRef
from flagger.kube.objects import Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.held import HeldRoute, Layout
from flagger.routing.overlay import overlay


class InPlace:
    """Moves the weights of the routes that a Canary names; it can't match, mirror or pin requests."""

    features = frozenset({Feature.WEIGHTS})
    early: Sequence[Kind] = ()

    def __init__(self, routes: Mapping[Place, Layout]) -> None:
        self._routes = routes
        self.kinds: Sequence[Kind] = tuple(dict.fromkeys(place.kind for place in routes))

    def places(self, canary: Canary) -> Sequence[Place]:
        """The routes that the Canary names."""
        return tuple(self._routes)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The routes with their weights moved; see `Router.desired`."""
        held = {place: self._held(canary, place, live) for place in self._routes}
        return [_addressed(place, route.moved(split)) for place, route in held.items()]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """Of several routes the one that gives the canary least counts; the others are brought there."""
        splits = [self._held(canary, place, live).split for place in self._routes]
        return min(splits, key=lambda split: split.canary)

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """The routes with the weights that their user wrote."""
        held = {place: self._read(canary, place, live[place]) for place in self._routes if place in live}
        return {
            place: overlay(live[place], route.restored())
            for place, route in held.items()
            if route.kept is not None
        }

    def _held(self, canary: Canary, place: Place, live: Live) -> HeldRoute:
        """A route that can be used.

        Raises:
            RouteError: it is missing, or doesn't name both sides.
        """
        named = f"spec.service.routeRefs of {canary.name}.{canary.namespace}"
        if place not in live:
            raise RouteError(f"{place} not found: {named} refers to it")
        held = self._read(canary, place, live[place])
        if not held.lists:
            _, primary, candidate = canary.service_names
            lists = " or ".join(f"spec.{'.'.join(path)}" for path in self._routes[place].lists)
            raise RouteError(
                f"{place} has no list of destinations ({lists}) with both {primary} and {candidate}: "
                f"write them into it, with all weight on {primary}, as {named} refers to it"
            )
        return held

    def _read(self, canary: Canary, place: Place, route: Object) -> HeldRoute:
        _, primary, candidate = canary.service_names
        sides = Key(canary.namespace, primary), Key(canary.namespace, candidate)
        try:
            return HeldRoute(route, self._routes[place], canary.key, sides)
        except ValueError as error:
            raise RouteError(
                f"{place}: annotation {USERS_WEIGHTS}: {error}; put the weights right and remove it"
            ) from error


def place_of(canary: Canary, ref: ObjectRef, layout: Layout) -> Place:
    """Where a route that a Canary names is."""
    version = ref.api_version.rpartition("/")[2]
    return Place(Kind(layout.group, version, layout.kind, layout.plural), *canary.locate(ref))


def _addressed(place: Place, changes: Object) -> Object:
    """Changes of an object as the object that they are about."""
    metadata = {**changes["metadata"], "name": place.name, "namespace": place.namespace}
    return {**changes, "apiVersion": place.kind.api_version, "kind": place.kind.kind, "metadata": metadata}
