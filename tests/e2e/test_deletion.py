"""Canaries that are deleted while users are there."""

import asyncio

import pytest

from flagger.demo.scene import CANARY
from flagger.demo.traffic import Users
from flagger.kube.errors import NotFound
from flagger.kube.objects import DEPLOYMENT, SERVICE, Kind, Object, uid_of
from tests.e2e.manifests import a_canary, a_deployment
from tests.e2e.stage import HTTP_ROUTE, Stage, eventually

pytestmark = pytest.mark.sandbox

AFTERWARDS = 40  # requests: a second of users


def a_service(name: str) -> Object:
    ports = [{"name": "http", "port": 9898, "targetPort": 9898}]
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def a_route(name: str) -> Object:
    rule = {"backendRefs": [{"name": name, "port": 9898}]}
    return {
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {"parentRefs": [{"name": "public"}], "hostnames": [f"{name}.example"], "rules": [rule]},
    }


async def created(stage: Stage, kind: Kind, obj: Object) -> Object:
    return await stage.client.create(
        kind, {**obj, "metadata": {**obj["metadata"], "namespace": stage.namespace}}
    )


async def is_gone(stage: Stage, kind: Kind, name: str) -> bool:
    try:
        await stage.client.get(kind, name, stage.namespace)
    except NotFound:
        return True
    return False


async def goes_on(users: Users) -> None:
    """Wait for some more answers from pods."""
    before = by_pods(users)
    await eventually(lambda: by_pods(users) >= before + AFTERWARDS, "users go on")


def by_pods(users: Users) -> int:
    return users.act.primary + users.act.canary


def all_were_served(users: Users) -> None:
    """Since the act began: by a pod, and without an error."""
    assert users.act.problems == {}
    assert users.act.answered == by_pods(users) > 0


async def test_with_revert_everything_is_as_it_was(stage: Stage) -> None:
    """Users notice neither that a Canary takes over their Service and route nor that it hands both back."""
    await created(stage, DEPLOYMENT, a_deployment("guest", replicas=2))
    service = await created(stage, SERVICE, a_service("guest"))
    route = await created(stage, HTTP_ROUTE, a_route("guest"))
    async with stage.users("guest.example") as users:
        await goes_on(users)
        users.new_act()
        await created(stage, CANARY, a_canary("guest", spec={"revertOnDeletion": True}))
        await stage.phase("guest", "Initialized")
        await goes_on(users)
        assert (await stage.client.get(SERVICE, "guest", stage.namespace))["spec"] != service["spec"]

        await stage.client.delete(CANARY, "guest", stage.namespace)
        await eventually(lambda: is_gone(stage, CANARY, "guest"), "the Canary is gone")
        await goes_on(users)

    all_were_served(users)
    target = await stage.client.get(DEPLOYMENT, "guest", stage.namespace)
    assert (target["spec"]["replicas"], target["status"]["availableReplicas"]) == (2, 2)
    assert (await stage.client.get(SERVICE, "guest", stage.namespace))["spec"] == service["spec"]
    assert (await stage.client.get(HTTP_ROUTE, "guest", stage.namespace))["spec"] == route["spec"]
    for kind, name in ((DEPLOYMENT, "guest-primary"), (SERVICE, "guest-primary"), (SERVICE, "guest-canary")):
        assert await is_gone(stage, kind, name)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_without_revert_what_serves_goes_on_serving(stage: Stage, propagation: str) -> None:
    """The garbage collector leaves it alone; the next Canary takes it over, restarts nothing, and releases."""
    await stage.release("left", deployment=a_deployment("left", replicas=2))
    primary = await stage.client.get(DEPLOYMENT, "left-primary", stage.namespace)
    async with stage.users("left.example") as users:
        await stage.client.delete(CANARY, "left", stage.namespace, propagation=propagation)
        await eventually(lambda: is_gone(stage, CANARY, "left"), "the Canary is gone")
        for kind, name in ((DEPLOYMENT, "left-primary"), (SERVICE, "left"), (HTTP_ROUTE, "left")):
            await eventually(
                lambda kind=kind, name=name: owners_of(stage, kind, name, 1), f"{name} has one owner"
            )
        await goes_on(users)
        all_were_served(users)

        stage.history["left"].clear()
        await stage.apply(a_canary("left"))
        await stage.phase("left", "Initialized")
        after = await stage.client.get(DEPLOYMENT, "left-primary", stage.namespace)
        assert (uid_of(after), after["spec"]) == (uid_of(primary), primary["spec"])
        await stage.push("left", "1.1.0")
        await stage.phase("left", "Succeeded")

    all_were_served(users)
    assert users.act.canary > 0
    assert await owners_of(stage, SERVICE, "left", 2)


async def test_the_target_takes_along_what_was_left(stage: Stage) -> None:
    """Once neither the Canary nor its target is there, nothing of theirs is."""
    await stage.release("both")
    await stage.client.delete(CANARY, "both", stage.namespace)
    await stage.client.delete(DEPLOYMENT, "both", stage.namespace)

    await asyncio.gather(
        *(
            eventually(lambda kind=kind, name=name: is_gone(stage, kind, name), f"{kind.kind} {name} is gone")
            for kind, name in (
                (DEPLOYMENT, "both-primary"),
                (SERVICE, "both"),
                (SERVICE, "both-canary"),
                (HTTP_ROUTE, "both"),
            )
        )
    )


async def owners_of(stage: Stage, kind: Kind, name: str, number: int) -> bool:
    """Whether an object has that many owners."""
    found = await stage.client.get(kind, name, stage.namespace)
    return len(found["metadata"].get("ownerReferences") or ()) == number
