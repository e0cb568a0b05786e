"""Routing objects that were there before the Canary: noted as they are taken over, given back in the end. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from flagger.api.canary import Canary
from flagger.kube.objects import Object
from flagger.routing.base import Live, Place
from flagger.routing.original import is_ours, note_of, released, spec_before
from flagger.routing.overlay import overlay


def noted(desired: Object, live: Object | None, canary: Canary, *, taken: bool) -> Object:
    """`desired`, with a note of how somebody else's object was that is about to be changed.

    `taken` says that the live object has been taken over before.
    """
    if live is None or taken or is_ours(live, canary):
        return desired
    before = live.get("spec") or {}
    if overlay(before, desired["spec"]) == before:
        return desired
    metadata = desired["metadata"]
    annotations = {**metadata.get("annotations", {}), **note_of(live)}
    return {**desired, "metadata": {**metadata, "annotations": annotations}}


def given_back(live: Live, canary: Canary, places: Iterable[Place]) -> dict[Place, Object | None]:
    """The objects at `places` that are somebody else's, as they were noted to have been."""
    found: dict[Place, Object | None] = {}
    for place in places:
        obj = live.get(place)
        spec = None if obj is None or is_ours(obj, canary) else spec_before(obj)
        if obj is not None and spec is not None:
            found[place] = released({**obj, "spec": spec})
    return found
