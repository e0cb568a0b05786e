"""Acts on a real API: how they come in, what is written about them, and what they cost."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from flagger.api.admission import BINDING, POLICY
from flagger.api.names import HOLD, REQUEST, RESPONSE
from flagger.api.quantities import format_time
from flagger.kube.objects import CRD, DEPLOYMENT, Kind, Object, annotations_of
from flagger.runtime import advance as ticking
from flagger.runtime.act_keeper import look, sweep
from flagger.runtime.acts import KEPT
from flagger.runtime.identity import ADMISSION_BINDING, ADMISSION_POLICY, vouching
from flagger.runtime.kinds import CANARY, RELEASE, RELEASE_ACTION
from tests.fakes.cluster import ROUTE, SHOP, Lab, a_canary, a_lab, a_target, brief, the_definitions, until
from tests.runtime.operating import METRICS, START, Bench, a_bench, an_operator, phase_is, weights_of
from tests.runtime.test_watch import image

WEIGHTED: dict[str, Any] = {"stepWeight": 20, "maxWeight": 80, "metrics": METRICS}
OURS = ("releaseactions", "releases")
NUMBERS = count(1)
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)


def an_act(action: str, **spec: Any) -> Object:
    """What `kubectl create` sends."""
    pin = {} if action in ("pause", "resume") else {"pin": {"run": 1}}
    return {
        "apiVersion": "release.flagger.app/v1alpha1",
        "kind": "ReleaseAction",
        "metadata": {"name": f"act-{next(NUMBERS)}", "namespace": SHOP},
        "spec": {
            "canary": "checkout",
            "action": action,
            "reason": "incident 812",
            "requestedBy": {"username": "ana"},
            "expiresAt": "2031-01-05T10:00:00Z",  # the lab's clock and the server's are not the same
            **pin,
            **spec,
        },
    }


async def serving(bench: Bench) -> Bench:
    """The operator has found out that there are our kinds."""
    await look(bench.world, lambda: bench.lab.cluster.subscribe(RELEASE_ACTION, bench.world.acts.changed))
    return bench


@pytest.fixture
async def acting(lab: Lab) -> AsyncIterator[Bench]:
    """A run at weight 20, acts of everybody welcome, and nothing sent so far."""
    async with a_bench(lab, unverified_actions="all") as bench:
        await running(await serving(bench))
        yield bench


async def running(bench: Bench, **spec: Any) -> None:
    """A run at weight 20."""
    await bench.initialized(a_target(), a_canary(**{"analysis": WEIGHTED, **spec}))
    await bench.push()
    for _ in range(2):
        await bench.tick()
        await bench.lab.rolled_out("checkout")
    assert await bench.weights() == [80, 20]
    bench.lab.sent.clear()


async def result_of(bench: Bench, act: Object) -> Object:
    """What is written about an act."""
    return (await bench.lab.get(RELEASE_ACTION, act["metadata"]["name"])).get("status", {})


async def release(bench: Bench) -> Object:
    """The Release's status."""
    return (await bench.lab.get(RELEASE))["status"]


async def test_an_act_is_applied_and_answered(acting: Bench) -> None:
    """The object has its result, the Canary an Event, the log a line, the counter one more."""
    act = await acting.lab.add(an_act("pause", via="cli"))

    with capture_logs() as logs:
        await acting.tick()

    assert await result_of(acting, act) == {
        "state": "Applied",
        "identity": "Unverified",
        "at": format_time(acting.now),
        "before": {"phase": "Progressing", "weight": 20},
        "after": {"phase": "Progressing", "weight": 20},
        "code": "Applied.Paused",
        "message": "paused by ana: incident 812",
    }
    assert "N: paused by ana: incident 812" in await acting.told()
    (line,) = [entry for entry in logs if entry["event"] == "act decided"]
    wanted = {"actor": "ana", "action": "pause", "run": 1, "via": "cli", "reason": "incident 812"}
    assert wanted.items() <= line.items()
    labels = {"action": "pause", "state": "Applied", "via": "cli"}
    registry = acting.world.telemetry.registry
    assert registry.get_sample_value("flagger_release_actions_total", labels) == 1.0
    acting.lab.sent.clear()
    await acting.tick()
    assert not [line for line in acting.lab.writes() if "releaseactions" in line], "it is said once"


async def test_a_whole_release_by_hand(acting: Bench) -> None:
    """Pause, step, abort, retry: each does what it says on the route, and the Release remembers."""
    lab = acting.lab
    await lab.add(an_act("pause"))
    await acting.tick()
    assert await acting.weights() == [80, 20]
    await lab.add(an_act("promote", scope="step"))
    await acting.tick()
    assert await acting.weights() == [60, 40]
    await lab.add(an_act("abort", reason="wrong flag"))
    await acting.tick()
    assert ((await acting.status())["phase"], await acting.weights()) == ("Failed", [100, 0])
    assert (await lab.get(DEPLOYMENT))["spec"]["replicas"] == 0
    found = await release(acting)
    (run,) = found["runs"]
    assert (run["number"], run["result"], run["weight"]) == (1, "aborted", 40)
    assert [(one["action"], one["by"]) for one in run["actions"]] == [
        ("pause", "ana"),
        ("promote", "ana"),
        ("abort", "ana"),
    ]
    assert {one["type"]: one["status"] for one in found["conditions"]} == {
        "Ready": "False",
        "Progressing": "False",
        "Paused": "True",
        "Degraded": "True",
    }
    await lab.add(an_act("resume"))
    await lab.add(an_act("retry"))
    await acting.tick()
    found = await release(acting)
    assert (found["current"]["phase"], found["current"]["run"]) == ("Progressing", 2)
    assert [(one["number"], one["result"]) for one in found["runs"]] == [(2, "running"), (1, "aborted")]
    assert "pause" not in found["current"]


async def test_what_an_act_waits_for_is_said_once(acting: Bench) -> None:
    """Pending, with the reason; no write repeats it. It expires at its time, which brings a tick by itself."""
    deadline = acting.now + timedelta(seconds=95)
    act = await acting.lab.add(an_act("promote", pin={"image": "podinfo:9"}, expiresAt=format_time(deadline)))
    assert await acting.tick() == 30.0
    assert await result_of(acting, act) == {
        "state": "Pending",
        "identity": "Unverified",
        "code": "Pending.Waits",
        "message": "waits for the image podinfo:9",
    }
    acting.lab.sent.clear()
    assert await acting.tick() == 30.0
    assert not [line for line in acting.lab.writes() if "releaseactions" in line]
    assert await acting.tick() == 5.0
    await acting.tick(after=5.0)
    status = await result_of(acting, act)
    assert (status["state"], status["message"]) == (
        "Expired",
        "not applied in time: waits for the image podinfo:9",
    )


async def test_an_act_whose_spec_was_changed_is_refused(acting: Bench) -> None:
    """Where no policy keeps it from being changed, the operator does: who approved something approved only that."""
    act = await acting.lab.add(an_act("pause"))
    await acting.lab.change(RELEASE_ACTION, {"spec": {"action": "abort"}}, act["metadata"]["name"])
    await acting.tick()
    assert (await result_of(acting, act))["code"] == "Refused.Changed"


@pytest.mark.parametrize(
    ("setting", "applied"),
    [
        ("safe", {"pause", "abort"}),
        ("all", {"pause", "abort", "promote", "resume"}),
        ("none", set()),
    ],
)
async def test_acts_that_nobody_vouches_for(lab: Lab, setting: str, applied: set[str]) -> None:
    """By default only what is safe is done for a name that anybody could have written."""
    async with a_bench(lab, unverified_actions=setting) as bench:
        await running(await serving(bench))
        done = set()
        for action in ("resume", "pause", "promote", "abort"):
            act = await lab.add(an_act(action, **({"scope": "step"} if action == "promote" else {})))
            await bench.tick()
            status = await result_of(bench, act)
            assert status["code"] == "Refused.Unverified" or status["state"] == "Applied"
            done |= {action} if status["state"] == "Applied" else set()
        assert done == applied


@pytest.fixture
async def vouched(lab: Lab) -> AsyncIterator[Bench]:
    """A server that stores our admission policy; ana may promote, ben may pause."""
    for kind in (ADMISSION_POLICY, ADMISSION_BINDING):
        await lab.client.create(CRD, a_definition(kind))
    for kind, obj in ((ADMISSION_POLICY, POLICY), (ADMISSION_BINDING, BINDING)):

        async def stored(kind: Kind = kind, obj: Object = obj) -> Object:
            return await lab.client.create(kind, copy.deepcopy(obj))

        await until(stored, f"{kind.kind} is stored")
    await may(lab, "ana", "promote")
    await may(lab, "ben", "pause")
    async with a_bench(lab) as bench:
        await running(await serving(bench))
        defaults = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
        filled_in = {"spec": {"matchConstraints": defaults}}  # as a real server does
        await lab.client.patch(ADMISSION_POLICY, POLICY["metadata"]["name"], None, filled_in)
        since = (await vouching(lab.client)).since
        assert since
        await asyncio.sleep(1.1)  # acts count that are younger than the policy; the API counts in seconds
        yield bench


def a_definition(kind: Kind) -> Object:
    """A kind that this server does not have, as a place to store objects of it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": kind.group,
            "scope": "Cluster",
            "names": {"kind": kind.kind, "plural": kind.plural, "listKind": f"{kind.kind}List"},
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


async def may(lab: Lab, user: str, *verbs: str) -> None:
    """Give a user rights on Canaries, as an administrator would."""
    rules = [{"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": list(verbs)}]
    await lab.client.create(CLUSTER_ROLE, {"metadata": {"name": user}, "rules": rules})
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    await lab.client.create(
        CLUSTER_ROLE_BINDING, {"metadata": {"name": user}, "subjects": subjects, "roleRef": ref}
    )


async def test_rights_are_asked_for_when_the_api_server_vouches(vouched: Bench) -> None:
    """Who may promote promotes, who may only pause does not; whoever paused may resume."""
    acts = [
        (an_act("promote", scope="step", requestedBy={"username": "ben"}), "Refused.Forbidden"),
        (an_act("promote", scope="step"), "Applied.Stepped"),
        (an_act("pause", requestedBy={"username": "ben"}), "Applied.Paused"),
        (an_act("resume"), "Refused.Forbidden"),
        (an_act("resume", requestedBy={"username": "ben"}), "Applied.Resumed"),
    ]
    for act, code in acts:
        await vouched.lab.add(act)
        await vouched.tick()
        status = await result_of(vouched, act)
        assert (status["identity"], status["code"]) == ("Verified", code)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        pytest.param(
            ADMISSION_POLICY, {"spec": {"validations": POLICY["spec"]["validations"][1:]}}, id="weaker"
        ),
        pytest.param(ADMISSION_POLICY, {"spec": {"matchConditions": [{"name": "x"}]}}, id="an exception"),
        pytest.param(ADMISSION_BINDING, {"spec": {"validationActions": ["Warn"]}}, id="only warns"),
        pytest.param(
            ADMISSION_BINDING,
            {"spec": {"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}},
            id="not everywhere",
        ),
        pytest.param(
            ADMISSION_POLICY,
            {"spec": {"matchConstraints": {"objectSelector": {"matchLabels": {"a": "b"}}}}},
            id="not for all",
        ),
        pytest.param(ADMISSION_BINDING, None, id="no binding"),
    ],
)
async def test_a_policy_that_vouches_for_nobody(vouched: Bench, kind: Kind, change: Object | None) -> None:
    """A policy that is not in force as we ship it leaves acts unverified."""
    name = POLICY["metadata"]["name"]
    if change is None:
        await vouched.lab.client.delete(kind, name)
    else:
        await vouched.lab.client.patch(kind, name, None, change)
    act = await vouched.lab.add(an_act("promote", scope="step"))
    await vouched.tick()
    assert (await result_of(vouched, act))["code"] == "Refused.Unverified"


async def test_an_act_that_is_older_than_the_policy(lab: Lab) -> None:
    """Nobody checked who wrote it."""
    for kind, obj in ((ADMISSION_POLICY, POLICY), (ADMISSION_BINDING, BINDING)):
        await lab.client.create(CRD, a_definition(kind))

        async def stored(kind: Kind = kind, obj: Object = obj) -> Object:
            return await lab.client.create(kind, copy.deepcopy(obj))

        await until(stored, f"{kind.kind} is stored")
    found = await vouching(lab.client)

    assert found.identity("2020-01-01T00:00:00Z") == "Unverified"
    assert found.identity(found.since) == "Unverified"
    assert found.identity("2100-01-01T00:00:00Z") == "Verified"


async def test_a_hold_by_annotation(acting: Bench) -> None:
    """`kubectl annotate` pauses with a reason, and resumes by taking it away."""
    await acting.lab.change(CANARY, {"metadata": {"annotations": {HOLD: "incident 812"}}})
    await acting.tick()
    await acting.tick()
    assert await acting.weights() == [80, 20]
    halts = [text for text in await acting.told() if "waiting for traffic increase approval pause" in text]
    assert len(halts) == 1
    assert (await release(acting))["current"]["pause"] == {"reason": "incident 812"}
    await acting.lab.change(CANARY, {"metadata": {"annotations": {HOLD: None}}})
    await acting.tick()
    assert await acting.weights() == [60, 40]


def a_request(**request: Any) -> Object:
    """The annotation that asks for something."""
    return {"metadata": {"annotations": {REQUEST: json.dumps(request)}}}


async def test_a_request_by_annotation(bench: Bench) -> None:
    """The answer is in another annotation; it is done once, and only what is safe."""
    await running(bench)
    await bench.lab.change(CANARY, a_request(id="7f3a", action="abort", run=1, by="ana", reason="wrong flag"))
    await bench.tick()
    stored = await bench.lab.get(CANARY)
    response = json.loads(annotations_of(stored)[RESPONSE])
    assert {"id": "7f3a", "state": "Applied", "code": "Applied.Aborted"}.items() <= response.items()
    assert stored["status"]["phase"] == "Failed"
    assert "W: Rolling back checkout.shop aborted by ana: wrong flag" in await bench.told()
    bench.lab.sent.clear()
    await bench.tick()
    assert bench.lab.sent == []
    await bench.lab.change(CANARY, a_request(id="7f3b", action="retry", run=1, by="ana"))
    await bench.tick()
    response = json.loads(annotations_of(await bench.lab.get(CANARY))[RESPONSE])
    assert (response["id"], response["code"]) == ("7f3b", "Refused.Unverified")


@pytest.mark.parametrize("text", ["{", "[]", '{"action": "explode"}', '{"action": 3, "id": "x"}'])
async def test_a_request_that_cannot_be_read(bench: Bench, text: str) -> None:
    """It is refused with what is wrong, and the release goes on."""
    await running(bench)
    await bench.lab.change(CANARY, {"metadata": {"annotations": {REQUEST: text}}})
    await bench.tick()
    response = json.loads(annotations_of(await bench.lab.get(CANARY))[RESPONSE])
    assert (response["state"], response["code"]) == ("Refused", "Refused.Invalid")
    assert await bench.weights() == [60, 40]


async def test_a_move_costs_one_more_write_where_it_is_recorded(acting: Bench) -> None:
    """The route, the status, the Event, the Release; at rest nothing, and no kind of ours is read."""
    await acting.tick()
    assert acting.lab.writes() == [
        "PATCH httproutes/checkout",
        "PATCH canaries/checkout/status",
        "PATCH releases/checkout/status",
        "POST events",
    ]
    while (await acting.status())["phase"] != "Succeeded":
        await acting.tick()
        for name in ("checkout", "checkout-primary"):
            await acting.lab.rolled_out(name)
    acting.lab.sent.clear()
    assert await acting.tick() is None
    assert acting.lab.sent == []


async def test_what_becomes_of_runs(acting: Bench) -> None:
    """One that another revision overtook, one whose target went back, one that failed, one that was promoted."""
    lab = acting.lab
    await acting.push("podinfo:3")
    await acting.tick()
    await lab.change(DEPLOYMENT, {"spec": {"template": a_target()["spec"]["template"]}})
    await lab.rolled_out("checkout")
    await acting.tick()
    await acting.push("podinfo:4")
    acting.metrics.rate = 90.0
    for _ in range(6):
        await acting.tick()
        await lab.rolled_out("checkout")
    acting.metrics.rate = 100.0
    await acting.push("podinfo:5")
    for _ in range(9):
        await acting.tick()
        for name in ("checkout", "checkout-primary"):
            await lab.rolled_out(name)

    runs = (await release(acting))["runs"]

    assert [(run["number"], run["result"]) for run in runs] == [
        (4, "promoted"),
        (3, "failed"),
        (2, "cancelled"),
        (1, "superseded"),
    ]
    assert [run["weight"] for run in runs] == [80, 20, 0, 20]
    assert all("ended" in run for run in runs[:3])


async def test_the_gates_of_a_release(lab: Lab) -> None:
    """Who has approved, and how many are needed."""
    hooks = [{"name": "board", "type": "confirm-promotion", "url": "gate://promotion?approvals=2"}]
    async with a_bench(lab, unverified_actions="all") as bench:
        await running(await serving(bench), analysis={**WEIGHTED, "webhooks": hooks})
        await lab.add(an_act("approve"))
        await bench.tick()
        (gate,) = (await release(bench))["current"]["gates"]
    assert gate == {
        "name": "board",
        "type": "confirm-promotion",
        "native": True,
        "required": 2,
        "approvals": [{"by": "ana", "at": format_time(bench.now)}],
    }


async def test_a_record_that_cannot_be_written_holds_up_nothing(acting: Bench) -> None:
    """The kind may be taken away while a release runs; it is looked for again."""
    await acting.lab.client.delete(CRD, RELEASE.resource)
    await acting.tick()
    assert await acting.weights() == [60, 40]


async def test_a_canary_that_never_ran_has_no_release(lab: Lab) -> None:
    """The record begins with the first run or act."""
    async with a_bench(lab) as bench:
        await serving(bench)
        await bench.initialized(a_target(), a_canary(analysis=WEIGHTED))
        await bench.tick()
        assert (await lab.client.list(RELEASE, SHOP)).items == []
        await lab.add(an_act("pause"))
        await bench.tick()
        assert (await release(bench))["current"]["pause"]["by"] == "ana"


@pytest.fixture
async def plain_lab() -> AsyncIterator[Lab]:
    """A cluster without any kind of ours but the Canary."""
    ours = [item for item in the_definitions() if item["spec"]["names"]["plural"] not in OURS]
    async with a_lab(ours) as found:
        yield found


async def test_a_cluster_without_our_kinds_is_left_in_peace(plain_lab: Lab) -> None:
    """A whole run asks for no ReleaseAction and no Release; nothing but the group itself is looked for."""
    lab = plain_lab
    async with a_bench(lab) as bench:
        await running(await serving(bench))
        lab.sent.clear()
        for _ in range(6):
            await bench.tick()
            for name in ("checkout", "checkout-primary"):
                await lab.rolled_out(name)
        await sweep(bench.world)
        assert (await bench.status())["phase"] == "Succeeded"
    assert not [brief(request) for request in lab.sent if any(kind in request.path for kind in OURS)]


async def test_the_kinds_may_come_later(plain_lab: Lab) -> None:
    """Once they are installed, acts are followed, and what was created meanwhile is found."""
    lab = plain_lab
    async with a_bench(lab, unverified_actions="all") as bench:
        await running(await serving(bench))
        for item in the_definitions():
            if item["spec"]["names"]["plural"] in OURS:
                await lab.client.create(CRD, item)

        async def made() -> Object:
            return await lab.client.create(RELEASE_ACTION, an_act("pause"))

        act = await until(made, "ReleaseActions are served")
        await serving(bench)
        await until(lambda: bench.world.acts.waiting(f"{SHOP}/checkout"), "the act is seen")
        await bench.tick()
        assert (await result_of(bench, act))["state"] == "Applied"
        assert (await release(bench))["current"]["phase"] == "Progressing"


async def test_an_act_wakes_its_canary_at_once(lab: Lab) -> None:
    """Nobody waits for the interval; the pace of the analysis is not changed by an act that moves nothing."""
    await lab.add(a_target(), a_canary(analysis={**WEIGHTED, "interval": "60s"}))
    async with an_operator(lab, unverified_actions="all"):
        for name in ("checkout-primary", "checkout"):
            await rolling(lab, name)
        await phase_is(lab, "Initialized")
        await rolling(lab, "checkout")
        await lab.change(DEPLOYMENT, image(2))
        await phase_is(lab, "Progressing")
        await rolling(lab, "checkout")

        async def at(*weights: int) -> bool:
            return weights_of(await lab.get(ROUTE)) == [*weights]

        await until(lambda: at(80, 20), "the first step")

        async def decided(act: Object) -> Object:
            await lab.client.create(RELEASE_ACTION, act)

            async def known() -> Object:
                found = await lab.get(RELEASE_ACTION, act["metadata"]["name"])
                return found if found.get("status", {}).get("state") == "Applied" else {}

            return await until(known, f"{act['spec']['action']} is applied", within=5.0)

        await decided(an_act("pause", expiresAt=None))
        await decided(an_act("resume", expiresAt=None))
        assert await at(80, 20)
        await decided(an_act("promote", scope="step", expiresAt=None))
        assert await at(60, 40)


async def rolling(lab: Lab, name: str) -> None:
    """Report a rollout as done, once there is something to report on."""

    async def reported() -> Object:
        return await lab.rolled_out(name)

    await until(reported, f"{name} is rolled out")


async def test_a_pause_and_its_end_by_annotation_wake_the_canary(lab: Lab) -> None:
    """So does a request."""
    await lab.add(a_target(), a_canary(analysis={**WEIGHTED, "interval": "60s"}))
    async with an_operator(lab):
        for name in ("checkout-primary", "checkout"):
            await rolling(lab, name)
        await phase_is(lab, "Initialized")
        await lab.change(CANARY, a_request(id="1", action="pause", by="ana"))

        async def answered() -> bool:
            return RESPONSE in annotations_of(await lab.get(CANARY))

        await until(answered, "the request is answered", within=5.0)


async def test_old_acts_go(acting: Bench) -> None:
    """Decided acts are deleted after 30 days, or beyond 50; what waits stays."""
    lab = acting.lab
    for number in range(KEPT + 3):
        act = await lab.add(an_act("pause"))
        at = START - (timedelta(days=40) if number == KEPT else timedelta(minutes=number))
        body = {"status": {"state": "Applied", "at": format_time(at)}}
        await lab.change(RELEASE_ACTION, body, act["metadata"]["name"], subresource="status")
    waits = await lab.add(an_act("resume"))

    await sweep(acting.world)

    left = (await lab.client.list(RELEASE_ACTION, SHOP)).items
    assert len(left) == KEPT + 1
    assert waits["metadata"]["name"] in [item["metadata"]["name"] for item in left]


async def test_an_act_for_nobody_is_given_up(acting: Bench) -> None:
    """It is not kept for a Canary that never comes."""
    act = await acting.lab.add(an_act("pause", canary="nobody"))
    acting.now = START + timedelta(days=4000)

    await sweep(acting.world)

    assert (await result_of(acting, act))["code"] == "Expired.NoCanary"


class Killed(BaseException):
    """The process is gone."""


def dies(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies when it comes to a step of the tick."""

    async def die(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(ticking, where, die)


@pytest.mark.parametrize("where", ["perform", "commit", "answer"])
@pytest.mark.parametrize(
    ("spec", "end"),
    [
        ({"action": "promote", "scope": "step"}, ("Progressing", [60, 40], 40)),
        ({"action": "promote"}, ("Promoting", [80, 20], 20)),
        ({"action": "abort"}, ("Failed", [100, 0], 0)),
    ],
    ids=["step", "promote", "abort"],
)
async def test_a_crash_applies_an_act_once(
    acting: Bench,
    where: str,
    spec: dict[str, str],
    end: tuple[str, list[int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the effects, before the status, before the result: the next process comes to the same end."""
    act = await acting.lab.add(an_act(**spec))
    with monkeypatch.context() as patched:
        dies(where, patched)
        with suppress(Killed):
            await acting.tick()
    acting.restart()
    if where == "commit":
        await acting.lab.rolled_out("checkout-primary")
    if where == "answer":  # what it would have done anyway must not hide a second application
        await acting.lab.change(CANARY, {"metadata": {"annotations": {HOLD: "look at it"}}})

    await acting.tick()

    status = await acting.status()
    assert (status["phase"], await acting.weights(), status["canaryWeight"]) == end
    assert (await result_of(acting, act))["state"] == "Applied"
    assert len(status["run"]["acts"]) == 1


@pytest.mark.parametrize("where", ["perform", "commit", "answer"])
async def test_a_crash_retries_once(acting: Bench, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One new run comes of one retry, whenever the process dies."""
    await acting.lab.add(an_act("abort"))
    await acting.tick()
    act = await acting.lab.add(an_act("retry"))
    with monkeypatch.context() as patched:
        dies(where, patched)
        with suppress(Killed):
            await acting.tick()
    acting.restart()

    await acting.tick()

    status = await acting.status()
    assert (status["phase"], status["run"]["number"]) == ("Progressing", 2)
    assert (await result_of(acting, act))["code"] == "Applied.Retried"


@pytest.fixture
def without_run() -> Callable[[], list[Object]]:
    """Definitions of which the Canary's is upstream's: it drops the record of a run."""

    def definitions() -> list[Object]:
        found = copy.deepcopy(the_definitions())
        for definition in found:
            schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            schema["properties"].get("status", {}).get("properties", {}).pop("run", None)
        return found

    return definitions


async def test_a_retry_where_the_record_is_kept_apart(
    without_run: Callable[[], list[Object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is written first: a process that dies before the phase is written finishes that very start."""
    async with a_lab(without_run()) as lab, a_bench(lab, unverified_actions="all") as bench:
        await running(await serving(bench))
        await lab.add(an_act("pause"), an_act("abort"))
        await bench.tick()
        act = await lab.add(an_act("retry"))
        await lab.add(an_act("resume"))
        written = type(lab.cluster).patch

        async def half(self: Any, *args: Any, **options: Any) -> Object:
            if options.get("subresource") == "status" and args[0] == CANARY:
                raise Killed
            return await written(self, *args, **options)

        with monkeypatch.context() as patched:
            patched.setattr(type(lab.cluster), "patch", half)
            with suppress(Killed):
                await bench.tick()
        assert (await bench.status())["phase"] == "Failed"
        bench.restart()

        await bench.tick()

        stored = await lab.get(CANARY)
        record = json.loads(annotations_of(stored)["release.flagger.app/run"])
        assert (stored["status"]["phase"], record["number"]) == ("Progressing", 2)
        assert "run" not in stored["status"]
        assert (await result_of(bench, act))["code"] == "Applied.Retried"
