"""Canaries for tests of metrics: a test names only what it is about."""

from typing import Any

from flagger.api.canary import Canary


def a_canary(*metrics: dict[str, Any], kind: str = "Deployment", **spec: Any) -> Canary:
    """The Canary `checkout` in `shop` with target `checkout`, routed by Gateway API."""
    api_version = spec.pop("api_version", "apps/v1")
    return Canary.parse(
        {
            "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1"},
            "spec": {
                "provider": "gatewayapi:v1",
                "targetRef": {"apiVersion": api_version, "kind": kind, "name": "checkout"},
                "analysis": {"metrics": list(metrics)},
                **spec,
            },
        }
    )
