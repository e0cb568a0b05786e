"""Canaries for tests of hooks and events."""

from typing import Any

from flagger.api.canary import Canary


def a_canary(*hooks: dict[str, Any], name: str = "checkout", **status: Any) -> Canary:
    """A Canary in `shop` with these webhooks; `status` names fields of its status."""
    return Canary.parse(
        {
            "metadata": {"name": name, "namespace": "shop", "uid": f"u-{name}", "resourceVersion": "7"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "analysis": {"webhooks": list(hooks)},
            },
            "status": {"phase": "Progressing", "lastAppliedSpec": "7c6d9f5b4", **status},
        }
    )
