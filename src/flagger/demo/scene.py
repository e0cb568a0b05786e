"""The stage: the manifests of examples/shop, applied as `kubectl apply` would, and where users enter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

import flagger
from flagger.api.names import GROUP, VERSION
from flagger.kube.client import Client
from flagger.kube.objects import DEPLOYMENT, NAMESPACE, Kind, Object, annotations_of, name_of

NAMESPACE_NAME, NAME, HOST = "shop", "checkout", "shop.example"
MANAGER = "flagger-demo"
MADE_HERE = "sandbox.flagger.app/demo"
"""The annotation of the demo's namespace, which the next demo may delete."""
PROVIDER = "gatewayapi:v1"
CANARY = Kind(GROUP, VERSION, "Canary", "canaries")
GATEWAY = Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
_POLL = 0.05  # seconds
_KINDS = {kind.kind: kind for kind in (NAMESPACE, DEPLOYMENT, GATEWAY, CANARY)}
_FILES = ("namespace", "deployment", "gateway", "canary")


@dataclass(frozen=True, slots=True)
class Reference:
    """An object by its name."""

    namespace: str
    name: str


ENTRANCE = Reference(NAMESPACE_NAME, "public")
"""The Gateway of the manifests."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the Canary asks for: weights in percent, the failed checks that end a run, and its limits.

    `success_rate` is a percentage, `latency` milliseconds.
    """

    ladder: Sequence[int]
    threshold: int
    success_rate: float
    latency: float

    @classmethod
    def of(cls, canary: Object) -> Rules:
        """Read them from the manifest."""
        analysis: dict[str, Any] = canary["spec"]["analysis"]
        limits = {metric["name"]: metric["thresholdRange"] for metric in analysis["metrics"]}
        step = analysis["stepWeight"]
        return cls(
            ladder=range(step, analysis["maxWeight"] + 1, step),
            threshold=analysis["threshold"],
            success_rate=limits["request-success-rate"]["min"],
            latency=limits["request-duration"]["max"],
        )


def examples() -> Path:
    """The folder of the manifests: beside the package in a checkout, inside it when installed."""
    package = Path(flagger.__file__).parent
    checkout = package.parent.parent / "examples" / "shop"
    return checkout if checkout.is_dir() else package / "demo" / "shop"


def manifests(interval: str) -> list[Object]:
    """The objects in order, the Canary last; it looks every `interval`."""
    found = [yaml.safe_load((examples() / f"{name}.yaml").read_text(encoding="utf-8")) for name in _FILES]
    found[0]["metadata"]["annotations"] = {MADE_HERE: "true"}
    found[-1]["spec"]["analysis"]["interval"] = interval
    return found


async def apply(client: Client, objects: Sequence[Object]) -> list[str]:
    """Apply the objects; returns them as `Kind/name`."""
    for manifest in objects:
        await client.apply(_KINDS[manifest["kind"]], manifest, manager=MANAGER)
    return [f"{manifest['kind']}/{name_of(manifest)}" for manifest in objects]


async def way_in(client: Client, gateway: Reference, host: str) -> str:
    """The URL at which users of `host` get answers, as soon as they do; waits for ever."""
    async with aiohttp.ClientSession() as session:
        while True:
            url = entrance(await client.get(GATEWAY, gateway.name, gateway.namespace))
            if url and await _lets_in(session, url, host):
                return url
            await asyncio.sleep(_POLL)


async def _lets_in(session: aiohttp.ClientSession, url: str, host: str) -> bool:
    try:
        async with session.get(url, headers={"Host": host}) as response:
            return response.status == HTTPStatus.OK
    except aiohttp.ClientError:
        return False


def entrance(gateway: Object) -> str | None:
    """The URL at which the Gateway takes requests, None while it has no address."""
    addresses: list[dict[str, Any]] = gateway.get("status", {}).get("addresses") or []
    if not addresses:
        return None
    port = gateway["spec"]["listeners"][0]["port"]
    text = annotations_of(gateway).get("sandbox.flagger.app/ports", "{}")
    moved = msgspec.json.decode(text, type=dict[str, int])
    return f"http://{addresses[0]['value']}:{moved.get(str(port), port)}/"
