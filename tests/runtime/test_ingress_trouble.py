"""What can be missing or wrong around the routes of ingress controllers: named, and users don't notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from flagger.kube.cluster import Cluster
from flagger.kube.objects import INGRESS, SERVICE, Kind, Object, annotations_of
from flagger.routing.providers.contour.router import HTTP_PROXY
from flagger.routing.providers.gloo.router import ROUTE_TABLE
from flagger.routing.providers.gloo.upstreams import UPSTREAM
from flagger.routing.sync import Routes
from flagger.runtime.kinds import CANARY
from tests.fakes.cluster import SHOP, Lab, a_canary, a_lab, a_target, the_definitions
from tests.runtime.operating import METRICS, Bench, a_bench

WEIGHTED: dict[str, Any] = {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS}
REF = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "public"}
UPSTREAM_REF = {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "name": "settings"}
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def an_ingress(*rules: Object) -> Object:
    metadata = {"name": "public", "namespace": SHOP}
    spec = {"rules": list(rules) or [{"host": "a.test", "http": {"paths": [PATH]}}]}
    return {"kind": "Ingress", "metadata": metadata, "spec": spec}


PATH = {
    "path": "/",
    "pathType": "Prefix",
    "backend": {"service": {"name": "checkout", "port": {"number": 80}}},
}


async def nearly_ready(bench: Bench, canary: Object, *objects: tuple[Kind, Object]) -> float | None:
    """Initialization up to the tick that makes the routes; returns the seconds until the next one."""
    for kind, obj in objects:
        await bench.lab.add(obj, kinds=[kind])
    await bench.lab.add(a_target(), canary)
    await bench.tick()
    await bench.lab.rolled_out("checkout-primary")
    return await bench.tick()


async def check_users(bench: Bench) -> None:
    """Who calls the apex Service gets the primary, and no pod has been taken away."""
    assert (await bench.lab.get(SERVICE))["spec"]["selector"] == {"app": "checkout-primary"}
    assert (await bench.status())["phase"] == "Initializing"


Objects = Sequence[tuple[Kind, Object]]
BARE = an_ingress({"host": "a.test"})
NO_PATH = (
    "W: spec.rules of Ingress public.shop has no http path to Service checkout: "
    "add one, or name another Ingress in spec.ingressRef"
)
TROUBLE: list[tuple[str, Object, Objects, Objects, str]] = [
    (
        "nginx",
        {"ingressRef": REF},
        [],
        [(INGRESS, an_ingress())],
        "W: Ingress public.shop, which spec.ingressRef of checkout.shop names, not found",
    ),
    (
        "nginx",
        {"ingressRef": REF},
        [(INGRESS, BARE)],
        [(INGRESS, an_ingress())],
        NO_PATH,
    ),
    (
        "gloo",
        {"upstreamRef": UPSTREAM_REF},
        [],
        [(UPSTREAM, {"kind": "Upstream", "metadata": {"name": "settings", "namespace": SHOP}, "spec": {}})],
        "W: Upstream settings.shop, which spec.upstreamRef of checkout.shop names, not found",
    ),
]


@pytest.mark.parametrize(("provider", "spec", "before", "after", "message"), TROUBLE)
async def test_what_routes_are_made_from_is_missing(
    bench: Bench, provider: str, spec: Object, before: Objects, after: Objects, message: str
) -> None:
    """Said at every interval, and made as soon as it is there."""
    assert await nearly_ready(bench, a_canary(provider=provider, **spec), *before) == 30
    assert (await bench.told())[-1] == message
    await check_users(bench)

    for kind, obj in after:
        if before:
            await bench.lab.change(kind, {"spec": obj["spec"]}, obj["metadata"]["name"])
        else:
            await bench.lab.add(obj, kinds=[kind])
    await bench.tick()
    assert (await bench.status())["phase"] == "Initialized"


async def test_a_canary_that_names_no_ingress(bench: Bench) -> None:
    """Its own fault: it waits until somebody changes it, and nothing is made before."""
    await bench.lab.add(a_target(), a_canary(provider="nginx"))

    assert await bench.tick() is None

    (event,) = await bench.told()
    assert event.startswith("W: spec.ingressRef: is missing, and provider nginx needs it; name the Ingress")
    assert await bench.lab.cluster.get(SERVICE, SHOP, "checkout") is None


@pytest.mark.parametrize("kind", [HTTP_PROXY, ROUTE_TABLE, UPSTREAM], ids=lambda kind: kind.kind)
async def test_a_crd_is_missing(kind: Kind) -> None:
    """Named with what to do; users are served by the primary meanwhile."""
    provider = "contour" if kind == HTTP_PROXY else "gloo"
    there = [item for item in the_definitions() if item["metadata"]["name"] != kind.resource]
    async with a_lab(there) as lab, a_bench(lab) as bench:
        assert await nearly_ready(bench, a_canary(provider=provider)) == 30

        told = (await bench.told())[-1]
        assert told.startswith(f"W: {kind.kind} ")
        assert f"doesn't serve {kind.resource} {kind.version}; install its CRD" in told
        await check_users(bench)


async def test_an_ab_test_that_cannot_be_expressed(bench: Bench) -> None:
    """It doesn't begin: the run stands still where it is, and nobody is sent to the canary."""
    canary = a_canary(provider="nginx", ingressRef=REF, analysis=WEIGHTED)
    await bench.lab.add(an_ingress(), kinds=[INGRESS])
    await bench.initialized(a_target(), canary)
    match = [{"headers": {"x-user": {"prefix": "in"}}}]
    moves = {"stepWeight": None, "maxWeight": None, "iterations": 2, "match": match}
    await bench.lab.change(CANARY, {"spec": {"analysis": moves}})
    await bench.push()

    for _ in range(3):
        assert await bench.tick() == 30

    assert (await bench.told())[-1] == (
        "W: spec.analysis.match[0].headers.x-user of checkout.shop: "
        "ingress-nginx can't express it; use exact or regex"
    )
    assert annotations_of(await bench.lab.get(INGRESS, "public-canary"))[WEIGHT] == "0"


class Contested(Cluster):
    """Somebody else writes whenever we are about to write an HTTPProxy."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab.told)
        self._lab, self._times = lab, 0

    async def patch(self, kind: Kind, name: str, *arguments: Any, **options: Any) -> Object:
        if kind == HTTP_PROXY:
            self._times += 1
            body = {"metadata": {"annotations": {"theirs": str(self._times)}}}
            await self._lab.client.patch(kind, name, SHOP, body)
        return await super().patch(kind, name, *arguments, **options)


async def test_somebody_changes_the_route_whenever_we_do(bench: Bench) -> None:
    """The ticks break off ever later, once it is said by whom and where; users stay on the primary."""
    await bench.initialized(a_target(), a_canary(provider="contour", analysis=WEIGHTED))
    await bench.push()
    for _ in range(2):
        await bench.tick()
        await bench.lab.rolled_out("checkout")
    before = (await bench.lab.get(HTTP_PROXY))["spec"]
    told = await bench.told()

    async with Contested(bench.lab) as cluster:
        world = bench.world
        bench.world = replace(world, cluster=cluster, routes=Routes(cluster))
        bench.restart()
        assert [await bench.tick() for _ in range(4)] == [2, 4, 8, 16]
        bench.world = world

    assert (await bench.told())[len(told) :] == [
        "W: HTTPProxy checkout.shop was changed by somebody else while spec.routes was being written (409 Conflict)"
    ]
    assert (await bench.lab.get(HTTP_PROXY))["spec"] == before
    bench.restart()
    await bench.tick()
    assert (await bench.lab.get(HTTP_PROXY))["spec"] != before


@pytest.mark.parametrize(
    ("provider", "flags", "kind", "name", "expected"),
    [
        ("contour", {"ingress_class": "edge"}, HTTP_PROXY, "checkout", "'ingressClassName': 'edge'"),
        (
            "nginx",
            {"ingress_annotations_prefix": "ingress.test"},
            INGRESS,
            "public-canary",
            "'ingress.test/canary-weight': '0'",
        ),
    ],
)
async def test_flags_reach_the_routes(
    lab: Lab, provider: str, flags: dict[str, Any], kind: Kind, name: str, expected: str
) -> None:
    """What the operator's flags say is in every object."""
    async with a_bench(lab, **flags) as bench:
        await lab.add(an_ingress(), kinds=[INGRESS])
        await bench.initialized(a_target(), a_canary(provider=provider, ingressRef=REF))

        assert expected in str(await lab.get(kind, name))
