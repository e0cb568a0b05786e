"""Objects of users that a router copies and never changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flagger.api.canary import Canary
from flagger.api.names import LAST_APPLIED
from flagger.kube.objects import Object, annotations_of, labels_of
from flagger.rollout.state import Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.overlay import instead_of


def original_of(live: Live, place: Place | None, field: str) -> Object:
    """The object that a field of the Canary names; None is the place where it names nothing.

    Raises:
        RouteError: the field is empty, or the object isn't there.
    """
    if place is None:
        raise RouteError(f"{field} is missing: name the object that leads to the apex Service")
    found = live.get(place)
    if found is None:
        raise RouteError(f"{place} not found: create it, or name another one in {field}")
    return found


@contextmanager
def written_as(split: Split) -> Iterator[None]:
    """Whatever is wrong with an original holds a run up where it is, but not its way back."""
    try:
        yield
    except RouteError as error:
        raise RouteError(str(error), written=split) from error


def copy_of(
    original: Object, canary: Canary, place: Place, live: Live, annotations: Mapping[str, str] | None = None
) -> Object:
    """The same object at another place, as the Canary's own; `annotations` come on top.

    Of the metadata labels and annotations are copied, but not kubectl's record; of a live copy's spec nothing
    is left that the original doesn't have.
    """
    kept = {key: value for key, value in annotations_of(original).items() if key != LAST_APPLIED}
    copied = {"labels": dict(labels_of(original)), "annotations": {**kept, **(annotations or {})}}
    metadata = {
        "name": place.name,
        "namespace": place.namespace,
        "ownerReferences": [canary.owner_reference],
        **{part: values for part, values in copied.items() if values},
    }
    spec = instead_of(live.get(place, {}).get("spec"), original["spec"])
    kind = place.kind
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
