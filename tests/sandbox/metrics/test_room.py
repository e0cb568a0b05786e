"""The metrics room: what runs in the cluster is scraped, and the cluster knows where to ask."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import ENDPOINT_SLICE, ENDPOINTS, NAMESPACE, NODE, POD, SERVICE, Object
from flagger.sandbox.apiserver.server import ApiServer
from flagger.sandbox.metrics.engine_prometheus import PrometheusError
from flagger.sandbox.metrics.listening import HOST
from flagger.sandbox.metrics.publish import ENDPOINTS_ANNOTATION, OLD_ENDPOINT_SLICE
from flagger.sandbox.metrics.room import MetricsStore
from flagger.sandbox.metrics.targets import ENVOY_ANNOTATION
from tests.fakes.envtest import ControlPlane
from tests.sandbox.metrics import oracle
from tests.sandbox.metrics.target import scripted_target
from tests.sandbox.metrics.waiting import until

ENGINES = ["embedded", pytest.param("prometheus", marks=pytest.mark.prometheus)]

EXPOSITION = r"""# HELP a_total Things.
# TYPE a_total counter
a_total{x="plain",} 1.5e3
a_total { x = "quo\"te\\ back\nline" , job="mine"} +Inf
a_total{x="ümlaut",empty=""} NaN
spaced  {}   -0.25

# a comment
h_bucket{le="0.1"} 1
h_bucket{le="+Inf"} 2
h_sum 0.5
h_count 2
q{quantile="0.5"} 4
"""
EXPECTED = {
    ("a_total", "plain", "", ""): "1500",
    ("a_total", 'quo"te\\ back\nline', "mine", ""): "+Inf",
    ("a_total", "ümlaut", "", ""): "NaN",
    ("spaced", "", "", ""): "-0.25",
    ("h_bucket", "", "", "0.1"): "1",
    ("h_bucket", "", "", "+Inf"): "2",
    ("h_sum", "", "", ""): "0.5",
    ("h_count", "", "", ""): "2",
    ("q", "", "", ""): "4",
}
TOLD_APART_BY = ("__name__", "x", "exported_job", "le")


@dataclass(slots=True)
class Room:
    """A running room with the cluster that it serves."""

    client: Client
    store: MetricsStore
    http: aiohttp.ClientSession

    async def query(self, text: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        async with self.http.get(f"{self.store.url}/api/v1/query", params={"query": text}) as response:
            return json.loads(await response.read())["data"]["result"]


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    """To an embedded API server of the test's own."""
    async with ApiServer(None) as server:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig())
        yield load_connection(kubeconfig)


@asynccontextmanager
async def running(connection: Connection, state_dir: Path, engine: str = "embedded") -> AsyncIterator[Room]:
    """A room that is ready; it ends with the block."""
    if engine == "prometheus":
        oracle.require()
    async with Client(connection) as client, aiohttp.ClientSession() as http:
        store = MetricsStore(client, state_dir=state_dir, engine=engine)
        task = asyncio.create_task(store.run())
        try:
            async with asyncio.timeout(20):
                await store.ready.wait()
            yield Room(client, store, http)
        finally:
            task.cancel()
            await asyncio.wait([task])


async def run_pod(client: Client, name: str, address: str) -> None:
    """Let a pod be there that exposes metrics at `address`."""
    ip, _, port = address.partition(":")
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": port}
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}, "annotations": annotations}
    await client.create(POD, {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    status = {"status": {"phase": "Running", "podIP": ip}}
    await client.patch(POD, name, "default", status, subresource="status")


@pytest.mark.parametrize("engine", ENGINES)
async def test_scrapes_what_runs(connection: Connection, tmp_path: Path, engine: str) -> None:
    """Pods and the data plane are found through the API, and their expositions become the right series."""
    async with (
        running(connection, tmp_path, engine) as room,
        scripted_target() as pod,
        scripted_target() as envoy,
    ):
        pod.body, envoy.body = EXPOSITION, "envoy_requests 7\n"
        annotations = {ENVOY_ANNOTATION: f"{envoy.address}/stats/prometheus?usedonly"}
        await room.client.create(NODE, {"metadata": {"name": "sandbox", "annotations": annotations}})
        await run_pod(room.client, "web-1-a", pod.address)

        async def all_there() -> bool:
            return bool(await room.query('{job="kubernetes-pods",__name__="q"} + on () envoy_requests'))

        await until(all_there, within=25)
        series = await room.query('{job="kubernetes-pods",__name__!~"up|scrape_.*"}')
        found = {
            tuple(item["metric"].get(name, "") for name in TOLD_APART_BY): item["value"][1] for item in series
        }
        assert found == EXPECTED
        assert {item["metric"]["kubernetes_pod_name"] for item in series} == {"web-1-a"}
        assert {item["metric"]["app"] for item in series} == {"web"}
        assert {item["metric"]["instance"] for item in await room.query("up")} == {pod.address, envoy.address}
        counts = await room.query('scrape_samples_scraped{job="kubernetes-pods"}')
        assert [item["value"][1] for item in counts] == ["9"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_published(connection: Connection, tmp_path: Path, engine: str) -> None:
    """The Service `prometheus.monitoring` leads to where queries are answered."""
    async with running(connection, tmp_path, engine) as room:
        service = await room.client.get(SERVICE, "prometheus", "monitoring")
        (slice_,), (endpoints,) = [
            (await room.client.list(kind, "monitoring")).items for kind in (ENDPOINT_SLICE, ENDPOINTS)
        ]

        assert [port["port"] for port in service["spec"]["ports"]] == [9090]
        assert "selector" not in service["spec"]
        assert slice_["metadata"]["labels"]["kubernetes.io/service-name"] == "prometheus"
        assert address_in(slice_) == room.store.url
        assert endpoints["subsets"][0]["ports"][0]["port"] == int(room.store.url.rpartition(":")[2])
        assert (await room.query("vector(1)"))[0]["value"][1] == "1"


def address_in(slice_: Object) -> str:
    """The URL that an EndpointSlice leads to."""
    return f"http://{slice_['endpoints'][0]['addresses'][0]}:{slice_['ports'][0]['port']}"


async def test_published_anew(connection: Connection, tmp_path: Path) -> None:
    """A store that starts on another port corrects what an earlier one left in the cluster."""
    async with running(connection, tmp_path) as earlier, running(connection, tmp_path) as room:
        (slice_,) = (await room.client.list(ENDPOINT_SLICE, "monitoring")).items

        assert room.store.url != earlier.store.url
        assert address_in(slice_) == room.store.url


async def test_namespace_of_others(connection: Connection, tmp_path: Path) -> None:
    """A namespace `monitoring` that is already there is left as it is."""
    async with Client(connection) as client:
        await client.create(NAMESPACE, {"metadata": {"name": "monitoring", "labels": {"mine": "yes"}}})
        async with running(connection, tmp_path):
            namespace = await client.get(NAMESPACE, "monitoring")

    assert namespace["metadata"]["labels"]["mine"] == "yes"


@pytest.mark.envtest
async def test_published_on_a_real_server(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A real API server refuses loopback addresses in one or both kinds of endpoints: then the Service says it."""
    async with running(control_plane.connection, tmp_path) as room:
        service = await room.client.get(SERVICE, "prometheus", "monitoring")
        endpoints = (await room.client.list(ENDPOINTS, "monitoring")).items
        assert service["spec"]["ports"][0]["port"] == 9090
        assert endpoints == []
        if control_plane.version < (1, 21):
            assert f"http://{service['metadata']['annotations'][ENDPOINTS_ANNOTATION]}" == room.store.url
            slices = (await room.client.list(OLD_ENDPOINT_SLICE, "monitoring")).items
            assert [address_in(slice_) for slice_ in slices] == [room.store.url]


@pytest.mark.prometheus
async def test_prometheus_ends_with_us(connection: Connection, tmp_path: Path) -> None:
    """The child is gone when the room is."""
    async with running(connection, tmp_path, "prometheus") as room:
        url = room.store.url
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(url)


PARENT = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from flagger.sandbox.metrics.engine_prometheus import PrometheusEngine
from flagger.sandbox.metrics.scrape import Pace

engine = PrometheusEngine(Path(sys.argv[1]), timedelta(hours=1), Pace())
asyncio.run(engine.run(lambda port: print(port, flush=True)))
"""


@pytest.mark.prometheus
async def test_prometheus_does_not_outlive_a_crash(tmp_path: Path) -> None:
    """The child is gone even when we are killed."""
    oracle.require()
    arguments = (sys.executable, "-c", PARENT, str(tmp_path))
    parent = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    url = f"http://{HOST}:{int(await parent.stdout.readline())}/-/ready"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as response:
            assert response.status == 200
        parent.kill()
        await parent.communicate()

        async def gone() -> bool:
            try:
                async with http.get(url):
                    return False
            except aiohttp.ClientError:
                return True

        await until(gone)


async def test_missing_prometheus(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a `prometheus` on PATH the message says how to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    async with Client(connection) as client:
        with pytest.raises(PrometheusError, match="apt-get install prometheus"):
            MetricsStore(client, state_dir=tmp_path, engine="prometheus")


async def test_prometheus_that_ends(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Prometheus ends, the room fails with its last words."""
    binary = tmp_path / "prometheus"
    binary.write_text("#!/bin/sh\necho 'level=error msg=\"disk is full\"' >&2\nexit 3\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    async with Client(connection) as client:
        store = MetricsStore(client, state_dir=tmp_path, engine="prometheus")
        with pytest.raises(ExceptionGroup) as caught:
            await store.run()

    assert caught.group_contains(PrometheusError, match="code 3.*disk is full")
