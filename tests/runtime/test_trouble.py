"""Bad input and bad luck: each is named once where people look, the others go on, and it heals by itself."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.errors import Forbidden
from flagger.kube.lease import LeaseLost
from flagger.kube.objects import DEPLOYMENT, Object
from flagger.runtime.kinds import CANARY
from flagger.workloads.base import Options
from flagger.workloads.table import Workloads
from tests.fakes.cluster import ROUTE, SHOP, Lab, a_canary, a_lab, a_target, the_definitions
from tests.runtime.operating import METRICS, Bench, a_bench

WEIGHTED: dict[str, Any] = {"stepWeight": 20, "maxWeight": 40, "metrics": METRICS}


def accepted(status: Object) -> Object | None:
    return next((item for item in status.get("conditions", ()) if item["type"] == "Accepted"), None)


@pytest.fixture
async def loose_lab() -> AsyncIterator[Lab]:
    """A cluster whose Canary CRD lets everything through, as a careless administrator may have it."""
    definitions = copy.deepcopy(the_definitions())
    for definition in definitions:
        if definition["spec"]["names"]["kind"] == "Canary":
            anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = anything
    async with a_lab(definitions) as found:
        yield found


async def test_an_invalid_canary_waits_and_says_why(bench: Bench) -> None:
    """One Warning and a condition name the field; it goes on as soon as the field is right."""
    lab = bench.lab
    await lab.add(a_target(), a_canary(analysis={"stepWeights": [10, 5]}))

    for _ in range(2):
        assert await bench.tick() is None

    (event,) = await bench.told()
    assert event.startswith("W: spec.analysis.stepWeights")
    rejection = accepted(await bench.status())
    assert (rejection["status"], rejection["reason"]) == ("False", "InvalidSpec")
    assert rejection["message"] == event.removeprefix("W: ")
    assert await lab.cluster.get(DEPLOYMENT, SHOP, "checkout-primary") is None

    await lab.change(CANARY, {"spec": {"analysis": {"stepWeights": [5, 10]}}})
    assert await bench.tick() == 30
    status = await bench.status()
    assert (status["phase"], accepted(status)) == ("Initializing", None)


async def test_a_canary_becomes_invalid_in_mid_run(bench: Bench) -> None:
    """It stands still with its traffic where it is, until the field is right again."""
    await bench.initialized(a_target(), a_canary(analysis=WEIGHTED))
    await bench.push()
    for _ in range(2):
        await bench.tick()
        await bench.lab.rolled_out("checkout")
    upside_down = [{**METRICS[0], "thresholdRange": {"min": 99, "max": 1}}]
    await bench.lab.change(CANARY, {"spec": {"analysis": {"metrics": upside_down}}})

    assert await bench.tick() is None
    status = await bench.status()
    assert "spec.analysis.metrics[0].thresholdRange" in accepted(status)["message"]
    assert (status["phase"], await bench.weights()) == ("Progressing", [80, 20])

    await bench.lab.change(CANARY, {"spec": {"analysis": {"metrics": METRICS}}})
    await bench.tick()
    assert (await bench.weights(), accepted(await bench.status())) == ([60, 40], None)


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param(None, id="none"),
        pytest.param(["nonsense", 7, {"type": "Promoted"}], id="malformed"),
        pytest.param("nonsense", id="no list"),
        pytest.param([{"type": "Accepted", "status": 3}], id="a malformed rejection"),
    ],
)
async def test_an_unreadable_canary(loose_lab: Lab, conditions: Any) -> None:
    """A type that makes no sense at all: said on the object, whatever its status holds; never an exception."""
    canary = a_canary()
    canary["spec"]["analysis"]["threshold"] = "many"
    async with a_bench(loose_lab) as bench:
        await loose_lab.add(a_target("cart"), a_canary("cart"), canary)
        if conditions is not None:
            await loose_lab.change(CANARY, {"status": {"conditions": conditions}}, subresource="status")

        for _ in range(3):
            assert await bench.tick() is None
        assert await bench.tick("shop/cart") == 30

        expected = "spec.analysis.threshold: 'many' is not an integer; write an integer"
        after = (await loose_lab.get(CANARY))["status"]["conditions"]
        kept = (
            [item for item in conditions if item != {"type": "Accepted", "status": 3}]
            if isinstance(conditions, list)
            else []
        )
        assert after[:-1] == kept
        assert (after[-1]["type"], after[-1]["message"]) == ("Accepted", expected)
        assert (await bench.told()).count(f"W: {expected}") == 1


async def test_warnings_are_told_once_per_generation(bench: Bench) -> None:
    """What is questionable but works is said when it is written, and not with every tick."""
    moves = {"stepWeight": 10, "maxWeight": 120}
    await bench.initialized(a_target(), a_canary(analysis=moves))
    await bench.tick()

    def warnings(told: list[str]) -> int:
        return sum("maxWeight" in line for line in told)

    assert warnings(await bench.told()) == 1
    with capture_logs() as logs:
        await bench.lab.change(CANARY, {"spec": {"analysis": {"threshold": 9}}})
        await bench.tick()
        await bench.tick()
    assert warnings([entry["event"] for entry in logs]) == 1


async def test_a_missing_target(bench: Bench) -> None:
    """Named, tried again, and found when it comes."""
    await bench.lab.add(a_canary())

    assert await bench.tick() == 30
    assert await bench.told() == [
        'W: deployment checkout.shop get query error: deployments.apps "checkout" not found'
    ]

    await bench.lab.add(a_target())
    await bench.tick()
    assert (await bench.status())["phase"] == "Initializing"


async def test_a_target_without_a_usable_label(bench: Bench) -> None:
    """The message says which labels would do."""
    target = a_target()
    target["spec"]["selector"]["matchLabels"] = target["spec"]["template"]["metadata"]["labels"] = {
        "component": "web"
    }
    await bench.lab.add(target, a_canary())

    assert await bench.tick() == 30
    assert "must contain one of [app name app.kubernetes.io/name]" in (await bench.told())[0]


async def test_a_missing_autoscaler(bench: Bench) -> None:
    """Named as soon as it is needed; the Canary waits for it."""
    reference = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}
    await bench.lab.add(a_target(), a_canary(autoscalerRef=reference))
    await bench.tick()
    await bench.lab.rolled_out("checkout-primary")

    assert await bench.tick() == 30
    assert "HorizontalPodAutoscaler web.shop get query error" in (await bench.told())[-1]
    assert (await bench.status())["phase"] == "Initializing"


async def test_a_missing_route_crd() -> None:
    """Named with what to do; the target goes on serving, and the Canary is ready once the CRD is there."""
    ours = [item for item in the_definitions() if item["spec"]["group"] == "flagger.app"]
    async with a_lab(ours) as lab, a_bench(lab) as bench:
        await lab.add(a_target(), a_canary())
        await bench.tick()
        await lab.rolled_out("checkout-primary")

        assert await bench.tick() == 30
        assert (
            "doesn't serve httproutes.gateway.networking.k8s.io v1; install its CRD"
            in (await bench.told())[-1]
        )
        assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        pytest.param(
            None,
            "W: Metric template errors.shop error: MetricTemplate shop/errors not found; create it",
            id="template",
        ),
        pytest.param(
            "key",
            "W: Metric template errors.shop secret key error: Secret shop/key not found; create it",
            id="secret",
        ),
    ],
)
async def test_a_missing_metric_template_or_secret(bench: Bench, secret: str | None, expected: str) -> None:
    """Said when the Canary is initialized; in a run it is a failed check, and no traffic moves over it."""
    metrics = [{"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}]
    if secret:
        provider = {"type": "prometheus", "address": bench.metrics.url, "secretRef": {"name": secret}}
        metadata = {"name": "errors", "namespace": SHOP}
        template = {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": metadata}
        await bench.lab.add({**template, "spec": {"provider": provider, "query": "vector(1)"}})
    await bench.initialized(a_target(), a_canary(analysis={**WEIGHTED, "metrics": metrics}))
    assert any(expected.removeprefix("W: ") in line for line in await bench.told())
    await bench.push()
    for _ in range(3):
        await bench.tick()
        await bench.lab.rolled_out("checkout")

    assert (await bench.told())[-1].startswith(expected)
    assert ((await bench.status())["failedChecks"], await bench.weights()) == (1, [80, 20])


async def test_what_we_may_not_read(bench: Bench) -> None:
    """A missing permission is a Warning with the request that was refused, and tried again."""
    await bench.lab.add(a_target(), a_canary())

    class Closed(Cluster):
        async def get(self, kind: Any, namespace: str | None, name: str) -> Object | None:
            if kind == DEPLOYMENT:
                raise Forbidden(403, "Forbidden", "no", action="list Deployment")
            return await super().get(kind, namespace, name)

    async with Closed(bench.lab.told) as cluster:
        workloads = Workloads(cluster, Options())
        bench.world = replace(bench.world, cluster=cluster, workloads=workloads)
        bench.restart()
        assert await bench.tick() == 30

    assert await bench.told() == ["W: list Deployment: no (403 Forbidden)"]


async def test_the_api_server_is_gone_for_a_while(lab: Lab) -> None:
    """The ticks are repeated ever later, with no event for each; then the run goes on where it was."""
    async with a_bench(lab) as bench:
        await bench.initialized(a_target(), a_canary(analysis=WEIGHTED))
        await bench.push()
        told = await bench.told()
        dead = replace(lab.client.connection, server="https://127.0.0.1:1")
        async with Client(dead) as nobody:
            alive, lab.cluster.client = lab.cluster.client, nobody
            with capture_logs() as logs:
                waits = [await bench.tick() for _ in range(3)]
            lab.cluster.client = alive

        assert waits == [2, 4, 8]
        assert {entry["event"] for entry in logs if entry["log_level"] == "info"} == {"tick set back"}
        assert await bench.told() == told
        assert await bench.tick() == 30
        assert (await bench.status())["phase"] == "Progressing"


async def test_the_lease_is_lost_in_a_tick(bench: Bench) -> None:
    """The tick stops, quietly: the process is about to end, and another instance goes on."""
    await bench.initialized(a_target(), a_canary(analysis=WEIGHTED))
    await bench.push()
    told = await bench.told()

    def guard() -> None:
        raise LeaseLost("pod-1 does not hold lease x/y")

    bench.lab.cluster.client = bench.lab.told.guarded(guard)
    with capture_logs() as logs:
        assert await bench.tick() is None

    assert [entry["event"] for entry in logs] == ["tick stopped"]
    assert (await bench.told(), (await bench.status())["phase"]) == (told, "Initialized")


async def test_the_canary_is_deleted_in_its_tick(bench: Bench) -> None:
    """Nothing is told to nobody."""
    await bench.initialized(a_target(), a_canary(analysis=WEIGHTED))
    await bench.push()
    for _ in range(2):
        await bench.tick()
        await bench.lab.rolled_out("checkout")
    told = await bench.told()
    bench.metrics.meanwhile = lambda: bench.lab.client.delete(CANARY, "checkout", SHOP)

    with capture_logs() as logs:
        assert await bench.tick() is None

    assert logs[-1]["event"] == "tick stopped"
    assert logs[-1]["reason"] == "shop/checkout was deleted during its tick"
    assert await bench.told() == told


async def test_a_canary_that_never_was(bench: Bench) -> None:
    """A key without an object is forgotten."""
    assert await bench.tick("shop/nobody") is None


async def test_two_canaries_on_one_target(bench: Bench) -> None:
    """The younger waits and names the older; it takes over when that is gone."""
    first, second = a_canary("first"), a_canary("second")
    for canary in (first, second):
        canary["spec"]["targetRef"]["name"] = "checkout"
    await bench.lab.add(a_target(), first, second)
    await bench.known()

    assert await bench.tick("shop/first") == 30
    assert await bench.tick("shop/second") is None

    expected = "spec.targetRef: Deployment checkout is released by the older Canary first.shop already"
    assert [line for line in await bench.told() if "older" in line] == [
        f"W: {expected}; delete one of the two, or name another target"
    ]
    assert accepted((await bench.lab.get(CANARY, "second"))["status"])["message"].startswith(expected)
    await bench.lab.remove(CANARY, "first")
    await bench.known()
    assert await bench.tick("shop/second") == 30


async def test_a_finalizer_that_is_not_served_yet(bench: Bench) -> None:
    """A Canary that waits for it says in the log what to do, once, and is not worked on."""
    await bench.initialized(a_target(), a_canary(analysis=WEIGHTED))
    await bench.lab.change(CANARY, {"metadata": {"finalizers": ["finalizer.flagger.app"]}})
    await bench.lab.client.delete(CANARY, "checkout", SHOP)
    await bench.lab.change(CANARY, {"metadata": {"labels": {"seen": "yes"}}})
    await bench.lab.remove(ROUTE)
    bench.lab.sent.clear()

    with capture_logs() as logs:
        for _ in range(3):
            assert await bench.tick() is None

    (line,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert (line["event"], line["canary"]) == ("finalizer not served yet", "checkout.shop")
    assert "remove the finalizer by hand" in line["todo"]
    assert bench.lab.sent == []
