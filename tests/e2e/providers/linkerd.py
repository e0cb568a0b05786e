"""Linkerd through the Gateway API: the route's parent is the apex Service, which clients call."""

from tests.e2e.providers.setting import AB, BLUE_GREEN, CANARY, MIRROR, PORT, Setting


def _spec(name: str) -> dict[str, object]:
    return {"service": {"gatewayRefs": [{"group": "core", "kind": "Service", "name": name, "port": PORT}]}}


LINKERD = [
    Setting(provider=f"gatewayapi:{version}", strategies=(CANARY, AB, BLUE_GREEN, MIRROR), spec=_spec)
    for version in ("v1", "v1beta1")
]
