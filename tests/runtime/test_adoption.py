"""Canaries that upstream has operated, with the objects as it leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.kube.objects import CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, Object, name_of
from flagger.runtime.kinds import CANARY
from tests.fakes.cluster import ROUTE, a_canary
from tests.runtime.operating import METRICS, Bench

LEFT = Path(__file__).parents[1] / "golden" / "adoption" / "deployment.yaml"
GENERATED = ("checkout-primary", "checkout-canary", "checkout-env-primary", "checkout-db-primary")
HASHES = {"lastAppliedSpec": "76b9845d5f", "lastPromotedSpec": "76b9845d5f"}
CONFIGS = {"configmap/checkout-env": "00e8d582a21dc3cc", "secret/checkout-db": "333b39b9b276af7b"}
ANALYSIS: dict[str, Any] = {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS}


async def left_by_upstream(bench: Bench, phase: str, *, weight: int = 0, **status: Any) -> None:
    """Everything that there is of a Canary, whose status upstream has written."""
    lab = bench.lab
    canary = await lab.add(a_canary(analysis=ANALYSIS))
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "checkout", "controller": True}
    owner |= {"uid": canary["metadata"]["uid"], "blockOwnerDeletion": True}
    for obj in yaml.safe_load_all(LEFT.read_text()):
        made = name_of(obj) in GENERATED or obj["kind"] in ("Service", "HTTPRoute")
        if made:
            obj["metadata"]["ownerReferences"] = [owner]
        if obj["kind"] == "HTTPRoute":
            primary, candidate = obj["spec"]["rules"][0]["backendRefs"]
            primary["weight"], candidate["weight"] = 100 - weight, weight
        await lab.add(obj)
    for name in ("checkout", "checkout-primary"):
        await lab.rolled_out(name)
    condition = {"type": "Promoted", "status": "True", "reason": phase, "message": "m"}
    times = {"lastUpdateTime": "2030-01-05T09:00:00Z", "lastTransitionTime": "2030-01-05T09:00:00Z"}
    written: Object = {
        "phase": phase,
        "canaryWeight": weight,
        "failedChecks": 0,
        "iterations": 0,
        "trackedConfigs": CONFIGS,
        "lastTransitionTime": "2030-01-05T09:00:00Z",
        "conditions": [condition | times],
        **HASHES,
        **status,
    }
    await lab.change(CANARY, {"status": written}, subresource="status")
    lab.sent.clear()


async def templates(bench: Bench) -> list[tuple[Object, int]]:
    """Pod template and size of primary and target: what decides over their pods."""
    found = [await bench.lab.get(DEPLOYMENT, name) for name in ("checkout-primary", "checkout")]
    return [(obj["spec"]["template"], obj["spec"]["replicas"]) for obj in found]


async def ran(bench: Bench) -> list[str]:
    """The phases of the ticks to come until a run is over."""
    phases = []
    for _ in range(9):
        await bench.tick()
        for name in ("checkout", "checkout-primary"):
            await bench.lab.rolled_out(name)
        phases.append((await bench.status())["phase"])
        if phases[-1] in ("Succeeded", "Failed"):
            break
    return phases


@pytest.mark.parametrize("phase", ["Initialized", "Succeeded", "Failed"])
async def test_an_idle_canary_is_taken_over_as_it_is(bench: Bench, phase: str) -> None:
    """No run, no pod is touched; status and phase stay but for the hashes."""
    await left_by_upstream(bench, phase)
    before, status = await templates(bench), await bench.status()

    for _ in range(3):
        assert await bench.tick() is None

    assert await templates(bench) == before
    after = await bench.status()
    assert after["lastAppliedSpec"] == after["lastPromotedSpec"]
    assert after["lastAppliedSpec"].startswith("v1-")
    ours = (*HASHES, "trackedConfigs")
    assert {key: after[key] for key in after if key not in ours} == {
        key: status[key] for key in status if key not in ours
    }
    assert await bench.told() == [
        "N: Adopted checkout.shop, checkout-primary.shop already runs the revision of checkout.shop"
    ]


async def test_only_owners_and_the_status_are_written(bench: Bench) -> None:
    """What upstream made is what we would have made."""
    await left_by_upstream(bench, "Succeeded")

    await bench.tick()

    bodies = [request.body.decode() for request in bench.lab.sent if not request.is_read]
    about = [body for body in bodies if "ownerReferences" not in body and "involvedObject" not in body]
    assert len(about) == 1
    assert "lastAppliedSpec" in about[0]


async def test_the_next_release_goes_as_usual(bench: Bench) -> None:
    """From the first weight to the promotion, which can be taken back like any other."""
    await left_by_upstream(bench, "Succeeded")
    await bench.tick()
    await bench.lab.change(DEPLOYMENT, an_image("podinfo:2"))

    assert await ran(bench) == [*["Progressing"] * 3, "Promoting", "Finalising", "Succeeded"]

    primary, target = await templates(bench)
    assert image_of(primary[0]) == "podinfo:2"
    assert (primary[1], target[1]) == (2, 0)


async def test_a_revision_that_came_meanwhile_is_released(bench: Bench) -> None:
    """Between the two operators, or while upstream's analysis of it had failed: it is analysed."""
    await left_by_upstream(bench, "Succeeded")
    await bench.lab.change(DEPLOYMENT, an_image("podinfo:2"))

    assert (await ran(bench))[0] == "Progressing"
    assert (await bench.told())[0] == "N: New revision detected! Scaling up checkout.shop"


async def test_a_config_that_changed_meanwhile_is_released(bench: Bench) -> None:
    """Its checksum in the status is one that we can compare."""
    await left_by_upstream(bench, "Succeeded")
    await bench.lab.change(CONFIG_MAP, {"data": {"CURRENCY": "USD"}}, "checkout-env")

    assert (await ran(bench))[-1] == "Succeeded"
    assert (await bench.lab.get(CONFIG_MAP, "checkout-env-primary"))["data"] == {"CURRENCY": "USD"}


async def test_a_secret_that_is_no_longer_copied(bench: Bench) -> None:
    """Upstream copied what External Secrets rotates; its change is no release, and the next one drops the copy."""
    await left_by_upstream(bench, "Succeeded")
    await bench.lab.change(SECRET, {"data": {"password": "bmV3"}}, "checkout-db")

    await bench.tick()

    status = await bench.status()
    assert (status["phase"], list(status["trackedConfigs"])) == ("Succeeded", ["configmap/checkout-env"])


@pytest.mark.parametrize("phase", ["Progressing", "WaitingPromotion"])
async def test_a_run_starts_over(bench: Bench, phase: str) -> None:
    """Nobody knows which revision upstream has analysed so far, so its weights prove nothing."""
    await left_by_upstream(bench, phase, weight=20)
    await bench.lab.change(DEPLOYMENT, {"spec": {"replicas": 2, **an_image("podinfo:2")["spec"]}})
    await bench.lab.rolled_out("checkout")

    await bench.tick()

    status = await bench.status()
    assert (status["phase"], status["canaryWeight"], await bench.weights()) == ("Progressing", 0, [100, 0])
    assert (await bench.told()) == ["N: New revision detected! Restarting analysis for checkout.shop"]
    assert (await ran(bench))[-1] == "Succeeded"


@pytest.mark.parametrize("phase", ["Promoting", "Finalising"])
async def test_a_promotion_comes_to_its_end(bench: Bench, phase: str) -> None:
    """The primary has the revision already: traffic comes home, the target is parked, nothing is released again."""
    await left_by_upstream(bench, phase, weight=40 if phase == "Promoting" else 0)
    await bench.lab.change(DEPLOYMENT, {"spec": {"replicas": 2}})
    await bench.lab.rolled_out("checkout")
    primary, _ = await templates(bench)

    assert (await ran(bench))[-1] == "Succeeded"

    after, target = await templates(bench)
    assert (after, target[1], await bench.weights()) == (primary, 0, [100, 0])
    status = await bench.status()
    assert status["lastAppliedSpec"] == status["lastPromotedSpec"]
    bench.lab.sent.clear()
    await bench.tick()
    assert bench.lab.writes() == []


async def test_a_revision_that_came_while_promoting(bench: Bench) -> None:
    """The promotion ends, then the revision is released on its own."""
    await left_by_upstream(bench, "Promoting", weight=40)
    await bench.lab.change(DEPLOYMENT, {"spec": {"replicas": 2, **an_image("podinfo:3")["spec"]}})
    await bench.lab.rolled_out("checkout")

    assert (await ran(bench))[-1] == "Succeeded"
    assert image_of((await templates(bench))[0][0]) == "podinfo:1"
    assert (await ran(bench))[0] == "Progressing"


async def test_their_service_is_not_told_apart(bench: Bench) -> None:
    """Nothing of the Services changes but who owns them."""
    await left_by_upstream(bench, "Succeeded")
    before = [await bench.lab.get(SERVICE, name) for name in ("checkout", "checkout-primary")]

    await bench.tick()

    for service in before:
        after = await bench.lab.get(SERVICE, name_of(service))
        assert after["spec"] == service["spec"]
        assert after["metadata"]["annotations"] == service["metadata"]["annotations"]
    assert (await bench.lab.get(ROUTE))["metadata"]["generation"] == 1


def an_image(image: str) -> Object:
    """A new revision of the target."""
    container = yaml.safe_load_all(LEFT.read_text())
    (target,) = (obj for obj in container if (obj["kind"], name_of(obj)) == ("Deployment", "checkout"))
    (web,) = target["spec"]["template"]["spec"]["containers"]
    return {"spec": {"template": {"spec": {"containers": [{**web, "image": image}]}}}}


def image_of(template: Object) -> str:
    image: str = template["spec"]["containers"][0]["image"]
    return image
