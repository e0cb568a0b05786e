"""The stage: the manifests of examples/shop, applied as `kubectl apply` would, and where users enter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import flagger
from flagger.kube.client import Client
from flagger.kube.objects import DEPLOYMENT, NAMESPACE, Kind, Object, annotations_of, name_of

NAMESPACE_NAME, NAME, HOST = "shop", "checkout", "shop.example"
CANARY = Kind("flagger.app", "v1beta1", "Canary", "canaries")
GATEWAY = Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
_KINDS = {kind.kind: kind for kind in (NAMESPACE, DEPLOYMENT, GATEWAY, CANARY)}
_FILES = ("namespace", "deployment", "gateway", "canary")


def examples() -> Path:
    """The folder of the manifests: beside the package in a checkout, inside it when installed."""
    package = Path(flagger.__file__).parent
    checkout = package.parent.parent / "examples" / "shop"
    return checkout if checkout.is_dir() else package / "demo" / "shop"


def manifests(interval: str) -> list[Object]:
    """The objects in order; the Canary looks every `interval`."""
    found = [yaml.safe_load((examples() / f"{name}.yaml").read_text(encoding="utf-8")) for name in _FILES]
    found[-1]["spec"]["analysis"]["interval"] = interval
    return found


async def apply(client: Client, interval: str) -> list[str]:
    """Apply everything; returns the objects as `Kind/name`."""
    applied = []
    for manifest in manifests(interval):
        await client.apply(_KINDS[manifest["kind"]], manifest, manager="flagger-demo")
        applied.append(f"{manifest['kind']}/{name_of(manifest)}")
    return applied


def entrance(gateway: Object) -> str | None:
    """The URL at which the Gateway takes requests, None while it has no address."""
    addresses: list[dict[str, Any]] = gateway.get("status", {}).get("addresses") or []
    if not addresses:
        return None
    port = gateway["spec"]["listeners"][0]["port"]
    moved: dict[str, int] = yaml.safe_load(annotations_of(gateway).get("sandbox.flagger.app/ports", "{}"))
    return f"http://{addresses[0]['value']}:{moved.get(str(port), port)}/api/info"
