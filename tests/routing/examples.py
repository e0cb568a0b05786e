"""Canaries for routers, and splits as tests write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flagger.api.canary import Canary
from flagger.rollout.state import Split

WEIGHTED = {"stepWeight": 10, "maxWeight": 50}
OWNER = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "name": "basket",
    "uid": "uid-of-basket",
    "controller": True,
    "blockOwnerDeletion": True,
}


def basket(
    provider: str = "gatewayapi:v1",
    *,
    service: Mapping[str, Any] | None = None,
    analysis: Mapping[str, Any] | None = None,
    **status: Any,
) -> Canary:
    """A Canary of Deployment `basket` behind the Gateway `edge`."""
    default = {"port": 8080, "gatewayRefs": [{"name": "edge"}]}
    return Canary.parse(
        {
            "metadata": {"name": "basket", "namespace": "shop", "uid": "uid-of-basket"},
            "spec": {
                "provider": provider,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "basket"},
                "service": default if service is None else service,
                "analysis": {
                    "interval": "30s",
                    "threshold": 5,
                    **(WEIGHTED if analysis is None else analysis),
                },
            },
            "status": status,
        }
    )


def split(text: str) -> Split:
    """A split as it prints itself: `70/30`, `100/0 +mirror`."""
    weights, _, mirrored = text.partition(" ")
    return Split(int(weights.partition("/")[2]), bool(mirrored))
