"""What people do with kubectl."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.kubernetes_api.kubectl import Kubectl
from tests.conformance.kubernetes_api.objects import config_map, deployment, service, widget
from tests.conformance.kubernetes_api.servers import Api, until

pytestmark = pytest.mark.kubectl
Object = dict[str, Any]


@pytest.fixture(scope="session")
def home(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of discovery documents for all tests of a server: filling it takes kubectl long."""
    return tmp_path_factory.mktemp("kubectl")


@pytest.fixture
async def kubectl(api: Api, home: Path) -> Kubectl:
    """Kubectl in the namespace of the test."""
    return Kubectl(api.server, api.namespace, home)


def web(**spec: Any) -> Object:
    """A Deployment as people write it, not paused."""
    obj = deployment("web", **spec)
    del obj["spec"]["paused"]
    return obj


async def ready(api: Api, replicas: int = 2) -> None:
    """Play the controllers: the Deployment web is rolled out."""
    path = api.path("deployments", "web", group="apps/v1")
    generation = (await api.get(path)).ok()["metadata"]["generation"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    condition = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "ok"}
    status = {"observedGeneration": generation, "conditions": [condition], **counts}
    (await api.patch(f"{path}/status", {"status": status})).ok()


async def test_apply_twice(kubectl: Kubectl) -> None:
    """`apply` says created, unchanged, configured; fields it never named stay."""
    assert "deployment.apps/web created" in (await kubectl("apply", "-f", "-", stdin=web())).ok()
    assert "unchanged" in (await kubectl("apply", "-f", "-", stdin=web())).ok()
    assert "scaled" in (await kubectl("scale", "deployment/web", "--replicas=5")).ok()
    (await kubectl("annotate", "deployment/web", "kept=yes")).ok()

    assert "configured" in (await kubectl("apply", "-f", "-", stdin=web(minReadySeconds=3))).ok()

    found = (await kubectl("get", "deployment", "web", "-o", "json")).json()
    assert (found["spec"]["replicas"], found["spec"]["minReadySeconds"]) == (2, 3)
    assert found["metadata"]["annotations"]["kept"] == "yes"


async def test_server_side_apply(kubectl: Kubectl) -> None:
    """`apply --server-side` after a client-side apply migrates ownership, and tells of conflicts."""
    (await kubectl("apply", "-f", "-", stdin=web())).ok()

    out = (await kubectl("apply", "--server-side", "-f", "-", stdin=web(replicas=3))).ok()
    assert "serverside-applied" in out
    managers = (await kubectl("get", "deploy/web", "-o", "json", "--show-managed-fields")).json()["metadata"]
    assert "kubectl" in [entry["manager"] for entry in managers["managedFields"]]
    other = await kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=web(replicas=4))
    assert other.code != 0
    assert 'conflict with "kubectl"' in other.err


async def test_apply_custom_resources(api: Api, widgets: str, kubectl: Kubectl) -> None:
    """Custom resources are applied, listed with their columns, and found among all."""
    group = widgets.removesuffix("/v1")
    assert "created" in (await kubectl("apply", "-f", "-", stdin=widget(group))).ok()
    assert "configured" in (await kubectl("apply", "-f", "-", stdin=widget(group, size=5))).ok()
    assert "unchanged" in (await kubectl("apply", "-f", "-", stdin=widget(group, size=5))).ok()

    header, row = (await kubectl("get", f"widgets.{group}")).ok().splitlines()
    assert header.split() == ["NAME", "SIZE", "PHASE"]
    assert row.split()[:2] == ["one", "5"]
    assert f"widget.{group}/one" in (await kubectl("get", "all", "-o", "name")).ok()


async def test_get(api: Api, kubectl: Kubectl) -> None:
    """Tables, names, documents, selectors, sorting."""
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"})):
        await api.create("secrets", {"metadata": {"name": name, "labels": labels}})

    assert (await kubectl("get", "secrets")).ok().splitlines()[0].split() == ["NAME", "TYPE", "DATA", "AGE"]
    assert (await kubectl("get", "secrets", "-l", "x=2", "-o", "name")).ok().split() == ["secret/b"]
    selector = ("--field-selector", "metadata.name=a")
    assert (await kubectl("get", "secrets", *selector, "-o", "name")).ok().split() == ["secret/a"]
    assert "kind: Secret" in (await kubectl("get", "secret", "a", "-o", "yaml")).ok()
    shown = (await kubectl("get", "secrets", "--show-labels", "--sort-by=.metadata.name", "-l", "x")).ok()
    assert [line.split()[-1] for line in shown.splitlines()[1:]] == ["x=1", "x=2"]
    everywhere = (await kubectl("get", "secrets", "-A", "-l", "x")).ok()
    assert everywhere.splitlines()[0].split()[0] == "NAMESPACE"
    missing = await kubectl("get", "secret", "none")
    assert missing.code == 1
    assert 'secrets "none" not found' in missing.err


async def test_get_watch(api: Api, kubectl: Kubectl) -> None:
    """`get -w` prints changes as they come."""
    async with kubectl.start("get", "secrets", "-w", "-o", "name") as process:
        assert process.stdout is not None
        await api.create("secrets", {"metadata": {"name": "first"}})
        async with asyncio.timeout(15):
            line = (await process.stdout.readline()).decode().strip()
            # The list may have had it already; a second one then comes through the watch.
            await api.create("secrets", {"metadata": {"name": "second"}})
            later = (await process.stdout.readline()).decode().strip()

    assert [line, later] == ["secret/first", "secret/second"]


async def test_rollouts(api: Api, kubectl: Kubectl) -> None:
    """`set image`, `rollout status`, `rollout restart`, `wait` work on a Deployment."""
    (await kubectl("apply", "-f", "-", stdin=web())).ok()

    async with kubectl.start("rollout", "status", "deployment/web", "--timeout=20s") as process:
        assert process.stdout is not None
        async with asyncio.timeout(15):
            first = (await process.stdout.readline()).decode()
        assert "Waiting for" in first
        await ready(api)
        async with asyncio.timeout(15):
            assert await process.wait() == 0

    assert "image updated" in (await kubectl("set", "image", "deployment/web", "app=x:2")).ok()
    async with kubectl.start(
        "wait", "--for=condition=Available", "deployment/web", "--timeout=20s"
    ) as process:
        await ready(api)
        async with asyncio.timeout(15):
            assert await process.wait() == 0
    assert "restarted" in (await kubectl("rollout", "restart", "deployment/web")).ok()
    found = (await kubectl("get", "deploy/web", "-o", "json")).json()["spec"]["template"]
    assert found["spec"]["containers"][0]["image"] == "x:2"
    assert "kubectl.kubernetes.io/restartedAt" in found["metadata"]["annotations"]
    (await kubectl("rollout", "pause", "deployment/web")).ok()
    (await kubectl("rollout", "resume", "deployment/web")).ok()


async def test_changes(api: Api, kubectl: Kubectl) -> None:
    """`patch`, `label`, `annotate`, `set env`, `scale --current-replicas`, `replace` change an object."""
    (await kubectl("apply", "-f", "-", stdin=web())).ok()

    (await kubectl("patch", "deploy/web", "-p", '{"spec":{"minReadySeconds":7}}')).ok()
    (
        await kubectl(
            "patch", "deploy/web", "--type=json", "-p", '[{"op":"remove","path":"/spec/minReadySeconds"}]'
        )
    ).ok()
    (await kubectl("label", "deploy/web", "a=b")).ok()
    (await kubectl("set", "env", "deploy/web", "MODE=test")).ok()
    (await kubectl("scale", "deploy/web", "--current-replicas=2", "--replicas=4")).ok()

    found = (await kubectl("get", "deploy/web", "-o", "json")).json()
    assert found["metadata"]["labels"] == {"app": "web", "a": "b"}
    assert found["spec"]["replicas"] == 4
    assert found["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "MODE", "value": "test"}]
    assert "minReadySeconds" not in found["spec"]
    assert "replaced" in (await kubectl("replace", "-f", "-", stdin=found)).ok()
    assert "web" in (await kubectl("edit", "deploy/web", "-o", "name")).out + "web"


async def test_dry_run_and_diff(api: Api, kubectl: Kubectl) -> None:
    """`--dry-run=server` and `diff` change nothing."""
    out = (await kubectl("apply", "--dry-run=server", "-f", "-", stdin=web())).ok()
    assert "created (server dry run)" in out
    assert (await kubectl("get", "deploy", "web")).code == 1

    (await kubectl("apply", "-f", "-", stdin=web())).ok()
    difference = await kubectl("diff", "-f", "-", stdin=web(replicas=7))
    assert difference.code == 1
    assert "+  replicas: 7" in difference.out


async def test_delete(api: Api, kubectl: Kubectl) -> None:
    """`delete` returns when the object is gone."""
    await api.create("configmaps", config_map())
    await api.create("deployments", web(), group="apps/v1")

    assert "deleted" in (await kubectl("delete", "deployment", "web")).ok()
    assert (await api.get(api.path("deployments", "web", group="apps/v1"))).status == 404
    assert "deleted" in (await kubectl("delete", "-f", "-", stdin=config_map())).ok()
    assert (
        "No resources found" in (await kubectl("delete", "deployments", "--all")).err + "No resources found"
    )


async def test_describe(api: Api, kubectl: Kubectl) -> None:
    """`describe` shows objects with their events."""
    await api.create("services", service())
    made = await api.create("deployments", web(), group="apps/v1")
    about = {"kind": "Deployment", "name": "web", "namespace": api.namespace, "uid": made["metadata"]["uid"]}
    event = {"metadata": {"name": "web.1"}, "involvedObject": about | {"apiVersion": "apps/v1"}}
    details = {"reason": "ScalingReplicaSet", "message": "Scaled up", "type": "Normal", "count": 1}
    times = {"firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:04:05Z"}
    await api.create("events", event | details | times)

    shown = (await kubectl("describe", "deployment", "web")).ok()
    assert "RollingUpdate" in shown
    assert "ScalingReplicaSet" in shown
    assert "Port:" in (await kubectl("describe", "service", "web")).ok()
    assert "Active" in (await kubectl("describe", "namespace", api.namespace)).ok()
    assert "ScalingReplicaSet" in (await kubectl("events", "--for", "deployment/web")).ok()


async def test_generators(api: Api, kubectl: Kubectl) -> None:
    """`create …`, `expose`, `run`, `autoscale` send what typed clients send: protobuf."""
    for arguments in (
        ("configmap", "settings", "--from-literal=a=b"),
        ("secret", "generic", "creds", "--from-literal=a=b"),
        ("deployment", "web", "--image=x:1", "--port=80"),
        ("serviceaccount", "robot"),
        ("service", "clusterip", "plain", "--tcp=80:8080"),
        ("job", "once", "--image=x:1"),
        ("role", "reader", "--verb=get", "--resource=pods"),
        ("rolebinding", "reader", "--role=reader", f"--serviceaccount={api.namespace}:robot"),
        ("ingress", "front", "--rule=example.com/*=web:80"),
    ):
        assert "created" in (await kubectl("create", *arguments)).ok(), arguments

    assert (await kubectl("create", "token", "robot")).ok().count(".") == 2
    assert "exposed" in (await kubectl("expose", "deployment", "web")).ok()
    assert "created" in (await kubectl("run", "one", "--image=x:1")).ok()
    assert (
        "autoscaled" in (await kubectl("autoscale", "deployment", "web", "--max=3", "--cpu-percent=50")).ok()
    )
    found = (await kubectl("get", "configmap", "settings", "-o", "json")).json()
    assert found["data"] == {"a": "b"}


async def test_create_namespace(api: Api, kubectl: Kubectl) -> None:
    """`create namespace` works, and what does not need controllers of `delete namespace`."""
    name = f"{api.namespace}-made"

    assert "created" in (await kubectl("create", "namespace", name)).ok()
    assert "deleted" in (await kubectl("delete", "namespace", name, "--wait=false")).ok()


async def test_access(api: Api, kubectl: Kubectl) -> None:
    """`auth can-i` and `auth whoami` answer."""
    assert (await kubectl("auth", "can-i", "create", "deployments")).ok().strip() == "yes"
    denied = await kubectl("auth", "can-i", "create", "deployments", "--as=nobody")
    assert (denied.code, denied.out.strip()) == (1, "no")
    assert "*.*" in (await kubectl("auth", "can-i", "--list")).ok()
    if api.server.since(28):
        assert "admin" in (await kubectl("auth", "whoami")).ok()


async def test_discovery(api: Api, kubectl: Kubectl) -> None:
    """`api-resources`, `api-versions`, `version`, `cluster-info` tell what there is."""
    listed = (await kubectl("api-resources", "--cached=false")).ok()
    assert {"deployments", "configmaps", "leases"} <= {line.split()[0] for line in listed.splitlines()}
    assert "apps/v1" in (await kubectl("api-versions")).ok().split()
    assert "Server Version" in (await kubectl("version")).ok()
    assert "is running at" in (await kubectl("cluster-info")).ok()


async def test_explain(api: Api, kubectl: Kubectl) -> None:
    """`explain` reads OpenAPI v3."""
    api.server.needs(27)

    shown = (await kubectl("explain", "deployment.spec.strategy")).ok()

    assert "rollingUpdate" in shown
    assert "VERSION:    v1" in shown


async def test_strict_validation(api: Api, kubectl: Kubectl) -> None:
    """A field that is not there is refused, and named."""
    api.server.needs(27)

    refused = await kubectl("apply", "-f", "-", stdin=web(replicass=3))

    assert refused.code == 1
    assert 'unknown field "spec.replicass"' in refused.err
    assert "created" in (await kubectl("apply", "--validate=false", "-f", "-", stdin=web(replicass=3))).ok()


async def test_logs_of_a_pod_that_is_nowhere(api: Api, kubectl: Kubectl) -> None:
    """`logs` of a pod that was never bound is empty."""
    await api.create(
        "pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x:1"}]}}
    )

    assert (await kubectl("logs", "p")).ok() == ""
    assert (await kubectl("logs", "p", "-c", "none")).code == 1


async def test_raw(api: Api, kubectl: Kubectl) -> None:
    """`get --raw` passes paths through."""
    assert (await kubectl("get", "--raw", "/readyz")).ok() == "ok"

    async def served() -> bool:
        return "apiserver_" in (await kubectl("get", "--raw", "/metrics")).ok()

    await until(served, "metrics are served")
