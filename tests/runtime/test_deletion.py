"""How a Canary goes: with `revertOnDeletion` everything is handed back, without it what serves stays."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flagger.api.names import FINALIZER, GITOPS_IGNORE, LAST_APPLIED
from flagger.kube.errors import NotFound
from flagger.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    SERVICE,
    Kind,
    Object,
    annotations_of,
    is_terminating,
    name_of,
    uid_of,
)
from flagger.runtime.kinds import CANARY
from flagger.runtime.snapshot import read
from tests.fakes.cluster import ROUTE, SHOP, Lab, a_canary, a_lab, a_target, the_definitions, until
from tests.runtime.operating import METRICS, Bench, a_bench, an_operator

REVERTING: dict[str, Any] = {
    "revertOnDeletion": True,
    "analysis": {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS},
}


def their_service(**spec: Any) -> Object:
    """The apex Service as its owner made it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "checkout", "namespace": SHOP, "annotations": {"own": "a"}},
        "spec": {
            "selector": {"app": "checkout", "tier": "x"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
            **spec,
        },
    }


def their_route() -> Object:
    """The HTTPRoute as its owner made it."""
    rule = {"backendRefs": [{"name": "checkout", "port": 80}], "matches": [{"path": {"value": "/api"}}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "checkout", "namespace": SHOP},
        "spec": {"parentRefs": [{"name": "theirs"}], "hostnames": ["checkout.example"], "rules": [rule]},
    }


async def delete(lab: Lab) -> None:
    """Ask for the deletion of the Canary, and see that the operator's caches know of it."""
    await lab.client.delete(CANARY, "checkout", SHOP)

    async def known() -> bool:
        cached = await lab.cluster.get(CANARY, SHOP, "checkout")
        return cached is None or is_terminating(cached)

    await until(known, "the caches know of the deletion")


async def is_gone(lab: Lab, kind: Kind = CANARY, name: str = "checkout") -> bool:
    """Whether the server has no such object; the caches then hear of it too."""
    try:
        await lab.get(kind, name)
    except NotFound:
        await until(lambda: _unknown(lab, kind, name), f"the caches know that {name} is gone")
        return True
    return False


async def _unknown(lab: Lab, kind: Kind, name: str) -> bool:
    return await lab.cluster.get(kind, SHOP, name) is None


async def owned(lab: Lab, *kinds: Kind) -> list[str]:
    """Names of what the Canary owns."""
    found = []
    for kind in kinds or (DEPLOYMENT, SERVICE, ROUTE, CONFIG_MAP):
        for obj in await lab.cluster.list(kind, SHOP):
            owners = obj["metadata"].get("ownerReferences") or ()
            found += [f"{kind.plural}/{name_of(obj)}" for owner in owners if owner["kind"] == "Canary"]
    return sorted(found)


async def test_the_finalizer_is_there_before_anything_is_taken_over(bench: Bench) -> None:
    """It is the first thing that is written, beside those of others; and it goes with the wish."""
    lab, canary = bench.lab, a_canary(**REVERTING)
    canary["metadata"]["finalizers"] = ["example.com/theirs"]
    await lab.add(a_target(), canary)

    await bench.tick()

    assert lab.writes()[0] == "PATCH canaries/checkout"
    assert (await lab.get(CANARY))["metadata"]["finalizers"] == ["example.com/theirs", FINALIZER]
    await lab.change(CANARY, {"spec": {"revertOnDeletion": False}})
    await bench.tick()
    assert (await lab.get(CANARY))["metadata"]["finalizers"] == ["example.com/theirs"]


async def test_everything_is_handed_back(bench: Bench) -> None:
    """Size, Service and route are what they were; what was made is gone; users are served at every step."""
    lab = bench.lab
    service, route = await lab.add(their_service()), await lab.add(their_route())
    await bench.initialized(a_target(), a_canary(**REVERTING))
    assert (await lab.get(SERVICE))["spec"]["selector"] == {"app": "checkout-primary"}
    await lab.change(DEPLOYMENT, {"spec": {"replicas": 3}}, "checkout-primary")
    await delete(lab)

    await bench.tick()
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 3
    assert await bench.tick() == 30, "the target has no pods yet"
    assert (await lab.get(SERVICE))["spec"]["selector"] == {"app": "checkout-primary"}
    await lab.rolled_out("checkout")

    assert await bench.tick() == 30, "gateways are given time to follow"
    assert (await lab.get(SERVICE))["spec"] == service["spec"]
    assert (await lab.get(ROUTE))["spec"] == route["spec"]
    assert not await is_gone(lab, DEPLOYMENT, "checkout-primary")
    await bench.tick()

    assert await is_gone(lab)
    assert await owned(lab) == []
    assert [name_of(obj) for obj in await lab.cluster.list(SERVICE, SHOP)] == ["checkout"]
    assert annotations_of(await lab.get(SERVICE)) == {"own": "a"}
    assert annotations_of(await lab.get(ROUTE)) == {}
    told = [line for line in await bench.told() if "Terminat" in line]
    assert told == ["N: Terminating canary checkout.shop", "N: Terminated canary checkout.shop"]


async def test_in_mid_run(bench: Bench) -> None:
    """A run that is under way ends where it is; the target, with whatever it holds, is what serves from then on."""
    lab = bench.lab
    await bench.initialized(a_target(), a_canary(**REVERTING))
    await bench.push()
    for _ in range(2):
        await bench.tick()
        await lab.rolled_out("checkout")
    assert await bench.weights() == [80, 20]
    await delete(lab)

    for _ in range(3):
        await bench.tick()

    assert await is_gone(lab)
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2
    assert await owned(lab) == []


async def test_a_restart_in_between(bench: Bench) -> None:
    """What is to be done next is in the cluster."""
    lab = bench.lab
    await bench.initialized(a_target(), a_canary(**REVERTING))
    await delete(lab)
    for _ in range(3):
        bench.restart()
        await bench.tick()
        await lab.rolled_out("checkout")

    assert await is_gone(lab)
    assert (await bench.told())[-1] == "N: Terminated canary checkout.shop"


@pytest.mark.parametrize(
    "missing",
    [(DEPLOYMENT, "checkout"), (DEPLOYMENT, "checkout-primary"), (SERVICE, "checkout"), (ROUTE, "checkout")],
    ids=lambda item: f"{item[0].kind} {item[1]}",
)
async def test_what_is_missing_holds_nothing_up(bench: Bench, missing: tuple[Kind, str]) -> None:
    """Somebody was faster: the rest is handed back, and the Canary goes."""
    lab = bench.lab
    await bench.initialized(a_target(), a_canary(**REVERTING))
    await lab.remove(*missing)
    await delete(lab)

    for _ in range(3):
        await bench.tick()
        if missing != (DEPLOYMENT, "checkout") and not await is_gone(lab):
            await lab.rolled_out("checkout")

    assert await is_gone(lab)
    assert await owned(lab) == []
    if missing != (DEPLOYMENT, "checkout"):
        assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] > 0


async def test_a_config_that_is_missing(bench: Bench) -> None:
    """The target can't start without it, which is said once; it goes on as soon as it is there."""
    lab, greeting = bench.lab, {"kind": "ConfigMap", "metadata": {"name": "greeting", "namespace": SHOP}}
    target = a_target()
    container = target["spec"]["template"]["spec"]["containers"][0]
    container["envFrom"] = [{"configMapRef": {"name": "greeting"}}]
    await lab.client.create(CONFIG_MAP, {**greeting, "data": {"text": "hello"}})
    await bench.initialized(target, a_canary(**REVERTING, progressDeadlineSeconds=60))
    await lab.client.delete(CONFIG_MAP, "greeting", SHOP)
    await until(lambda: is_gone(lab, CONFIG_MAP, "greeting"), "the ConfigMap is gone")
    await delete(lab)
    bench.now = bench.world.clock().max.replace(year=2099, tzinfo=bench.now.tzinfo)

    for _ in range(4):
        await bench.tick()

    warnings = [line for line in await bench.told() if "not ready during finalizing" in line]
    assert len(warnings) == 1
    assert not await is_gone(lab)
    await lab.rolled_out("checkout")
    for _ in range(2):
        await bench.tick()
    assert await is_gone(lab)
    assert await is_gone(lab, CONFIG_MAP, "greeting-primary")


async def test_an_autoscaler(bench: Bench) -> None:
    """The primary's goes, the target's stays."""
    lab = bench.lab
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "checkout", "namespace": SHOP},
        "spec": {
            "minReplicas": 2,
            "maxReplicas": 4,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
        },
    }
    await lab.client.create(HPA, scaler)
    reference = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "checkout"}
    await bench.initialized(a_target(), a_canary(**REVERTING, autoscalerRef=reference))
    assert await owned(lab, HPA) == ["horizontalpodautoscalers/checkout-primary"]
    await delete(lab)
    for _ in range(3):
        await bench.tick()
        await lab.rolled_out("checkout")

    assert [name_of(obj) for obj in await lab.cluster.list(HPA, SHOP)] == ["checkout"]


async def test_a_kind_that_the_cluster_no_longer_serves() -> None:
    """Routes whose CRD is gone need no way back."""
    definitions = [item for item in the_definitions() if item["spec"]["names"]["kind"] != "HTTPRoute"]
    async with a_lab(definitions) as lab, a_bench(lab) as bench:
        await bench.initialized(a_target(), a_canary(**REVERTING, provider="kubernetes"))
        await lab.change(CANARY, {"spec": {"provider": "gatewayapi:v1"}})
        await delete(lab)
        for _ in range(3):
            await bench.tick()
            await lab.rolled_out("checkout")

        assert await is_gone(lab)
        assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2


async def test_a_rival_for_the_same_target_leaves_it_alone(bench: Bench) -> None:
    """The younger of two Canaries never took anything over, so it hands nothing back."""
    lab = bench.lab
    await bench.initialized(a_target(), a_canary(**REVERTING))
    rival = a_canary("rival", **{**REVERTING, "targetRef": a_canary()["spec"]["targetRef"]})
    rival["metadata"]["finalizers"] = [FINALIZER]
    await lab.add(rival)
    await lab.client.delete(CANARY, "rival", SHOP)
    await until(lambda: _deleting(lab, "rival"), "the caches know of the deletion")
    bench.world.registry.remember(read(await lab.get(CANARY)), ())
    bench.world.registry.remember(read(await lab.get(CANARY, "rival")), ())

    await bench.tick(f"{SHOP}/rival")

    assert await is_gone(lab, CANARY, "rival")
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 0


async def _deleting(lab: Lab, name: str) -> bool:
    cached = await lab.cluster.get(CANARY, SHOP, name)
    return cached is not None and is_terminating(cached)


@pytest.fixture
async def loose(loose_lab: Lab) -> AsyncIterator[Bench]:
    """Ticks by hand where Canaries can be anything."""
    async with a_bench(loose_lab) as bench:
        yield bench


async def test_a_canary_that_can_not_be_read_any_more(loose: Bench) -> None:
    """Its target is all that is needed to hand that back."""
    lab = loose.lab
    await loose.initialized(a_target(), a_canary(**REVERTING))
    await lab.change(CANARY, {"spec": {"analysis": {"stepWeight": "many"}}})
    await delete(lab)
    for _ in range(3):
        await loose.tick()
        await lab.rolled_out("checkout")

    assert await is_gone(lab)
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2


async def test_a_canary_of_which_nothing_can_be_read(loose: Bench) -> None:
    """It is let go, and says what is wrong with it."""
    canary = a_canary(targetRef=None)
    canary["metadata"]["finalizers"] = [FINALIZER]
    await loose.lab.add(canary)
    await delete(loose.lab)

    await loose.tick()

    assert await is_gone(loose.lab)
    (line,) = await loose.told()
    assert line.startswith("W: spec.targetRef")


async def test_kubectls_note_counts_first(bench: Bench) -> None:
    """A Service that was applied with kubectl gets the selector that was applied; annotations of its own stay."""
    lab, service = bench.lab, their_service()
    applied = copy.deepcopy(service)
    applied["metadata"]["annotations"] = GITOPS_IGNORE
    service["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(applied), **GITOPS_IGNORE}
    await lab.add(service)
    await bench.initialized(a_target(), a_canary(**REVERTING))
    await delete(lab)
    for _ in range(3):
        await bench.tick()
        await lab.rolled_out("checkout")

    after = await lab.get(SERVICE)
    assert after["spec"]["selector"] == {"app": "checkout", "tier": "x"}
    assert GITOPS_IGNORE.items() <= annotations_of(after).items()


async def test_a_running_operator_is_woken(lab: Lab) -> None:
    """By the deletion, and by the target that gets ready: nobody waits for an interval of minutes."""
    analysis = {"interval": "10m", "stepWeight": 50}
    await lab.add(a_target(), a_canary(revertOnDeletion=True, analysis=analysis))
    async with an_operator(lab):
        await until(lambda: _has(lab, "Initializing"), "it waits for the primary")
        await lab.rolled_out("checkout-primary")
        await until(lambda: _has(lab, "Initialized"), "it is initialized")
        await lab.client.delete(CANARY, "checkout", SHOP)
        await until(lambda: _has(lab, "Terminating"), "it is terminating")
        await lab.rolled_out("checkout")
        await until(lambda: _has(lab, "Terminated"), "everything is handed back")


async def _has(lab: Lab, phase: str) -> bool:
    return bool((await lab.get(CANARY)).get("status", {}).get("phase") == phase)


async def test_without_revert_what_serves_stays(bench: Bench) -> None:
    """Everything that was made belongs to the target too, so collecting the Canary's leaves it; nothing is written."""
    lab = bench.lab
    await bench.initialized(a_target(), a_canary(analysis=REVERTING["analysis"]))
    target = uid_of(await lab.get(DEPLOYMENT))
    made = await owned(lab)
    lab.sent.clear()

    await lab.remove(CANARY)
    await bench.tick()

    assert made == sorted(
        [
            "deployments/checkout-primary",
            "httproutes/checkout",
            *(f"services/{name}" for name in ("checkout", "checkout-canary", "checkout-primary")),
        ]
    )
    for kind, name in ((DEPLOYMENT, "checkout-primary"), (SERVICE, "checkout"), (ROUTE, "checkout")):
        owners = (await lab.get(kind, name))["metadata"]["ownerReferences"]
        assert [(owner["kind"], owner.get("controller", False)) for owner in owners] == [
            ("Canary", True),
            ("Deployment", False),
        ]
        assert owners[1]["uid"] == target
    assert lab.writes() == []


async def collected(lab: Lab) -> None:
    """What the garbage collector does to what has an owner left."""
    for kind in (DEPLOYMENT, SERVICE, ROUTE):
        for obj in await lab.cluster.list(kind, SHOP):
            owners = obj["metadata"].get("ownerReferences") or []
            left = [owner for owner in owners if owner["kind"] != "Canary"]
            if left != owners:
                await lab.change(kind, {"metadata": {"ownerReferences": left}}, name_of(obj))


async def test_a_canary_that_is_made_again_goes_on(bench: Bench) -> None:
    """It finds its primary and everything else, restarts no pod, and owns it all again."""
    lab = bench.lab
    await bench.initialized(a_target(), a_canary(analysis=REVERTING["analysis"]))
    made, before = await owned(lab), await lab.get(DEPLOYMENT, "checkout-primary")
    await lab.remove(CANARY)
    await collected(lab)
    assert await owned(lab) == []
    bench.restart()

    await lab.add(a_canary(**REVERTING))
    await bench.tick()
    await bench.tick()

    assert (await bench.status())["phase"] == "Initialized"
    assert (await lab.get(DEPLOYMENT, "checkout-primary"))["spec"] == before["spec"]
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 0
    assert await owned(lab) == made
    await delete(lab)
    for _ in range(3):
        await bench.tick()
        await lab.rolled_out("checkout")
    assert await is_gone(lab)
    assert await owned(lab) == []
