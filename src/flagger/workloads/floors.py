"""Raised minimums of autoscalers: how they are set, and how they give way to the one that was there before.

The one before is noted on the autoscaler itself, together with the raised one: if the live minimum is not the
raised one, its owner has changed it meanwhile, and that is what comes back.
"""

from __future__ import annotations

from flagger.api.names import RELEASE_GROUP
from flagger.kube.apply import merge_patch
from flagger.kube.objects import Object, annotations_of

HELD = f"{RELEASE_GROUP}/held-minimum"
"""On an autoscaler: its own minimum and the raised one, `3/12`; `/12` where it has none of its own."""


def held_patch(live: Object, minimum: str, floor: int, spec: Object | None = None) -> Object:
    """The merge patch after which an autoscaler keeps at least `floor` pods; empty when it does already.

    `minimum` is the name of the field. It never exceeds the maximum, and `floor` 0 brings back the autoscaler's
    own. `spec` has new settings to give it; None leaves the others as they are.
    """
    settings = {**live["spec"], minimum: _own_minimum(live, minimum)} if spec is None else spec
    own, most = settings.get(minimum), settings.get(maximum_of(minimum))
    raised = min(floor, most) if most else floor
    note = None
    if raised > (own or 0):
        note = f"{'' if own is None else own}/{raised}"
        settings = {**settings, minimum: raised}
    patch: Object = {}
    if annotations_of(live).get(HELD) != note:
        patch["metadata"] = {"annotations": {HELD: note}}
    if changed := merge_patch(live["spec"], settings):
        patch["spec"] = changed
    return patch


def released(live: Object, minimum: str) -> Object:
    """The autoscaler as its owner wants it, to be copied from: with its own minimum, and nothing noted."""
    annotations = {key: value for key, value in annotations_of(live).items() if key != HELD}
    metadata = {**live["metadata"], "annotations": annotations}
    return {**live, "metadata": metadata, "spec": {**live["spec"], minimum: _own_minimum(live, minimum)}}


def is_contested(live: Object, minimum: str) -> bool:
    """Whether somebody has taken back the minimum that was raised."""
    _, slash, raised = annotations_of(live).get(HELD, "").partition("/")
    return bool(slash) and str(live["spec"].get(minimum)) != raised


def maximum_of(minimum: str) -> str:
    """The name of the field with the greatest size, given that with the least."""
    return minimum.replace("min", "max")


def _own_minimum(live: Object, minimum: str) -> int | None:
    """What the minimum would be if it were not raised."""
    present: int | None = live["spec"].get(minimum)
    own, slash, _ = annotations_of(live).get(HELD, "").partition("/")
    if not slash or is_contested(live, minimum):
        return present
    return int(own) if own.isdecimal() else None
