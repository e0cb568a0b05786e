"""Services know the addresses of their pods, with our controllers and with the real ones."""

from typing import Any

import pytest

from flagger.kube.objects import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    POD,
    SERVICE,
    Kind,
    Object,
    labels_of,
    name_of,
)
from flagger.sandbox.controllers.controllers import BETA_SLICE
from flagger.sandbox.controllers.discovery import served
from tests.sandbox.controllers.world import World, a_deployment, a_template, until


def a_service(**spec: Any) -> Object:
    """A Service `web` with a named target port."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "metadata": {"name": "web", "labels": {"tier": "front"}},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


@pytest.fixture
async def slices(world: World) -> Kind:
    """EndpointSlices in the version that the server has."""
    return await served(world.client, ENDPOINT_SLICE, BETA_SLICE)


async def addresses(world: World) -> tuple[list[str], list[str]]:
    """Ready and unready addresses in the Endpoints object, sorted."""
    subsets = (await world.get(ENDPOINTS, "web")).get("subsets") or []
    ready = [address["ip"] for subset in subsets for address in subset.get("addresses") or ()]
    unready = [address["ip"] for subset in subsets for address in subset.get("notReadyAddresses") or ()]
    return sorted(ready), sorted(unready)


async def in_slices(world: World, kind: Kind) -> list[tuple[str, bool]]:
    """Address and readiness of each endpoint in the slices, sorted; those on their way out are left out."""
    slices = await world.all(kind, "kubernetes.io/service-name=web")
    endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or ()]
    return sorted(
        (endpoint["addresses"][0], endpoint["conditions"]["ready"])
        for endpoint in endpoints
        if not endpoint["conditions"].get("terminating")
    )


async def test_lists_ready_and_unready_pods_apart(world: World, slices: Kind) -> None:
    """A pod moves from one list to the other with its readiness, and leaves when it is deleted."""
    await world.create(SERVICE, a_service())
    await world.create(DEPLOYMENT, a_deployment())
    await world.deployed()
    first, second = sorted(pod["status"]["podIP"] for pod in await world.pods())

    async def both() -> bool:
        wanted = [(first, True), (second, True)]
        return await addresses(world) == ([first, second], []) and await in_slices(world, slices) == wanted

    await until(both, "both are ready")
    (pod,) = [pod for pod in await world.pods() if pod["status"]["podIP"] == second]
    unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    await world.patch(POD, name_of(pod), unready, subresource="status")

    async def one() -> bool:
        wanted = [(first, True), (second, False)]
        return await addresses(world) == ([first], [second]) and await in_slices(world, slices) == wanted

    await until(one, "one is not ready")
    await world.client.delete(POD, name_of(pod), world.namespace)

    async def left() -> bool:
        ready, unready_ones = await addresses(world)
        found = [address for address, _ in await in_slices(world, slices)]
        return second not in ready + unready_ones and second not in found

    await until(left, "the deleted pod has left")


async def test_looks_up_named_ports(world: World, slices: Kind) -> None:
    """The target port is the container's of that name; labels say whose slice it is."""
    await world.create(SERVICE, a_service())
    await world.create(DEPLOYMENT, a_deployment(replicas=1))
    await world.deployed()

    async def filled() -> bool:
        return len((await addresses(world))[0]) == 1 and len(await in_slices(world, slices)) == 1

    await until(filled, "one address")
    (subset,) = (await world.get(ENDPOINTS, "web"))["subsets"]
    (one,) = await world.all(slices)

    assert subset["ports"] == [{"name": "http", "port": 9898, "protocol": "TCP"}]
    reference = subset["addresses"][0]["targetRef"]
    assert (reference["kind"], reference["namespace"]) == ("Pod", world.namespace)
    assert [(port["name"], port["port"]) for port in one["ports"]] == [("http", 9898)]
    labels = labels_of(one)
    assert labels["kubernetes.io/service-name"] == "web"
    assert labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    assert labels["tier"] == labels_of(await world.get(ENDPOINTS, "web"))["tier"] == "front"
    assert one["metadata"]["ownerReferences"][0]["kind"] == "Service"


async def test_publishes_unready_pods_if_asked(world: World, slices: Kind) -> None:
    """`publishNotReadyAddresses` counts every pod as ready."""
    await world.create(SERVICE, a_service(publishNotReadyAddresses=True))
    await world.create(DEPLOYMENT, a_deployment(replicas=1, template=a_template(ready="never")))

    async def published() -> bool:
        return len((await addresses(world))[0]) == 1

    await world.when(ENDPOINTS, "web", lambda _: True, "the object exists")
    await until(published, "the unready pod is listed")


async def test_leaves_services_without_a_selector_alone(world: World, slices: Kind) -> None:
    """Only Services with a selector get endpoints; with the Service they go."""
    await world.create(SERVICE, a_service())
    other = a_service()
    del other["spec"]["selector"]
    await world.create(SERVICE, {**other, "metadata": {"name": "manual"}})
    await world.when(ENDPOINTS, "web", lambda _: True, "endpoints of web")

    await world.client.delete(SERVICE, "web", world.namespace)
    await world.gone(ENDPOINTS, "web")

    async def no_slices() -> bool:
        return not await world.all(slices)

    await until(no_slices, "no slices are left")
    assert await world.all(ENDPOINTS) == []
