"""Releases through meshes, tick by tick on a real API: what is made when, and what is said when it can't be."""

from __future__ import annotations

from typing import Any

import pytest

from flagger.kube.errors import NotFound
from flagger.kube.objects import DEPLOYMENT, SERVICE, Kind, labels_of
from flagger.routing.providers.app_mesh import v1beta1, v1beta2
from flagger.routing.providers.kuma import TRAFFIC_ROUTE
from flagger.routing.table import router_for
from flagger.runtime.kinds import CANARY
from flagger.runtime.snapshot import read
from tests.fakes.cluster import a_canary, a_lab, a_target, the_definitions
from tests.runtime.operating import Bench, a_bench

WEIGHTED = {"stepWeight": 20, "maxWeight": 40}
AB = {"iterations": 2, "match": [{"headers": {"x": {"exact": "1"}}}]}
MESHES = ["appmesh", "appmesh:v1beta2", "kuma", "linkerd", "osm", "smi:v1alpha3"]


def a_meshed(provider: str, analysis: dict[str, Any] | None = None, **service: Any) -> dict[str, Any]:
    return a_canary(
        provider=provider, analysis=analysis or WEIGHTED, service={"meshName": "global", **service}
    )


async def split(bench: Bench, provider: str) -> str:
    """How requests are divided at this moment."""
    router = router_for(provider)
    assert router is not None
    return str(await bench.world.routes.split(read(await bench.lab.get(CANARY)), router))


async def story(bench: Bench, provider: str, ticks: int) -> list[tuple[str, str]]:
    """The phase and the split after each of some ticks."""
    rows = []
    for _ in range(ticks):
        await bench.tick()
        rows.append(((await bench.status())["phase"], await split(bench, provider)))
        for name in ("checkout", "checkout-primary"):
            await bench.lab.rolled_out(name)
    return rows


@pytest.mark.parametrize("provider", MESHES)
async def test_a_weighted_release(bench: Bench, provider: str) -> None:
    """The same steps as with any other provider."""
    await bench.initialized(a_target(), a_meshed(provider))
    await bench.push()

    assert await story(bench, provider, 7) == [
        ("Progressing", "100/0"),
        ("Progressing", "80/20"),
        ("Progressing", "60/40"),
        ("Promoting", "60/40"),
        ("Finalising", "100/0"),
        ("Succeeded", "100/0"),
        ("Succeeded", "100/0"),
    ]


@pytest.mark.parametrize(
    ("provider", "node", "route", "name"),
    [
        ("appmesh", v1beta1.NODE, v1beta1.SERVICE, "checkout.shop"),
        ("appmesh:v1beta2", v1beta2.NODE, v1beta2.ROUTER, "checkout"),
    ],
)
async def test_adopting_is_no_outage(bench: Bench, provider: str, node: Kind, route: Kind, name: str) -> None:
    """Pods get their virtual nodes before they start; traffic follows when the primary is ready."""
    lab = bench.lab
    await lab.add(a_target(), a_meshed(provider, apex={}))

    await bench.tick()
    assert labels_of(await lab.get(node, "checkout-primary")) == {}
    with pytest.raises(NotFound):
        await lab.get(route, name)
    assert lab.writes().index(f"POST {node.plural}") < lab.writes().index("POST deployments")

    await lab.rolled_out("checkout-primary")
    await bench.tick()
    assert (await bench.status())["phase"] == "Initialized"
    assert await split(bench, provider) == "100/0"


async def test_kuma_routes_carry_the_services_own_label(bench: Bench) -> None:
    """As upstream's do where `service.apex` is given."""
    await bench.initialized(
        a_target(), a_meshed("kuma", apex={"annotations": {"80.service.kuma.io/protocol": "http"}})
    )

    assert labels_of(await bench.lab.get(TRAFFIC_ROUTE)) == {"app": "checkout"}


@pytest.mark.parametrize("provider", ["kuma", "linkerd", "osm", "smi:v1alpha3"])
async def test_an_ab_test_is_refused_before_traffic_moves(bench: Bench, provider: str) -> None:
    """These split by weight alone: an A/B test would give everybody to the canary."""
    await bench.initialized(a_target(), a_meshed(provider, AB))
    await bench.push()

    assert await story(bench, provider, 3) == [("Initialized", "100/0")] * 3
    refusal = f"A/B testing is refused: the {provider} provider can't route matching requests alone"
    told = [text for text in await bench.told() if "A/B" in text]
    assert told == [f"W: Halt checkout.shop advancement {refusal}"]


async def without_routes(bench: Bench, provider: str, message: str) -> None:
    """Two ticks of a Canary whose routes can't be made: users have the primary, the target keeps its pods."""
    lab = bench.lab
    await bench.tick()
    await lab.rolled_out("checkout-primary")
    await bench.tick()

    assert (await bench.status())["phase"] == "Initializing"
    assert (await lab.get(SERVICE))["spec"]["selector"] == {"app": "checkout-primary"}
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2
    assert any(message in text for text in await bench.told()), await bench.told()


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        (
            "kuma",
            "TrafficRoute checkout can't be read: the cluster doesn't serve trafficroutes.kuma.io v1alpha1",
        ),
        (
            "osm",
            "TrafficSplit checkout.shop can't be read: the cluster doesn't serve trafficsplits.split.smi-spec.io",
        ),
    ],
)
async def test_the_mesh_is_not_installed(provider: str, message: str) -> None:
    """The event names the object and the kind; the Canary waits, and nobody is without answer."""
    ours = [item for item in the_definitions() if item["spec"]["group"] == "flagger.app"]
    async with a_lab(ours) as lab, a_bench(lab) as bench:
        await lab.add(a_target(), a_meshed(provider))
        await without_routes(bench, provider, f"W: {message}")


async def test_app_mesh_is_not_installed() -> None:
    """Pods would start without their nodes, so nothing begins: the users' own Service and pods go on."""
    ours = [item for item in the_definitions() if item["spec"]["group"] == "flagger.app"]
    async with a_lab(ours) as lab, a_bench(lab) as bench:
        selector = {"app": "checkout"}
        metadata = {"name": "checkout", "namespace": "shop"}
        spec = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
        await lab.add(
            a_target(), a_meshed("appmesh"), {"kind": "Service", "metadata": metadata, "spec": spec}
        )
        await bench.tick()

        assert (await lab.get(SERVICE))["spec"]["selector"] == selector
        assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2
        assert (await bench.told())[-1].startswith("W: VirtualService checkout.shop.shop can't be read: ")


async def test_the_api_refuses_a_route(bench: Bench) -> None:
    """What App Mesh doesn't know is refused by its CRD; the event names the object and the field."""
    retries = {"attempts": 1, "retryOn": "connect-failure"}
    await bench.lab.add(a_target(), a_meshed("appmesh:v1beta2", retries=retries))

    await without_routes(bench, "appmesh:v1beta2", "httpRetryEvents[0]")


async def test_a_kuma_route_of_somebody_else(bench: Bench) -> None:
    """The route of another namespace stays as it is, and the event says what to do."""
    spec = {
        "sources": [{"match": {"kuma.io/service": "*"}}],
        "destinations": [{"match": {"kuma.io/service": "checkout_other_svc_80"}}],
        "conf": {"destination": {"kuma.io/service": "checkout_other_svc_80"}},
    }
    await bench.lab.client.create(
        TRAFFIC_ROUTE, {"metadata": {"name": "checkout"}, "mesh": "default", "spec": spec}
    )
    await bench.lab.add(a_target(), a_meshed("kuma"))

    await without_routes(bench, "kuma", "choose another spec.service.name")
    assert (await bench.lab.get(TRAFFIC_ROUTE))["spec"] == spec
