"""The router of Knative: it divides the traffic of the user's own Service between two of its revisions.

Field meanings: https://knative.dev/docs/serving/reference/serving-api/ (Service, TrafficTarget). The newest revision,
which is the canary, comes first. Which revision is the primary is an annotation that the target's side sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.api.names import KNATIVE_PREVIOUS_REVISION, KNATIVE_PRIMARY_REVISION
from flagger.kube.objects import Kind, Object, annotations_of
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError

SERVICE = Kind("serving.knative.dev", "v1", "Service", "services")


class Knative:
    """Splits by percentages, and nothing else; nothing is created."""

    features = frozenset({Feature.WEIGHTS})
    kinds: Sequence[Kind] = (SERVICE,)
    early: Sequence[Kind] = ()

    def places(self, canary: Canary) -> Sequence[Place]:
        """The target itself."""
        return (_place(canary),)

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The target with its two shares of traffic; see `Router.desired`.

        Before there is a primary, the newest revision is it. Other shares and tags of the user's are replaced.
        """
        service = _service(canary, live)
        primary = annotations_of(service).get(KNATIVE_PRIMARY_REVISION) or _newest(service)
        if not primary:
            raise RouteError(f"{_place(canary)} has no revision yet")
        first, second = [*_traffic(service["spec"]), {}, {}][:2]
        newest = {**_nothing_of(first, "revisionName"), "latestRevision": True, "percent": split.canary}
        # Knative marks pinned shares by itself; what it wrote is no difference.
        pinned = {"revisionName": primary, "percent": split.primary}
        pinned |= _nothing_of(second, "latestRevision") if second.get("latestRevision") else {}
        return [
            {
                "apiVersion": SERVICE.api_version,
                "kind": SERVICE.kind,
                "metadata": {
                    "name": canary.target_name,
                    "namespace": canary.namespace,
                    "annotations": {KNATIVE_PRIMARY_REVISION: primary},
                },
                "spec": {"traffic": [newest, pinned]},
            }
        ]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The share of the newest revision, once Knative has taken it over; see `Router.split_of`."""
        service = _service(canary, live)
        place, primary = _place(canary), annotations_of(service).get(KNATIVE_PRIMARY_REVISION)
        if not primary:
            raise RouteError(f"{place} has no annotation {KNATIVE_PRIMARY_REVISION}")
        share = _share(service["spec"])
        if share is None:
            raise RouteError(f"{place} spec.traffic must be the newest revision and {primary}")
        served = _share(service.get("status") or {})
        if served is not None and served != share:
            text = f"{place} serves the newest revision with {served} %, its spec asks for {share} %"
            raise RouteError(text, Split(share))
        return Split(share)

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """The target without our notes; its traffic stays pinned to what served last."""
        place = _place(canary)
        service = live.get(place)
        if service is None:
            return {}
        ours = {KNATIVE_PRIMARY_REVISION, KNATIVE_PREVIOUS_REVISION}
        known = annotations_of(service)
        kept = {key: value for key, value in known.items() if key not in ours}
        if kept == known:
            return {}
        return {place: {**service, "metadata": {**service["metadata"], "annotations": kept}}}


def _place(canary: Canary) -> Place:
    return Place(SERVICE, canary.namespace, canary.target_name)


def _service(canary: Canary, live: Live) -> Object:
    place = _place(canary)
    if place not in live:
        raise RouteError(f"{place} not found")
    return live[place]


def _newest(service: Object) -> str:
    return str((service.get("status") or {}).get("latestCreatedRevisionName", ""))


def _traffic(part: Object) -> list[Object]:
    return part.get("traffic") or []


def _nothing_of(entry: Object, field: str) -> Object:
    """A share takes over the place of another one, whose kind must not be left in it."""
    return {field: None} if field in entry else {}


def _share(part: Object) -> int | None:
    """What the newest revision gets in percent, provided that one other revision gets the rest."""
    shares = [(bool(entry.get("latestRevision")), entry.get("percent") or 0) for entry in _traffic(part)]
    newest = [percent for latest, percent in shares if latest]
    others = [percent for latest, percent in shares if not latest]
    return newest[0] if len(newest) == len(others) == 1 and newest[0] + others[0] == 100 else None
