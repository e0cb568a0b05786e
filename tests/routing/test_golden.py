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
from tests.routing.examples import OWNER, basket, split

Case = dict[str, Any]
CASES = yaml.safe_load((Path(__file__).parents[1] / "golden/routing/gateway_api.yaml").read_text())


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
