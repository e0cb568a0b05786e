"""The server as a whole: what is there from the start, addresses, access by kubeconfig, expiry."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from flagger.kube.client import Client
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import CONFIG_MAP, NAMESPACE
from flagger.sandbox.apiserver import ApiServer, User
from flagger.sandbox.apiserver.expiry import expire
from tests.sandbox.apiserver.core.conftest import CONFIG_MAPS, Caller, calling

Object = dict[str, Any]
SERVICES = "/api/v1/namespaces/default/services"


async def test_what_is_there(call: Caller) -> None:
    """A new server has the usual namespaces, roles, and the Service `kubernetes`."""
    namespaces = {item["metadata"]["name"] for item in (await call.ok("GET", "/api/v1/namespaces"))["items"]}
    assert {"default", "kube-system", "kube-public"} <= namespaces
    service = await call.ok("GET", f"{SERVICES}/kubernetes")
    assert service["spec"]["clusterIP"] == "127.96.0.1"
    endpoints = await call.ok("GET", "/api/v1/namespaces/default/endpoints/kubernetes")
    port = int(call.server.url.rpartition(":")[2])
    assert endpoints["subsets"][0]["ports"][0]["port"] == port
    await call.ok("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin")


async def test_kubeconfig(server: ApiServer, tmp_path: Path) -> None:
    """The kubeconfig alone is enough to reach the server, and trusts nobody else."""
    path = tmp_path / "kubeconfig"
    path.write_text(server.kubeconfig(name="demo", namespace="shop"))
    config = yaml.safe_load(path.read_text())
    assert config["current-context"] == "demo"
    assert config["contexts"][0]["context"]["namespace"] == "shop"

    async with Client(load_connection(path)) as client:
        assert (await client.get(NAMESPACE, "default"))["kind"] == "Namespace"
        await client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(server.url + "/version", ssl=ssl.create_default_context())


async def test_tokens_of_others() -> None:
    """Further tokens log in as the users they are given for."""
    async with (
        ApiServer(tokens={"dev-token": User("dev", ("developers",))}) as server,
        calling(server) as call,
    ):
        headers = {"Authorization": "Bearer dev-token"}
        url = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        async with call.session.post(url, json={}, headers=headers) as response:
            info = (await response.json())["status"]["userInfo"]
        async with call.session.get(CONFIG_MAPS, headers=headers) as response:
            assert response.status == 403

    assert info == {"username": "dev", "groups": ["developers", "system:authenticated"]}


def a_service(name: str, **spec: Any) -> Object:
    """A Service with one port."""
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def test_cluster_ips() -> None:
    """Each Service gets an address of the range that nobody has, or the one it asks for; they come back."""
    async with ApiServer(service_cidr="127.97.0.0/28") as server, calling(server) as call:
        made = [await call.ok("POST", SERVICES, a_service(f"s{index}")) for index in range(10)]
        addresses = [item["spec"]["clusterIP"] for item in made]
        assert len(set(addresses)) == 10
        assert all(address.startswith("127.97.0.") for address in addresses)

        status, body = await call("POST", SERVICES, a_service("x", clusterIP=addresses[0]))
        assert (status, body["details"]["causes"][0]["field"]) == (422, "spec.clusterIPs")
        status, body = await call("POST", SERVICES, a_service("x", clusterIP="10.0.0.1"))
        assert "The range of valid IPs is 127.97.0.0/28" in body["message"]

        await call.ok("DELETE", f"{SERVICES}/s0")
        again = await call.ok("POST", SERVICES, a_service("x", clusterIP=addresses[0]))
        assert again["spec"]["clusterIPs"] == [addresses[0]]


async def test_a_full_range() -> None:
    """When no address is left the Service is refused; a rehearsal takes none."""
    async with ApiServer(service_cidr="127.97.0.0/29") as server, calling(server) as call:
        await call.ok("POST", SERVICES, a_service("ghost"), dryRun="All")
        for index in range(5):
            await call.ok("POST", SERVICES, a_service(f"s{index}"))
        status, body = await call("POST", SERVICES, a_service("one-too-many"))

    assert status == 422
    assert "range is full" in body["message"]


@pytest.mark.parametrize(
    "spec", [{"clusterIP": "None"}, {"type": "ExternalName", "externalName": "example.com"}]
)
async def test_services_without_an_address(call: Caller, spec: Object) -> None:
    """Headless Services and external names need none."""
    made = await call.ok("POST", SERVICES, a_service("x", **spec))

    assert made["spec"].get("clusterIP") == spec.get("clusterIP")


async def test_events_expire(call: Caller) -> None:
    """Events go an hour after they were last seen, others stay."""
    path = "/api/v1/namespaces/default/events"
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    soon = (datetime.now(UTC) + timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    await call.ok("POST", path, {"metadata": {"name": "old"}, "involvedObject": about})
    await call.ok(
        "POST", path, {"metadata": {"name": "counted"}, "involvedObject": about, "lastTimestamp": soon}
    )

    assert expire(call.server.store, datetime.now(UTC) + timedelta(minutes=59)) == 0
    assert expire(call.server.store, datetime.now(UTC) + timedelta(minutes=61)) == 1
    left = (await call.ok("GET", path))["items"]
    assert [item["metadata"]["name"] for item in left] == ["counted"]


async def test_metrics(call: Caller) -> None:
    """The server counts requests and objects."""
    await call.ok("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    await call("GET", f"{CONFIG_MAPS}/none")

    _, text = await call("GET", "/metrics")

    assert 'apiserver_request_total{verb="create",resource="configmaps",code="201"} 1' in text
    assert 'apiserver_request_total{verb="get",resource="configmaps",code="404"} 1' in text
    assert 'apiserver_storage_objects{resource="configmaps"} 1' in text


async def test_a_defect_costs_one_request(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is a 500 Status that tells nothing of the inside; the server goes on."""

    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    with monkeypatch.context() as patched:
        patched.setattr("flagger.sandbox.apiserver.lists.page", broken)
        patched.setattr("flagger.sandbox.apiserver.reads.page", broken)
        status, body = await call("GET", CONFIG_MAPS)
    assert (status, body["reason"]) == (500, "InternalError")
    assert "secret" not in str(body)
    await call.ok("GET", CONFIG_MAPS)
