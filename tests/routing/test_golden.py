"""What each router writes, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE
from flagger.routing.overlay import overlay
from flagger.routing.table import router_for
from tests.routing.examples import OWNER, basket, live_of, split

Case = dict[str, Any]
GOLDEN = Path(__file__).parents[1] / "golden/routing"
CASES = yaml.safe_load((GOLDEN / "gateway_api.yaml").read_text())
FAMILIES = [
    pytest.param(path.parent.name, case, id=f"{path.parent.name}: {case['id']}")
    for path in sorted(GOLDEN.glob("*/cases.yaml"))
    for case in yaml.safe_load(path.read_text())
]


def version_of(case: Case) -> str:
    return str(case.get("version", "v1"))


def canary_of(case: Case) -> Canary:
    """What a case says of its Canary."""
    provider, status = f"gatewayapi:{version_of(case)}", case.get("status", {})
    return basket(provider, service=case["service"], analysis=case.get("analysis"), **status)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_http_route(case: Case) -> None:
    """The whole object as it is sent: owner, GitOps marks, the metadata asked for, and the spec."""
    version = version_of(case)
    metadata = {
        "name": "basket",
        "namespace": "shop",
        "annotations": {**case.get("annotations", {}), **GITOPS_IGNORE},
        "ownerReferences": [OWNER],
        **({"labels": case["labels"]} if case.get("labels") else {}),
    }

    (route,) = router_for(f"gatewayapi:{version}").desired(canary_of(case), split(case["split"]), {})

    assert overlay(None, route) == {
        "apiVersion": f"gateway.networking.k8s.io/{version}",
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": case["spec"],
    }


@pytest.mark.parametrize(("provider", "case"), FAMILIES)
def test_object(provider: str, case: Case) -> None:
    """What is in the cluster afterwards, given what was there before; what is made anew has an owner."""
    canary, router = basket(provider, service=case.get("service")), router_for(provider)
    assert router is not None
    live = live_of(router, *case.get("live", ()))

    (desired,) = router.desired(canary, split(case["split"]), live)

    place = next(iter(live_of(router, desired)))
    before = live.get(place)
    found = overlay(before and {**before, "metadata": {}}, desired)
    assert found["metadata"].pop("ownerReferences") == [OWNER]
    assert found == case["object"]
    assert router.split_of(canary, {**live, place: found}) == split(case["split"])
