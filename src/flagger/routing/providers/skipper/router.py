"""The router of Skipper: a copy of the user's Ingress that holds both sides and outranks the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE
from flagger.kube.objects import INGRESS, Kind, Object
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.copies import copy_of, original_of, written_as
from flagger.routing.providers.skipper.annotations import WEIGHTS, dividing, weights_of
from flagger.routing.shares import share_of

_FIELD = "spec.ingressRef"


class Skipper:
    """Splits by an annotation with weights; can't match, mirror or pin requests."""

    features = frozenset({Feature.WEIGHTS})
    kinds: Sequence[Kind] = (INGRESS,)
    early = False

    def places(self, canary: Canary) -> Sequence[Place]:
        """The copy, and the user's own Ingress."""
        original = _original(canary)
        return (_copy(canary), original) if original else ()

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The copy; see `Router.desired`.

        Once it is there its weights can be moved without the original, so that a run can always be taken back.
        """
        copy = live.get(_copy(canary))
        try:
            source = _usable(canary, live)
        except RouteError:
            if copy is None:
                raise
            source = copy
        annotations = {**dividing(canary, split, source, copy), **GITOPS_IGNORE}
        return [copy_of(source, canary, _copy(canary), live, annotations)]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the copy's annotation; see `Router.split_of`."""
        place, (_, primary, candidate) = _copy(canary), canary.service_names
        if place not in live:
            raise RouteError(f"{place} not found")
        weights = weights_of(live[place])
        if primary not in weights or candidate not in weights:
            raise RouteError(f"{place}: the annotation {WEIGHTS} has no weights of {primary} and {candidate}")
        split = Split(share_of([weights[primary]], [weights[candidate]]))
        with written_as(split):
            _usable(canary, live)
        return split

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """The copy is deleted; the user's own Ingress was never changed."""
        return {_copy(canary): None}


def _original(canary: Canary) -> Place | None:
    ref = canary.spec.ingress_ref
    return Place(INGRESS, canary.namespace, ref.name) if ref and ref.name else None


def _copy(canary: Canary) -> Place:
    ref = canary.spec.ingress_ref
    return Place(INGRESS, canary.namespace, f"{ref.name if ref else ''}-canary")


def _usable(canary: Canary, live: Live) -> Object:
    """The user's Ingress, its paths to the apex Service divided between both sides.

    Raises:
        RouteError: there is none; names object and field.
    """
    original = _original(canary)
    source = original_of(live, original, _FIELD)
    rules = source["spec"].get("rules") or []
    divided = [_divided(canary, rule) for rule in rules]
    if divided == rules:
        apex, fix = canary.service_names.apex, f"add one, or name another Ingress in {_FIELD}"
        raise RouteError(f"{original} has no path to the Service {apex}: {fix}")
    return {**source, "spec": {**source["spec"], "rules": divided}}


def _divided(canary: Canary, rule: Object) -> Object:
    """A rule whose paths to the apex lead to the primary, followed by the same ones to the canary."""
    apex, primary, candidate = canary.service_names
    paths = (rule.get("http") or {}).get("paths") or ()
    added = [_to(path, candidate) for path in paths if _service_of(path) == apex]
    if not added:
        return rule
    led = [_to(path, primary) if _service_of(path) == apex else path for path in paths]
    return {**rule, "http": {**rule["http"], "paths": [*led, *added]}}


def _service_of(path: Object) -> str:
    return str((path["backend"].get("service") or {}).get("name", ""))


def _to(path: Object, service: str) -> Object:
    return {**path, "backend": {"service": {**path["backend"]["service"], "name": service}}}
