"""Independent clients of the Kubernetes API: lightkube, the official asyncio client, kopf, and our own."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest
from kubernetes.aio import client as official
from kubernetes.aio import config as official_config
from kubernetes.aio import dynamic
from kubernetes.aio.watch import Watch
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap
from lightkube.types import PatchType

from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import CONFIG_MAP
from tests.conformance.kubernetes_api.objects import config_map, deployment, widget
from tests.conformance.kubernetes_api.servers import Api, until

Object = dict[str, Any]


@pytest.fixture
async def lightkube(api: Api) -> AsyncIterator[AsyncClient]:
    """A lightkube client in the namespace of the test."""
    config = KubeConfig.from_file(str(api.server.kubeconfig))
    client = AsyncClient(config=config, namespace=api.namespace, field_manager="lightkube")
    async with contextlib.aclosing(client):
        yield client


async def test_lightkube_typed(lightkube: AsyncClient) -> None:
    """Typed objects go out and come back; every kind of patch works; apply and delete too."""
    labels = {"app": "web"}
    pod = PodTemplateSpec(ObjectMeta(labels=labels), PodSpec([Container("app", image="x:1")]))
    spec = DeploymentSpec(selector=LabelSelector(matchLabels=labels), template=pod, replicas=2)
    made = await lightkube.create(Deployment(metadata=ObjectMeta(name="web"), spec=spec))
    assert made.metadata is not None
    assert made.metadata.creationTimestamp is not None

    for kind, body in (
        (
            PatchType.STRATEGIC,
            {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "x:2"}]}}}},
        ),
        (PatchType.MERGE, {"spec": {"replicas": 3}}),
        (PatchType.JSON, [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]),
    ):
        await lightkube.patch(Deployment, "web", body, patch_type=kind)
    found = await lightkube.get(Deployment, "web")
    assert found.spec is not None
    assert found.metadata is not None
    assert (found.spec.replicas, found.metadata.labels) == (3, {"a": "b"})
    scale = await lightkube.get(Deployment.Scale, "web")
    assert scale.spec.replicas == 3

    applied = ConfigMap(metadata=ObjectMeta(name="prefs"), data={"y": "2"})
    await lightkube.apply(applied)
    await lightkube.apply(applied, force=True)
    names = [item.metadata.name async for item in lightkube.list(ConfigMap) if item.metadata]
    assert "prefs" in names
    await lightkube.delete(Deployment, "web")
    with pytest.raises(ApiError) as caught:
        await lightkube.get(Deployment, "web")
    assert caught.value.status.reason == "NotFound"


async def test_lightkube_conflicts(lightkube: AsyncClient) -> None:
    """A stale replace raises its conflict error."""
    made = await lightkube.create(ConfigMap(metadata=ObjectMeta(name="a"), data={"x": "1"}))
    made.data = {"x": "2"}
    await lightkube.replace(made)

    with pytest.raises(ApiError, match="object has been modified"):
        await lightkube.replace(made)


async def test_lightkube_watch(lightkube: AsyncClient) -> None:
    """A watch sees changes as typed objects."""
    await lightkube.create(ConfigMap(metadata=ObjectMeta(name="a", labels={"w": "1"}), data={"x": "1"}))
    seen = []

    async for event, obj in lightkube.watch(ConfigMap, labels={"w": "1"}):
        assert obj.data is not None
        seen.append((event, obj.data["x"]))
        if event == "ADDED":
            await lightkube.patch(ConfigMap, "a", {"data": {"x": "2"}}, patch_type=PatchType.MERGE)
        else:
            break

    assert seen == [("ADDED", "1"), ("MODIFIED", "2")]


async def test_lightkube_generic(api: Api, widgets: str, lightkube: AsyncClient) -> None:
    """Custom resources work without types."""
    group = widgets.removesuffix("/v1")
    resource = create_namespaced_resource(group, "v1", "Widget", "widgets")
    await lightkube.create(resource(metadata=ObjectMeta(name="one"), spec={"size": 1}))

    await lightkube.patch(resource.Status, "one", {"status": {"phase": "x"}}, patch_type=PatchType.MERGE)

    found = await lightkube.get(resource, "one")
    assert (found.spec["size"], found.status) == (1, {"phase": "x"})


@pytest.fixture
async def official_client(api: Api) -> AsyncIterator[official.ApiClient]:
    """The official client, asynchronous."""
    configuration = official.Configuration()
    await official_config.load_kube_config(str(api.server.kubeconfig), client_configuration=configuration)
    async with official.ApiClient(configuration) as client:
        yield client


async def test_official_typed(api: Api, official_client: official.ApiClient) -> None:
    """It validates what it reads: defaults, status, errors."""
    apps = official.AppsV1Api(official_client)
    made = await apps.create_namespaced_deployment(api.namespace, deployment())
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    made.spec.replicas = 5

    replaced = await apps.replace_namespaced_deployment("checkout", api.namespace, made)
    assert replaced.metadata.generation == 2
    patched = await apps.patch_namespaced_deployment("checkout", api.namespace, {"spec": {"replicas": 1}})
    assert patched.spec.replicas == 1
    scale = await apps.read_namespaced_deployment_scale("checkout", api.namespace)
    assert scale.spec.replicas == 1
    listed = await apps.list_namespaced_deployment(api.namespace, label_selector="app=checkout", limit=1)
    assert [item.metadata.name for item in listed.items] == ["checkout"]
    with pytest.raises(official.ApiException) as caught:
        await apps.read_namespaced_deployment("none", api.namespace)
    assert caught.value.status == 404
    await apps.delete_namespaced_deployment("checkout", api.namespace)


async def test_official_watch(api: Api, official_client: official.ApiClient) -> None:
    """Its watch decodes events into models."""
    core = official.CoreV1Api(official_client)
    await api.create("configmaps", config_map("w1", labels={"w": "1"}))

    async with Watch() as watch:
        stream = watch.stream(
            core.list_namespaced_config_map, api.namespace, label_selector="w=1", timeout_seconds=5
        )
        async for event in stream:
            assert (event["type"], event["object"].data) == ("ADDED", {"a": "1"})
            break


async def test_official_dynamic(api: Api, widgets: str, official_client: official.ApiClient) -> None:
    """The dynamic client finds custom resources through discovery."""
    client = await dynamic.DynamicClient(official_client)
    resource = await client.resources.get(api_version=widgets, kind="Widget")

    await resource.create(body=widget(widgets.removesuffix("/v1")), namespace=api.namespace)

    found = await resource.get(name="one", namespace=api.namespace)
    assert found.spec.size == 3


async def test_kopf(api: Api, widgets: str, caplog: pytest.LogCaptureFixture) -> None:
    """A kopf operator sees objects come, patches them, and lets them go with its finalizer."""
    caplog.set_level(logging.ERROR)
    registry, seen, group = kopf.OperatorRegistry(), list[str](), widgets.removesuffix("/v1")
    connection = load_connection(api.server.kubeconfig)
    assert connection.ca is not None

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=api.server.url, ca_data=connection.ca, token=api.token)

    @kopf.on.create(group, "v1", "widgets", registry=registry)
    async def created(name: str, patch: kopf.Patch, **_: Any) -> None:
        seen.append(f"created {name}")
        patch.status["phase"] = "Ready"

    @kopf.on.delete(group, "v1", "widgets", registry=registry)
    async def deleted(name: str, **_: Any) -> None:
        seen.append(f"deleted {name}")

    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    stop, ready = asyncio.Event(), asyncio.Event()
    operator = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=settings,
            namespaces=[api.namespace],
            standalone=True,
            stop_flag=stop,
            ready_flag=ready,
        )
    )
    try:
        await asyncio.wait_for(ready.wait(), 15)
        path = api.path("widgets", "one", group=widgets)
        await api.create("widgets", widget(group), group=widgets)

        async def handled() -> bool:
            return ((await api.get(path)).ok().get("status") or {}).get("phase") == "Ready"

        await until(handled, "the operator has handled the object", 15)
        await api.delete(path)
        await api.gone(path, 15)
    finally:
        stop.set()
        await asyncio.wait_for(operator, 15)

    assert seen == ["created one", "deleted one"]


async def test_our_own(api: Api) -> None:
    """Our client's cached view follows the server."""
    async with Client(load_connection(api.server.kubeconfig)) as client, Cluster(client) as cluster:
        made = await cluster.create(CONFIG_MAP, config_map("own", namespace=api.namespace))
        found = await cluster.get(CONFIG_MAP, api.namespace, "own")
        assert found is not None
        assert found["metadata"]["uid"] == made["metadata"]["uid"]
        await api.patch(api.path("configmaps", "own"), {"data": {"a": "2"}})

        async def caught_up() -> bool:
            found = await cluster.get(CONFIG_MAP, api.namespace, "own")
            return found is not None and found["data"] == {"a": "2"}

        await until(caught_up, "the cache has caught up")
        await cluster.delete(CONFIG_MAP, "own", api.namespace)
        assert await cluster.get(CONFIG_MAP, api.namespace, "own") is None
