"""What Istio has beyond the strategies that all providers share, with real requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from flagger.demo.traffic import Users
from flagger.kube.objects import DEPLOYMENT, SERVICE, Object, annotations_of
from tests.e2e.manifests import a_canary, a_deployment
from tests.e2e.providers.istio import DOOR, GATEWAY, VIRTUAL_SERVICE, a_door, a_gateway
from tests.e2e.providers.setting import PORT
from tests.e2e.stage import Stage, eventually, users_at

pytestmark = pytest.mark.sandbox


def on_istio(name: str, **service: Any) -> Object:
    """A Canary of Istio, in two steps."""
    return a_canary(name, spec={"provider": "istio", "service": {"port": PORT, **service}})


async def open_the_door(stage: Stage) -> None:
    """An ingress gateway."""
    for kind, obj in ((SERVICE, a_door()), (GATEWAY, a_gateway())):
        await stage.client.create(
            kind, {**obj, "metadata": {**obj["metadata"], "namespace": stage.namespace}}
        )


async def write(stage: Stage, name: str, **spec: Any) -> Object:
    """A VirtualService of a user's, as stored."""
    metadata = {"name": name, "namespace": stage.namespace}
    return await stage.client.create(VIRTUAL_SERVICE, {"metadata": metadata, "spec": spec})


async def read(stage: Stage, name: str) -> Object:
    return await stage.client.get(VIRTUAL_SERVICE, name, stage.namespace)


@asynccontextmanager
async def users_of(stage: Stage, service: str, host: str = "") -> AsyncIterator[Users]:
    """Users who call a Service for as long as the block lasts, from when it answers on."""
    spec = (await stage.client.get(SERVICE, service, stage.namespace))["spec"]
    url = f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}/"
    await eventually(lambda: answers(url, host), f"{service} answers {host}")
    async with users_at(url, host or service) as users:
        yield users


async def answers(url: str, host: str) -> bool:
    """Whether a URL answers well under this name."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url, headers={"Host": host} if host else {}) as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


def both(name: str, primary: int | None, canary: int | None, /, **more: Any) -> Object:
    """A route of a user's to both sides of a Canary."""
    sides = ((f"{name}-primary", primary), (f"{name}-canary", canary))
    route = [
        {"destination": {"host": host}, **({} if weight is None else {"weight": weight})}
        for host, weight in sides
    ]
    return {"route": route, **more}


async def test_a_route_of_the_users_in_place(stage: Stage) -> None:
    """Users are divided by the user's own route in mid-run, and afterwards it is byte by byte what it was."""
    await open_the_door(stage)
    before = await write(
        stage,
        "theirs",
        hosts=["inplace.example"],
        gateways=["public"],
        http=[
            both("inplace", 1, None, match=[{"uri": {"prefix": "/api"}}], name="api"),
            both("inplace", 100, 0, headers={"request": {"set": {"x-theirs": "1"}}}),
        ],
    )
    ref = {"apiVersion": VIRTUAL_SERVICE.api_version, "kind": "VirtualService", "name": "theirs"}
    await stage.release("inplace", canary=on_istio("inplace", routeRef=ref))
    assert without_versions(await read(stage, "theirs")) == without_versions(before)

    async with users_of(stage, DOOR, "inplace.example") as users:
        await stage.push("inplace", "1.1.0")
        await stage.phase("inplace", "Progressing")
        await stage.until(lambda: stage.status("inplace")[1] == 50, "inplace is at 50 %")
        held = await read(stage, "theirs")
        await stage.phase("inplace", "Succeeded")

    assert weights(held)[0] == weights(held)[1] != weights(before)[1]
    assert len(annotations_of(held)) == 1
    assert without_versions(await read(stage, "theirs")) == without_versions(before)
    assert stage.weights("inplace") == [0, 20, 50, 0]
    assert (users.total.failed, users.total.problems) == (0, {})
    assert users.total.canary > 0
    names = [
        each["metadata"]["name"] for each in (await stage.client.list(VIRTUAL_SERVICE, stage.namespace)).items
    ]
    assert names == ["theirs"]


def weights(route: Object) -> list[list[int | None]]:
    return [[entry.get("weight") for entry in rule["route"]] for rule in route["spec"]["http"]]


def without_versions(obj: Object) -> Object:
    """An object without what every write changes."""
    changing = {"resourceVersion", "generation", "managedFields"}
    metadata = {key: value for key, value in obj["metadata"].items() if key not in changing}
    return {**obj, "metadata": metadata}


async def test_connections(stage: Stage) -> None:
    """A Service that takes connections of any kind is released by weights as well; nobody is cut off."""
    canary = on_istio("stream", portName="tcp", appProtocol="tcp")
    await stage.release("stream", canary=canary)

    async with users_of(stage, "stream") as users:
        await stage.push("stream", "1.1.0")
        await stage.phase("stream", "Succeeded")

    assert (await read(stage, "stream"))["spec"].keys() == {"hosts", "gateways", "tcp"}
    assert stage.weights("stream") == [0, 20, 50, 0]
    assert users.total.failed == 0


async def test_a_delegate(stage: Stage) -> None:
    """A root VirtualService of the user's passes a host on to the one that the operator writes."""
    await open_the_door(stage)
    root = {"delegate": {"name": "inner"}, "match": [{"uri": {"prefix": "/"}}]}
    await write(stage, "root", hosts=["inner.example"], gateways=["public"], http=[root])
    await stage.release("inner", canary=on_istio("inner", delegation=True))

    async with users_of(stage, DOOR, "inner.example") as users:
        await stage.push("inner", "1.1.0")
        await stage.phase("inner", "Succeeded")

    assert (await read(stage, "inner"))["spec"]["hosts"] == []
    assert users.total.canary > 0
    assert (users.total.failed, users.total.problems) == (0, {})


async def test_routes_that_are_not_there_yet(stage: Stage) -> None:
    """A Canary says which route is missing or lacks its Services, and waits; the target serves meanwhile."""
    ref = {"apiVersion": VIRTUAL_SERVICE.api_version, "kind": "VirtualService", "name": "late"}
    await stage.apply(a_deployment("patient"), on_istio("patient", routeRefs=[ref]))
    await stage.until(lambda: said(stage, "VirtualService late"), "the missing route is told")
    target = await stage.client.get(DEPLOYMENT, "patient", stage.namespace)
    assert target["spec"]["replicas"] == 1

    route = {"route": [{"destination": {"host": "patient-primary"}}]}
    await write(stage, "late", hosts=["patient"], http=[route])
    await stage.until(lambda: said(stage, "has no list of destinations"), "the lacking Service is told")
    body = {"spec": {"http": [both("patient", 100, 0)]}}
    await stage.client.patch(VIRTUAL_SERVICE, "late", stage.namespace, body)

    await stage.phase("patient", "Initialized")
    async with users_of(stage, "patient") as users:
        await stage.push("patient", "1.1.0")
        await stage.phase("patient", "Succeeded")
    assert users.total.failed == 0


def said(stage: Stage, text: str) -> bool:
    return any(text in event for event in stage.told["patient"])
