"""The golden cases of a provider, and the cluster that each of them is about."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from flagger.api.canary import Canary
from flagger.kube.errors import AlreadyExists
from flagger.kube.objects import NAMESPACE, Object, name_of, namespace_of
from flagger.routing.base import Flags, Live, Place, Router
from flagger.routing.table import router_for
from tests.fakes.cluster import SHOP, Lab
from tests.routing.examples import basket, needed

GOLDEN = Path(__file__).parents[1] / "golden/routing"
FAMILIES = ("app_mesh", "contour", "gloo", "kuma", "linkerd", "nginx", "smi")
CASES: Sequence[tuple[str, Object]] = [
    (case.get("provider", family), case)
    for family in FAMILIES
    for case in yaml.safe_load((GOLDEN / family / "cases.yaml").read_text())
]


def named(case: Any) -> str:
    """A part of a test's name."""
    return case if isinstance(case, str) else str(case["id"])


def router_of(provider: str, case: Object) -> Router:
    """The router under the flags of a case."""
    router = router_for(provider, Flags(**case.get("flags", {})))
    assert router is not None
    return router


def canary_of(provider: str, case: Object) -> Canary:
    """The Canary of a case."""
    asked = {name: case.get(name) for name in ("service", "analysis", "spec", "annotations")}
    return basket(provider, **asked)


def live_of(provider: str, case: Object) -> Live:
    """What is there before: what the provider needs, and what the case has instead of it or besides."""
    router = router_of(provider, case)
    kinds = {kind.kind: kind for kind in router.kinds}
    given = {Place(kinds[obj["kind"]], namespace_of(obj), name_of(obj)): obj for obj in case.get("live", ())}
    return {**needed(provider, router), **given}


async def add_all(lab: Lab, live: Live) -> None:
    """Create what is there before."""
    for place, obj in live.items():
        if place.namespace not in {SHOP, ""}:
            with suppress(AlreadyExists):  # on a server that other tests share
                await lab.client.create(NAMESPACE, {"metadata": {"name": place.namespace}})
        await lab.add(obj, kinds=[place.kind])
