"""The router of Skipper: a copy of the user's Ingress that holds both sides and outranks the original.

Annotations: https://opensource.zalando.com/skipper/kubernetes/ingress-controller/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE
from flagger.kube.objects import INGRESS, Kind, Object, annotations_of
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Live, Place, RouteError
from flagger.routing.copies import copy_of, original_of
from flagger.routing.shares import share_of

WEIGHTS = "zalando.org/backend-weights"
PREDICATE = "zalando.org/skipper-predicate"
ACTIVE, INACTIVE = "Weight(100)", "False()"
"""Predicates of a copy that wins over the original, and of one that takes no requests."""
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
        """The copy; see `Router.desired`."""
        original, (_, primary, candidate) = _original(canary), canary.service_names
        source, copy = original_of(live, original, _FIELD), live.get(_copy(canary))
        rules = source["spec"].get("rules") or []
        divided = [_divided(canary, rule) for rule in rules]
        if divided == rules:
            apex = canary.service_names.apex
            raise RouteError(
                f"{original} has no path to the Service {apex}: add one, or name another Ingress in {_FIELD}"
            )
        first = INACTIVE if copy is not None and _rests(canary, split, copy) else ACTIVE
        weights = {candidate: split.canary, primary: split.primary}
        annotations = {
            WEIGHTS: json.dumps(weights, sort_keys=True, separators=(",", ":")),
            PREDICATE: with_predicate(annotations_of(source).get(PREDICATE, ""), first),
            **GITOPS_IGNORE,
        }
        spec = {**source["spec"], "rules": divided}
        return [copy_of({**source, "spec": spec}, canary, _copy(canary), live, annotations)]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """The weights of the copy's annotation; see `Router.split_of`."""
        place, (_, primary, candidate) = _copy(canary), canary.service_names
        if place not in live:
            raise RouteError(f"{place} not found")
        weights = _weights(live[place])
        if primary not in weights or candidate not in weights:
            raise RouteError(f"{place}: the annotation {WEIGHTS} has no weights of {primary} and {candidate}")
        return Split(share_of([weights[primary]], [weights[candidate]]))

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """The copy is deleted; the user's own Ingress was never changed."""
        return {_copy(canary): None}


def with_predicate(text: str, first: str) -> str:
    """A predicate expression that begins with one of ours, and has no other of ours."""
    parts = [part.strip() for part in text.split("&&")]
    return " && ".join([first, *(part for part in parts if part not in ("", ACTIVE, INACTIVE))])


def _original(canary: Canary) -> Place | None:
    ref = canary.spec.ingress_ref
    return Place(INGRESS, canary.namespace, ref.name) if ref and ref.name else None


def _copy(canary: Canary) -> Place:
    ref = canary.spec.ingress_ref
    return Place(INGRESS, canary.namespace, f"{ref.name if ref else ''}-canary")


def _rests(canary: Canary, split: Split, copy: Object) -> bool:
    """Whether the original shall serve: it does from the end of a run to the next one's first weight."""
    was_away = _weights(copy).get(canary.service_names.canary, 0) > 0
    return not split.canary and (was_away or INACTIVE in annotations_of(copy).get(PREDICATE, ""))


def _weights(copy: Object) -> Mapping[str, int]:
    try:
        found = json.loads(annotations_of(copy).get(WEIGHTS, ""))
    except ValueError:
        return {}
    numbers = found.items() if isinstance(found, dict) else ()
    return {name: weight for name, weight in numbers if isinstance(weight, int)}


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
