"""Gateway API."""

from tests.e2e.providers.setting import AB, BLUE_GREEN, CANARY, MIRROR, Setting


def _spec(name: str) -> dict[str, object]:
    return {"service": {"hosts": [f"{name}.example"], "gatewayRefs": [{"name": "public"}]}}


GATEWAY_API = [
    Setting(
        provider=f"gatewayapi:{version}",
        strategies=(CANARY, AB, BLUE_GREEN, MIRROR),
        spec=_spec,
        gateway="public",
    )
    for version in ("v1", "v1beta1")
]
