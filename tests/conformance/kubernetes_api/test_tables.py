"""Tables: what `kubectl get` prints."""

from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import (
    config_map,
    deployment,
    pod,
    service,
    widget,
    widget_definition,
)
from tests.conformance.kubernetes_api.servers import Api

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


async def table(api: Api, path: str, **options: Any) -> dict[str, Any]:
    """A list as a table."""
    body: dict[str, Any] = (await api.get(path, headers=TABLE, **options)).ok()
    assert body["kind"] == "Table"
    return body


async def test_columns_and_rows(api: Api) -> None:
    """A table names its columns; a row has cells and the metadata of its object."""
    await api.create("configmaps", config_map("one", labels={"a": "b"}))

    found = await table(api, api.path("configmaps"), params={"labelSelector": "a=b"})

    first = found["columnDefinitions"][0]
    assert (first["name"], first["type"], first["format"]) == ("Name", "string", "name")
    [row] = found["rows"]
    assert row["cells"][:2] == ["one", 1]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["labels"] == {"a": "b"}


COLUMNS = {
    "deployments": (
        "apps/v1",
        ["Name", "Ready", "Up-to-date", "Available", "Age"],
        ["Containers", "Images", "Selector"],
    ),
    "replicasets": (
        "apps/v1",
        ["Name", "Desired", "Current", "Ready", "Age"],
        ["Containers", "Images", "Selector"],
    ),
    "daemonsets": (
        "apps/v1",
        ["Name", "Desired", "Current", "Ready", "Up-to-date", "Available", "Node Selector", "Age"],
        ["Containers", "Images", "Selector"],
    ),
    "pods": (
        "v1",
        ["Name", "Ready", "Status", "Restarts", "Age"],
        ["IP", "Node", "Nominated Node", "Readiness Gates"],
    ),
    "services": ("v1", ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"], ["Selector"]),
    "endpoints": ("v1", ["Name", "Endpoints", "Age"], []),
    "ingresses": ("networking.k8s.io/v1", ["Name", "Class", "Hosts", "Address", "Ports", "Age"], []),
    "horizontalpodautoscalers": (
        "autoscaling/v1",
        ["Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"],
        [],
    ),
    "secrets": ("v1", ["Name", "Type", "Data", "Age"], []),
    "leases": ("coordination.k8s.io/v1", ["Name", "Holder", "Age"], []),
    "roles": ("rbac.authorization.k8s.io/v1", ["Name", "Created At"], []),
    "rolebindings": (
        "rbac.authorization.k8s.io/v1",
        ["Name", "Role", "Age"],
        ["Users", "Groups", "ServiceAccounts"],
    ),
    "controllerrevisions": ("apps/v1", ["Name", "Controller", "Revision", "Age"], []),
}


@pytest.mark.parametrize("plural", COLUMNS)
async def test_columns_of_built_in_kinds(api: Api, plural: str) -> None:
    """Columns come in the usual order; those of `-o wide` have priority 1 and come last."""
    group, narrow, wide = COLUMNS[plural]

    columns = (await table(api, api.path(plural, group=group)))["columnDefinitions"]

    assert [item["name"] for item in columns if item["priority"] == 0] == narrow
    assert [item["name"] for item in columns if item["priority"] == 1] == wide


async def test_cells_of_a_deployment(api: Api) -> None:
    """Counters are numbers, readiness is a fraction, the selector is a text."""
    await api.create("deployments", deployment("web"), group="apps/v1")

    [row] = (await table(api, api.path("deployments", group="apps/v1")))["rows"]

    name, ready, updated, available, _age, *wide = row["cells"]
    assert (name, ready, updated, available) == ("web", "0/2", 0, 0)
    assert wide == ["app", "registry.local/checkout:1.0.0", "app=web"]


async def test_cells_of_a_pod(api: Api) -> None:
    """A pod that was not scheduled is Pending and on no node."""
    await api.create("pods", pod("p"))

    [row] = (await table(api, api.path("pods")))["rows"]

    assert row["cells"][:3] == ["p", "0/1", "Pending"]
    assert row["cells"][5:] == ["<none>", "<none>", "<none>", "<none>"]


async def test_cells_of_a_service(api: Api) -> None:
    """A service shows type, address and ports."""
    ports = [{"name": "http", "port": 80}, {"name": "grpc", "port": 9999}]
    made = await api.create("services", service("web", ports=ports))

    [row] = (await table(api, api.path("services")))["rows"]

    address = made["spec"]["clusterIP"]
    assert row["cells"][:5] == ["web", "ClusterIP", address, "<none>", "80/TCP,9999/TCP"]


async def test_printer_columns(api: Api, widgets: str) -> None:
    """A custom resource has its declared columns after Name; what is missing is null."""
    group = widgets.partition("/")[0]
    await api.create("widgets", widget(group), group=widgets)

    found = await table(api, api.path("widgets", group=widgets))

    assert [item["name"] for item in found["columnDefinitions"]] == ["Name", "Size", "Phase"]
    assert found["rows"][0]["cells"] == ["one", 3, None]


@pytest.fixture
async def gadgets(api: Api) -> Any:
    """A custom resource that keeps everything and has the given columns."""
    made: list[str] = []

    async def define(columns: list[dict[str, Any]]) -> str:
        group = f"tables{len(made)}.{api.namespace}.example.com"
        definition = widget_definition(group)
        [version] = definition["spec"]["versions"]
        version["schema"] = {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        }
        version |= {"additionalPrinterColumns": columns, "subresources": {}}
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        (await api.post(crds, definition)).ok()
        made.append(f"{crds}/widgets.{group}")
        from tests.conformance.kubernetes_api.conftest import served

        await served(api, f"{group}/v1")
        return group

    yield define
    for path in made:
        await api.delete(path)


async def test_no_columns_mean_age(api: Api, gadgets: Any) -> None:
    """Without declared columns there are Name and Age."""
    group = await gadgets([])

    found = await table(api, api.path("widgets", group=f"{group}/v1"))

    assert [(item["name"], item["type"]) for item in found["columnDefinitions"]] == [
        ("Name", "string"),
        ("Age", "date"),
    ]


PRINTED = [
    pytest.param("string", ".spec.tags", '["x","y"]', id="a list as a string is JSON"),
    pytest.param("string", ".spec.free", '{"q":1}', id="an object as a string is JSON"),
    pytest.param("string", ".spec.size", "1", id="a number as a string"),
    pytest.param("string", ".spec.flag", "true", id="a boolean as a string"),
    pytest.param("integer", ".spec.size", 1, id="an integer stays one"),
    pytest.param("number", ".spec.ratio", 1.5, id="a number stays one"),
    pytest.param("boolean", ".spec.flag", True, id="a boolean stays one"),
    pytest.param("integer", ".spec.color", None, id="the wrong type is null"),
    pytest.param("string", ".spec.nope", None, id="a missing value is null"),
    pytest.param("string", '.spec.conditions[?(@.type=="Ready")].status', "True", id="a filter"),
    pytest.param("string", ".spec.tags[1]", "y", id="an index"),
]


@pytest.mark.parametrize(("kind", "path", "cell"), PRINTED)
async def test_what_columns_print(api: Api, gadgets: Any, kind: str, path: str, cell: Any) -> None:
    """Cells keep JSON types where the column asks for them, and are text or null otherwise."""
    group = await gadgets([{"name": "Shown", "type": kind, "jsonPath": path}])
    conditions = [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]
    spec = {"tags": ["x", "y"], "free": {"q": 1}, "flag": True, "ratio": 1.5, "color": "red"}
    made = widget(group, size=1, conditions=conditions, **spec)
    await api.create("widgets", made, group=f"{group}/v1")

    found = await table(api, api.path("widgets", group=f"{group}/v1"))

    assert found["rows"][0]["cells"][1] == cell


async def test_a_watch_describes_its_columns_once(api: Api) -> None:
    """The first event of a table watch has the columns, later ones have none."""
    await api.create("configmaps", config_map("one"))
    only = {"fieldSelector": "metadata.name=one"}

    async with api.watch(api.path("configmaps"), only, TABLE) as stream:
        first = await stream.next()
        await api.patch(api.path("configmaps", "one"), {"data": {"b": "2"}})
        second = await stream.next()

    assert first is not None
    assert second is not None
    assert [item["name"] for item in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert not second["object"]["columnDefinitions"]
    assert second["object"]["rows"][0]["cells"][:2] == ["one", 2]
