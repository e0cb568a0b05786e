"""The annotations by which Skipper divides requests, and puts one Ingress before another. Pure.

Meanings: https://opensource.zalando.com/skipper/kubernetes/ingress-usage/
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from flagger.api.canary import Canary
from flagger.kube.objects import Object, annotations_of
from flagger.rollout.state import Split

WEIGHTS = "zalando.org/backend-weights"
PREDICATE = "zalando.org/skipper-predicate"
ACTIVE, INACTIVE = "Weight(100)", "False()"
"""Predicates of a copy that wins over the original, and of one that takes no requests."""


def dividing(canary: Canary, split: Split, source: Object, copy: Object | None) -> Mapping[str, str]:
    """The annotations of a copy of `source` that make `split` so; `copy` is the live one."""
    _, primary, candidate = canary.service_names
    weights = {candidate: split.canary, primary: split.primary}
    first = INACTIVE if copy is not None and _rests(canary, split, copy) else ACTIVE
    return {
        WEIGHTS: json.dumps(weights, sort_keys=True, separators=(",", ":")),
        PREDICATE: with_predicate(annotations_of(source).get(PREDICATE, ""), first),
    }


def with_predicate(text: str, first: str) -> str:
    """A predicate expression that begins with one of ours, and has no other of ours."""
    parts = [part.strip() for part in text.split("&&")]
    return " && ".join([first, *(part for part in parts if part not in ("", ACTIVE, INACTIVE))])


def weights_of(copy: Object) -> Mapping[str, int]:
    """The weights by Service; none where they can't be read."""
    try:
        found = json.loads(annotations_of(copy).get(WEIGHTS, ""))
    except ValueError:
        return {}
    items = found.items() if isinstance(found, dict) else ()
    return {name: weight for name, weight in items if isinstance(weight, int)}


def _rests(canary: Canary, split: Split, copy: Object) -> bool:
    """Whether the original shall serve: it does from the end of a run to the next one's first weight."""
    was_away = weights_of(copy).get(canary.service_names.canary, 0) > 0
    return not split.canary and (was_away or INACTIVE in annotations_of(copy).get(PREDICATE, ""))
