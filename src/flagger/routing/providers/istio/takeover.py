"""A VirtualService that was there before its Canary: what is kept of it, and how it is given back. Pure.

Its spec is kept in upstream's annotation, unless kubectl keeps one already: what users applied last is what they
want to have. What we write into its labels and annotations is kept in an annotation of our own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flagger.api.canary import Canary
from flagger.api.names import LAST_APPLIED, ORIGINAL_CONFIGURATION, ORIGINAL_METADATA
from flagger.kube.objects import Object, annotations_of
from flagger.routing.base import Place, RouteError

MAPS = ("labels", "annotations")


def is_ours(canary: Canary, route: Object) -> bool:
    """Whether a route was made for this very Canary."""
    owners = route["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == canary.metadata.uid for owner in owners)


def check_free(canary: Canary, place: Place, route: Object) -> None:
    """Leave alone what somebody else manages: two controllers would undo each other's work for ever.

    Raises:
        RouteError: it is controlled by something else.
    """
    for owner in route["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner.get("uid") != canary.metadata.uid:
            raise RouteError(
                f"{place} belongs to {owner.get('kind')} {owner.get('name')} (metadata.ownerReferences): "
                f"delete it, or set spec.service.name of {canary.name}.{canary.namespace} to another name"
            )


def keeping_original(canary: Canary, desired: Object, live: Object) -> Object:
    """`desired` with what a live route was before, noted once and never on a route that we made."""
    kept = annotations_of(live)
    if is_ours(canary, live) or ORIGINAL_METADATA in kept:
        return desired
    metadata = desired["metadata"]
    before = {name: _before(live, name, metadata.get(name, {})) for name in MAPS}
    notes = {ORIGINAL_METADATA: _dumped(before)}
    if not {LAST_APPLIED, ORIGINAL_CONFIGURATION} & kept.keys():
        notes[ORIGINAL_CONFIGURATION] = _dumped(live["spec"])
    return {**desired, "metadata": {**metadata, "annotations": {**metadata["annotations"], **notes}}}


def original(canary: Canary, place: Place, live: Object) -> Object | None:
    """The route as it was; None where it was made for the Canary or nothing is known of what was before.

    Raises:
        RouteError: what was noted can't be read.
    """
    kept = annotations_of(live)
    if is_ours(canary, live) or not {LAST_APPLIED, ORIGINAL_CONFIGURATION} & kept.keys():
        return None
    if LAST_APPLIED in kept:
        spec = _loaded(place, LAST_APPLIED, kept).get("spec", {})
    else:
        spec = _loaded(place, ORIGINAL_CONFIGURATION, kept)
    before = _loaded(place, ORIGINAL_METADATA, kept) if ORIGINAL_METADATA in kept else {}
    notes = dict.fromkeys((ORIGINAL_METADATA, ORIGINAL_CONFIGURATION))
    changes: Object = {
        "labels": before.get("labels", {}),
        "annotations": {**before.get("annotations", {}), **notes},
    }
    maps = {name: _with(live["metadata"].get(name) or {}, changes[name]) for name in MAPS}
    return {**live, "metadata": {**live["metadata"], **maps}, "spec": spec}


def _before(live: Object, name: str, ours: Mapping[str, str]) -> Object:
    """What the keys that we are about to write hold; None where there is nothing."""
    found = live["metadata"].get(name) or {}
    return {key: found.get(key) for key in ours}


def _with(pairs: Mapping[str, str], changes: Mapping[str, str | None]) -> Object | None:
    merged = {key: value for key, value in {**pairs, **changes}.items() if value is not None}
    return merged or None


def _loaded(place: Place, key: str, annotations: Mapping[str, str]) -> Any:
    try:
        found = json.loads(annotations[key])
    except ValueError as error:
        raise RouteError(f"{place}: annotation {key} is no JSON: {error}; correct or remove it") from error
    if not isinstance(found, dict):
        raise RouteError(f"{place}: annotation {key} holds no object; correct or remove it")
    return found


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
