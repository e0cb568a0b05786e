"""A target, its Canary and what is made of them, for tests that need no server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from flagger.api.canary import Canary
from flagger.kube.objects import Object

GOLDEN = Path(__file__).parents[1] / "golden" / "workloads"


def golden(name: str) -> Object:
    """A fresh copy of a golden file."""
    return yaml.safe_load((GOLDEN / name).read_text())


def basket(service: dict[str, Any] | None = None, **spec: Any) -> Canary:
    """The Canary of the golden target."""
    return Canary.parse(
        {
            "metadata": {"name": "basket", "namespace": "shop", "uid": "uid-of-basket"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "basket-api"},
                "service": {"port": 80, "targetPort": "http", **(service or {})},
                "analysis": {"interval": "30s", "threshold": 5, "stepWeight": 10, "maxWeight": 50},
                **spec,
            },
        }
    )
