"""Namespaces begin with what pods need and end empty, with our controllers and with the real ones."""

from flagger.kube.objects import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SERVICE_ACCOUNT, Object
from tests.sandbox.controllers.world import World, a_deployment, condition, until


async def test_a_new_namespace_has_its_defaults(world: World) -> None:
    """A service account, and the certificate authority; they come back when they are deleted."""
    await world.when(SERVICE_ACCOUNT, "default", lambda _: True, "the service account exists")
    root = await world.when(CONFIG_MAP, "kube-root-ca.crt", lambda _: True, "the CA exists")
    assert "ca.crt" in root["data"]

    await world.client.delete(SERVICE_ACCOUNT, "default", world.namespace)
    await world.when(SERVICE_ACCOUNT, "default", lambda _: True, "the service account exists again")


async def test_takes_its_content_along(world: World) -> None:
    """Everything in it goes, then the namespace."""
    await world.create(DEPLOYMENT, a_deployment())
    await world.deployed()

    await world.client.delete(NAMESPACE, world.namespace)

    async def gone() -> bool:
        names = {obj["metadata"]["name"] for obj in (await world.client.list(NAMESPACE)).items}
        return world.namespace not in names

    await until(gone, "the namespace is gone", within=30)


async def test_says_what_holds_it_up(world: World) -> None:
    """A finalizer in it is named; when it is removed the namespace goes."""
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    await world.create(CONFIG_MAP, held)

    await world.client.delete(NAMESPACE, world.namespace)

    async def told() -> Object | None:
        obj = await world.client.get(NAMESPACE, world.namespace)
        return obj if condition(obj, "NamespaceFinalizersRemaining")[0] == "True" else None

    obj = await until(told, "the condition is there", within=30)
    messages = {entry["type"]: entry["message"] for entry in obj["status"]["conditions"]}
    assert messages["NamespaceFinalizersRemaining"].endswith("example.com/hold in 1 resource instances")
    assert messages["NamespaceContentRemaining"].endswith("configmaps. has 1 resource instances")
    assert obj["status"]["phase"] == "Terminating"
    await world.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}})
