"""A Canary that upstream has operated, while users are there."""

import pytest

from flagger.demo.scene import CANARY
from flagger.kube.objects import DEPLOYMENT, POD, SERVICE, Kind, Object, uid_of
from tests.e2e.manifests import a_canary, a_deployment
from tests.e2e.stage import HTTP_ROUTE, Stage, eventually

pytestmark = pytest.mark.sandbox

STATUS = {
    "phase": "Succeeded",
    "canaryWeight": 0,
    "failedChecks": 0,
    "iterations": 0,
    "lastAppliedSpec": "76b9845d5f",
    "lastPromotedSpec": "76b9845d5f",
    "trackedConfigs": {},
}


def a_primary(name: str) -> Object:
    """As upstream makes it."""
    primary = a_deployment(name, replicas=2)
    labels = {"app": f"{name}-primary"}
    primary["metadata"] = {"name": f"{name}-primary", "labels": labels}
    primary["spec"]["selector"] = {"matchLabels": labels}
    metadata = primary["spec"]["template"]["metadata"]
    metadata["labels"] = labels
    metadata["annotations"]["flagger-id"] = "5b0c6c0e-9d1f-4f0e-8f5e-0d2f3a7e1c11"
    return primary


def services(name: str) -> list[tuple[Kind, Object]]:
    """The three of upstream, and its route."""
    ports = [{"name": "http", "port": 9898, "protocol": "TCP", "targetPort": 9898}]
    pods = {name: f"{name}-primary", f"{name}-primary": f"{name}-primary", f"{name}-canary": name}
    made: list[tuple[Kind, Object]] = [
        (SERVICE, {"metadata": {"name": service}, "spec": {"selector": {"app": label}, "ports": ports}})
        for service, label in pods.items()
    ]
    sides = ((f"{name}-primary", 100), (f"{name}-canary", 0))
    backends = [{"name": side, "port": 9898, "weight": weight} for side, weight in sides]
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}
    spec = {"parentRefs": [{"name": "public"}], "hostnames": [f"{name}.example"], "rules": [rule]}
    return [*made, (HTTP_ROUTE, {"metadata": {"name": name}, "spec": spec})]


async def pods_of(stage: Stage, name: str) -> dict[str, int]:
    """Identity and number of restarts of each pod."""
    found = await stage.client.list(POD, stage.namespace, labels=f"app={name}")
    return {
        uid_of(pod): sum(item["restartCount"] for item in pod["status"].get("containerStatuses", ()))
        for pod in found.items
    }


async def test_no_pod_is_restarted(stage: Stage) -> None:
    """Created suspended and let go, as the recipe says: no run, no new pod; then a release like any other."""
    canary = a_canary("heir", spec={"suspend": True})
    canary["metadata"]["namespace"] = stage.namespace
    stored = await stage.client.create(CANARY, canary)
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "heir", "uid": uid_of(stored)}
    made = [(DEPLOYMENT, a_primary("heir")), *services("heir")]
    for kind, obj in [(DEPLOYMENT, a_deployment("heir", replicas=0)), *made]:
        obj["metadata"] |= {"namespace": stage.namespace}
        if (kind, obj) in made:
            obj["metadata"]["ownerReferences"] = [{**owner, "controller": True, "blockOwnerDeletion": True}]
        await stage.client.create(kind, obj)
    await stage.client.patch(CANARY, "heir", stage.namespace, {"status": STATUS}, subresource="status")
    await eventually(lambda: rolled_out(stage), "the primary is there")
    before = await pods_of(stage, "heir-primary")

    async with stage.users("heir.example") as users:
        await eventually(lambda: users.total.primary > 0, "users are served")
        users.new_act()
        await stage.client.patch(CANARY, "heir", stage.namespace, {"spec": {"suspend": False}})
        await eventually(lambda: adopted(stage), "it is adopted")
        await eventually(lambda: users.act.primary > 40, "users go on")
        assert await pods_of(stage, "heir-primary") == before
        assert await pods_of(stage, "heir") == {}
        assert stage.status("heir")[0] == "Succeeded"

        stage.history["heir"].clear()
        await stage.push("heir", "1.1.0")
        await stage.phase("heir", "Progressing")
        await stage.phase("heir", "Succeeded")

    assert users.act.problems == {}
    assert stage.weights("heir") == [0, 20, 50, 0]
    assert users.act.canary > 0


async def rolled_out(stage: Stage) -> bool:
    primary = await stage.client.get(DEPLOYMENT, "heir-primary", stage.namespace)
    return bool(primary.get("status", {}).get("availableReplicas", 0) == 2)


async def adopted(stage: Stage) -> bool:
    status = (await stage.canary("heir"))["status"]
    return bool(status["lastAppliedSpec"] == status["lastPromotedSpec"] != STATUS["lastAppliedSpec"])
