"""The golden cases of a provider, and the cluster that each of them is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from flagger.api.canary import Canary
from flagger.kube.objects import NAMESPACE, Object, name_of, namespace_of
from flagger.routing.base import Live, Place, Router
from flagger.routing.table import router_for
from tests.fakes.cluster import SHOP, Lab
from tests.routing.examples import basket, needed

GOLDEN = Path(__file__).parents[1] / "golden/routing"
FAMILIES = ("app_mesh", "kuma", "linkerd", "smi")
CASES: Sequence[tuple[str, Object]] = [
    (case.get("provider", family), case)
    for family in FAMILIES
    for case in yaml.safe_load((GOLDEN / family / "cases.yaml").read_text())
]


def named(case: Any) -> str:
    """A part of a test's name."""
    return case if isinstance(case, str) else str(case["id"])


def router_of(provider: str) -> Router:
    """The router of a provider."""
    router = router_for(provider)
    assert router is not None
    return router


def canary_of(provider: str, case: Object) -> Canary:
    """The Canary of a case."""
    asked = {name: case.get(name) for name in ("service", "analysis", "spec", "annotations")}
    return basket(provider, **asked)


def live_of(provider: str, case: Object) -> Live:
    """What is there before: what the provider needs, and what the case has instead of it or besides."""
    router = router_of(provider)
    kinds = {kind.kind: kind for kind in router.kinds}
    given = {Place(kinds[obj["kind"]], namespace_of(obj), name_of(obj)): obj for obj in case.get("live", ())}
    return {**needed(provider, router), **given}


async def add_all(lab: Lab, live: Live) -> None:
    """Create what is there before."""
    for place, obj in live.items():
        if place.namespace not in {SHOP, ""}:
            await lab.client.create(NAMESPACE, {"metadata": {"name": place.namespace}})
        await lab.add(obj, kinds=[place.kind])
