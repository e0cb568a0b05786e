"""App Mesh, in both versions of its API."""

from tests.e2e.providers.setting import AB, BLUE_GREEN, CANARY, Setting

APP_MESH = [
    Setting(
        provider=provider,
        strategies=(CANARY, AB, BLUE_GREEN),
        spec=lambda _: {"service": {"meshName": "global"}},
    )
    for provider in ("appmesh", "appmesh:v1beta2")
]
