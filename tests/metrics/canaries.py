"""Canaries for tests of metrics: a test names only what it is about."""

from typing import Any

from flagger.api.canary import Canary


def a_canary(
    *metrics: dict[str, Any],
    name: str = "checkout",
    namespace: str = "shop",
    kind: str = "Deployment",
    **spec: Any,
) -> Canary:
    """A Canary and its target of the same name, routed by Gateway API; `spec` is added to its fields."""
    api_version = spec.pop("api_version", "apps/v1")
    return Canary.parse(
        {
            "metadata": {"name": name, "namespace": namespace, "uid": "u-1"},
            "spec": {
                "provider": "gatewayapi:v1",
                "targetRef": {"apiVersion": api_version, "kind": kind, "name": name},
                "analysis": {"metrics": list(metrics)},
                **spec,
            },
        }
    )
