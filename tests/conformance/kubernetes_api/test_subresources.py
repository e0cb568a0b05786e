"""Scale, binding, eviction, logs and the like."""

from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import deployment, pod, widget
from tests.conformance.kubernetes_api.servers import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Api

Object = dict[str, Any]


@pytest.fixture
async def basket(api: Api) -> str:
    """The path of a Deployment with two replicas."""
    await api.create("deployments", deployment("basket"), group="apps/v1")
    return api.path("deployments", "basket", group="apps/v1")


async def test_scale(api: Api, basket: str) -> None:
    """/scale shows and changes the replicas, and the generation with them."""
    scale = (await api.get(f"{basket}/scale")).ok()
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 0, "selector": "app=basket"}

    changed = (await api.patch(f"{basket}/scale", {"spec": {"replicas": 3}})).ok()
    assert changed["spec"] == {"replicas": 3}
    whole = (await api.get(basket)).ok()
    assert (whole["spec"]["replicas"], whole["metadata"]["generation"]) == (3, 2)
    assert changed["metadata"]["resourceVersion"] == whole["metadata"]["resourceVersion"]

    (await api.put(f"{basket}/scale", changed | {"spec": {"replicas": 1}}, headers={"Content-Type": ""})).ok()
    assert (await api.get(basket)).ok()["spec"]["replicas"] == 1
    body = (await api.put(f"{basket}/scale", changed)).failed(409, "Conflict")
    assert body["details"]["kind"] == "deployments"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MERGE_PATCH, {"spec": {"replicas": 7}}),
        (STRATEGIC_PATCH, {"spec": {"replicas": 7}}),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 7}]),
    ],
)
async def test_patches_of_scale(api: Api, basket: str, kind: str, body: Any) -> None:
    """All patches of built-in kinds work."""
    assert (await api.patch(f"{basket}/scale", body, kind)).ok()["spec"]["replicas"] == 7


async def test_scale_is_not_negative(api: Api, basket: str) -> None:
    """Fewer than no replicas are 422 on the Scale."""
    reply = await api.patch(f"{basket}/scale", {"spec": {"replicas": -1}})

    assert reply.failed(422, "Invalid")["details"]["kind"] == "Scale"
    assert reply.cause_fields() == ["spec.replicas"]


async def test_daemon_sets_have_no_scale(api: Api) -> None:
    """/scale of a kind without it is 404."""
    assert (await api.get(api.path("daemonsets", "x/scale", group="apps/v1"))).status == 404


async def test_scale_of_a_custom_resource(api: Api, widgets: str) -> None:
    """The definition says where the replicas are; strategic patches do not work here either."""
    await api.create("widgets", widget(widgets.removesuffix("/v1")), group=widgets)
    path = api.path("widgets", "one", group=widgets)
    (await api.patch(f"{path}/status", {"status": {"replicas": 1, "selector": "app=x"}})).ok()

    scale = (await api.patch(f"{path}/scale", {"spec": {"replicas": 5}})).ok()

    assert scale["spec"] == {"replicas": 5}
    assert scale["status"] == {"replicas": 1, "selector": "app=x"}
    whole = (await api.get(path)).ok()
    assert (whole["spec"]["replicas"], whole["metadata"]["generation"]) == (5, 2)
    assert (await api.patch(f"{path}/scale", {"spec": {"replicas": 6}}, STRATEGIC_PATCH)).status == 415


async def test_binding(api: Api) -> None:
    """A pod is bound once."""
    await api.create("pods", pod())
    path = api.path("pods", "web")

    reply = await api.post(
        f"{path}/binding", {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n1"}}
    )
    assert (reply.status, reply.body["status"]) == (201, "Success")
    bound = (await api.get(path)).ok()
    assert bound["spec"]["nodeName"] == "n1"
    [scheduled] = [item for item in bound["status"]["conditions"] if item["type"] == "PodScheduled"]
    assert scheduled["status"] == "True"
    reply = await api.post(
        f"{path}/binding", {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n2"}}
    )
    assert 'already assigned to node "n1"' in reply.failed(409, "Conflict")["message"]


async def policy_version(api: Api) -> str:
    """The version that the server has of the policy group."""
    return "policy/v1" if api.server.since(22) else "policy/v1beta1"


async def running(api: Api, name: str, **labels: str) -> str:
    """Create a bound, running pod; returns its path."""
    await api.create("pods", pod(name, labels=labels))
    path = api.path("pods", name)
    await api.post(f"{path}/binding", {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}})
    ready = [{"type": "Ready", "status": "True"}]
    (await api.patch(f"{path}/status", {"status": {"phase": "Running", "conditions": ready}})).ok()
    return path


async def test_eviction(api: Api) -> None:
    """An eviction deletes a pod gracefully."""
    path = await running(api, "web")
    body = {"apiVersion": await policy_version(api), "kind": "Eviction", "metadata": {"name": "web"}}

    reply = await api.post(f"{path}/eviction", body)

    assert (reply.status, reply.body["status"]) == (201, "Success")
    assert (await api.get(path)).ok()["metadata"]["deletionGracePeriodSeconds"] == 30


async def test_a_budget_forbids_an_eviction(api: Api) -> None:
    """A disruption budget that allows none makes it 429."""
    path, version = await running(api, "web", app="web"), await policy_version(api)
    budget = {
        "metadata": {"name": "pdb"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    await api.create("poddisruptionbudgets", budget, group=version)
    counts = {
        "disruptionsAllowed": 0,
        "currentHealthy": 1,
        "desiredHealthy": 1,
        "expectedPods": 1,
        "observedGeneration": 1,
    }
    where = api.path("poddisruptionbudgets", "pdb/status", group=version)
    (await api.patch(where, {"status": counts})).ok()

    body = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": "web"}}
    reply = await api.post(f"{path}/eviction", body)

    assert "disruption budget" in reply.failed(429, "TooManyRequests")["message"]
    assert reply.causes[0]["reason"] == "DisruptionBudget"
    assert "deletionTimestamp" not in (await api.get(path)).ok()["metadata"]


@pytest.mark.parametrize(
    ("params", "status", "text"),
    [
        ({}, 400, "a container name must be specified for pod two, choose one of: [a b]"),
        ({"container": "zz"}, 400, "container zz is not valid for pod two"),
        ({"container": "a", "tailLines": "-1"}, 422, "tailLines"),
    ],
)
async def test_logs_of_several_containers(api: Api, params: dict[str, str], status: int, text: str) -> None:
    """Logs need to know which container is meant."""
    await api.create("pods", pod("two", [{"name": name, "image": "x:1"} for name in "ab"]))

    reply = await api.get(api.path("pods", "two/log"), params=params)

    assert text in reply.failed(status)["message"]


@pytest.mark.parametrize("name", ["exec", "attach", "portforward"])
async def test_upgrades(api: Api, name: str) -> None:
    """Streams into a pod need a protocol upgrade."""
    path = await running(api, "web")

    assert (await api.post(f"{path}/{name}?command=ls", {})).status >= 400


async def test_the_old_binding(api: Api) -> None:
    """Bindings can be posted as objects of their own."""
    await api.create("pods", pod())
    binding = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n1"}}

    assert (await api.post(api.path("bindings"), binding)).status == 201

    assert (await api.get(api.path("pods", "web"))).ok()["spec"]["nodeName"] == "n1"
