"""Columns and cells, as a real server shows them."""

from datetime import timedelta
from typing import Any

import pytest

from flagger.sandbox.apiserver.types.tables.base import duration
from tests.sandbox.apiserver.types.builders import (
    NOW,
    Object,
    a_registry,
    definition,
    resource,
    samples,
    widget,
    widgets,
)

TABLES = {item["name"]: item for item in samples("tables")}
CUSTOM = {"table-canary", "table-custom-resource", "table-httproute"}
CHANGED = {"table-hpa-v2beta2"}


def ago(**span: float) -> str:
    """A time before now."""
    return (NOW - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("name", sorted(set(TABLES) - CUSTOM))
def test_columns(name: str) -> None:
    """Names, types, formats and priorities of the columns are those of a real server."""
    kind, _ = resource(a_registry(), TABLES[name]["path"])

    columns = kind.table([], NOW)["columnDefinitions"]

    known = [{key: column[key] for key in ("name", "type", "format", "priority")} for column in columns]
    assert known == TABLES[name]["columns"]
    assert all(column["description"] for column in columns)


def meta(name: str, **span: float) -> Object:
    """Metadata of an object of some age."""
    return {"name": name, "creationTimestamp": ago(**span)}


def template(*images: tuple[str, str]) -> Object:
    """A template with containers."""
    return {"spec": {"containers": [{"name": name, "image": image} for name, image in images]}}


def container_status(**changes: Any) -> Object:
    """The status of a container that runs and is ready."""
    return {"ready": True, "restartCount": 0, "state": {"running": {}}} | changes


IMAGE = "registry.local/checkout:1.0.0"
OBJECTS: dict[str, Object] = {
    "table-deployment": {
        "metadata": meta("basket", minutes=60),
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "basket"}},
            "template": template(("app", IMAGE), ("side", "registry.local/proxy:1")),
        },
        "status": {},
    },
    "table-replicaset": {
        "metadata": meta("checkout-7bc5dd4d98", minutes=62),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"pod-template-hash": "7bc5dd4d98", "app": "checkout"}},
            "template": template(("app", IMAGE)),
        },
        "status": {"replicas": 2, "readyReplicas": 2},
    },
    "table-daemonset": {
        "metadata": meta("agent", minutes=53),
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": template(("app", "registry.local/agent")),
        },
        "status": {
            "desiredNumberScheduled": 2,
            "currentNumberScheduled": 2,
            "numberReady": 2,
            "updatedNumberScheduled": 2,
            "numberAvailable": 2,
        },
    },
    "table-pod": {
        "metadata": meta("agent-5jkgw", minutes=51),
        "spec": {"nodeName": "node-a", "containers": [{"name": "app"}]},
        "status": {"phase": "Running", "podIP": "10.244.0.10", "containerStatuses": [container_status()]},
    },
    "table-job": {
        "metadata": meta("once", minutes=53),
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "selector": {"matchLabels": {"controller-uid": "908cfb52-e657-4a3a-a024-f484ab25b7ba"}},
            "template": template(("a", "i")),
        },
        "status": {"startTime": ago(minutes=53)},
    },
    "table-service": {
        "metadata": meta("checkout", minutes=37),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.171.90",
            "selector": {"app": "checkout"},
            "ports": [{"port": 80, "protocol": "TCP"}, {"port": 9999, "protocol": "TCP"}],
        },
    },
    "table-endpoints": {
        "metadata": meta("checkout", minutes=37),
        "subsets": [
            {
                "addresses": [{"ip": "10.244.0.12"}, {"ip": "10.244.1.58"}],
                "ports": [{"port": 9999}, {"port": 9898}],
            }
        ],
    },
    "table-endpointslice": {
        "metadata": meta("checkout-6nwdl", minutes=37),
        "addressType": "IPv4",
        "ports": [{"port": 9999}, {"port": 9898}],
        "endpoints": [{"addresses": ["10.244.0.12"]}, {"addresses": ["10.244.1.58"]}],
    },
    "table-ingress": {
        "metadata": meta("web", seconds=1),
        "spec": {"ingressClassName": "nginx", "tls": [{}], "rules": [{"host": "shop.example.com"}]},
        "status": {"loadBalancer": {}},
    },
    "table-namespace": {"metadata": meta("default", minutes=62), "status": {"phase": "Active"}},
    "table-configmap": {"metadata": meta("kube-root-ca.crt", minutes=62), "data": {"ca.crt": ""}},
    "table-secret": {
        "metadata": meta("creds", minutes=52),
        "type": "Opaque",
        "data": {"a": "", "b": ""},
    },
    "table-serviceaccount": {"metadata": meta("default", minutes=62), "secrets": [{"name": "t"}]},
    "table-event": {
        "metadata": meta("agent.18ea9a2952e6cfcf", minutes=51),
        "type": "Normal",
        "reason": "SuccessfulCreate",
        "message": "Created pod: agent-5jkgw",
        "involvedObject": {"kind": "DaemonSet", "name": "agent"},
        "source": {"component": "daemonset-controller"},
        "firstTimestamp": ago(minutes=51),
        "lastTimestamp": ago(minutes=51),
        "count": 1,
    },
    "table-lease": {"metadata": meta("op", minutes=53), "spec": {"holderIdentity": "op-1"}},
    "table-crd": {"metadata": {"name": "canaries.flagger.app", "creationTimestamp": "2026-11-23T07:06:04Z"}},
    "table-node": {
        "metadata": meta("node-a", minutes=51),
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
            "nodeInfo": {
                "kubeletVersion": "v1.20.2",
                "osImage": "sim",
                "kernelVersion": "5.0",
                "containerRuntimeVersion": "sim://1",
            },
        },
    },
    "table-hpa-v2beta2": {
        "metadata": meta("web", minutes=53),
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 4,
            "metrics": [
                {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi"}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}},
            ],
        },
        "status": {"currentReplicas": 2, "currentMetrics": None},
    },
}


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_cells(name: str) -> None:
    """The cells of the recorded row are made from the object behind it."""
    kind, _ = resource(a_registry(), TABLES[name]["path"])

    [row] = kind.table([OBJECTS[name]], NOW)["rows"]

    assert row["cells"] == TABLES[name]["rows"][0]


def test_custom_cells() -> None:
    """Declared columns keep JSON types, print JSON as text, and show dates as ages."""
    declared = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Tags", "type": "string", "jsonPath": ".spec.tags"},
        {"name": "When", "type": "date", "jsonPath": ".spec.when", "priority": 1},
        {"name": "Flag", "type": "boolean", "jsonPath": ".spec.flag"},
        {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio"},
        {"name": "Free", "type": "string", "jsonPath": ".spec.free", "priority": 1},
    ]
    kind = widgets(additionalPrinterColumns=declared)
    obj = widget(
        size=1, color="red", tags=["x", "y"], when=ago(hours=31), flag=True, ratio=1.5, free={"q": 1}
    )
    obj["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    recorded = TABLES["table-custom-resource"]

    shown = kind.table([obj], NOW)

    keys = ("name", "type", "format", "priority")
    assert [{key: column[key] for key in keys} for column in shown["columnDefinitions"]] == recorded[
        "columns"
    ]
    assert shown["rows"][0]["cells"][1:] == recorded["rows"][0][1:]


def test_custom_kinds_without_columns_show_their_age() -> None:
    """Name and Age, the latter as a date."""
    kind = a_registry(definition()).lookup("example.com", "v1", "widgets")
    assert kind is not None

    shown = kind.table([widget()], NOW + timedelta(seconds=5))

    assert [(column["name"], column["type"]) for column in shown["columnDefinitions"]] == [
        ("Name", "string"),
        ("Age", "date"),
    ]
    assert shown["rows"][0]["cells"] == ["w", "5s"]


DURATIONS = [
    (0, "0s"),
    (119, "119s"),
    (120, "2m"),
    (200, "3m20s"),
    (599, "9m59s"),
    (600, "10m"),
    (3 * 3600 - 1, "179m"),
    (3 * 3600, "3h"),
    (3 * 3600 + 60, "3h1m"),
    (8 * 3600, "8h"),
    (48 * 3600 - 1, "47h"),
    (48 * 3600, "2d"),
    (49 * 3600, "2d1h"),
    (8 * 86400, "8d"),
    (730 * 86400 - 1, "729d"),
    (731 * 86400, "2y1d"),
    (8 * 365 * 86400, "8y"),
    (-1, "0s"),
    (-2, "<invalid>"),
]


@pytest.mark.parametrize(("seconds", "text"), DURATIONS)
def test_durations(seconds: int, text: str) -> None:
    """The longer a time, the rougher it is told."""
    assert duration(timedelta(seconds=seconds)) == text


WAITING = {"ready": False, "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
ENDED = {"ready": False, "restartCount": 0, "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}
KILLED = {"ready": False, "restartCount": 0, "state": {"terminated": {"signal": 9, "exitCode": 137}}}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
PODS = [
    pytest.param({"phase": "Pending"}, "0/2", "Pending", 0, id="not started"),
    pytest.param(
        {"phase": "Failed", "reason": "Evicted"}, "0/2", "Evicted", 0, id="a reason replaces the phase"
    ),
    pytest.param(
        {"phase": "Running", "containerStatuses": [container_status(), WAITING]},
        "1/2",
        "CrashLoopBackOff",
        1,
        id="crash",
    ),
    pytest.param(
        {"phase": "Running", "containerStatuses": [ENDED, container_status()], **READY},
        "1/2",
        "Running",
        0,
        id="one has completed, the other runs",
    ),
    pytest.param(
        {"phase": "Running", "containerStatuses": [ENDED, container_status()]},
        "1/2",
        "NotReady",
        0,
        id="and is not ready",
    ),
    pytest.param({"phase": "Failed", "containerStatuses": [KILLED]}, "0/2", "Signal:9", 0, id="killed"),
    pytest.param(
        {
            "phase": "Pending",
            "initContainerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}],
        },
        "0/2",
        "Init:0/1",
        0,
        id="initializing",
    ),
    pytest.param(
        {
            "phase": "Pending",
            "initContainerStatuses": [{"restartCount": 2, "state": {"terminated": {"exitCode": 3}}}],
        },
        "0/2",
        "Init:ExitCode:3",
        2,
        id="initialization failed",
    ),
]


@pytest.mark.parametrize(("state", "ready", "word", "restarts"), PODS)
def test_pod_states(state: Object, ready: str, word: str, restarts: int) -> None:
    """The state of a pod in one word, how many containers are ready, and how often they were restarted."""
    kind, _ = resource(a_registry(), "/api/v1/namespaces/shop/pods")
    spec = {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]}
    pod = {"metadata": meta("p", seconds=1), "spec": spec, "status": state}

    [row] = kind.table([pod], NOW)["rows"]

    assert row["cells"][1:4] == [ready, word, restarts]


def test_ending_and_ended_pods() -> None:
    """A pod that is being deleted is Terminating; a finished one says so in a condition of its row."""
    kind, _ = resource(a_registry(), "/api/v1/namespaces/shop/pods")
    spec = {"containers": [{"name": "a"}]}
    ending = {
        "metadata": meta("p") | {"deletionTimestamp": ago(seconds=1)},
        "spec": spec,
        "status": {"phase": "Running"},
    }
    ended = {"metadata": meta("p"), "spec": spec, "status": {"phase": "Succeeded"}}

    first, second = kind.table([ending, ended], NOW)["rows"]

    assert first["cells"][2] == "Terminating"
    assert "conditions" not in first
    assert second["conditions"][0]["reason"] == "Succeeded"


@pytest.mark.parametrize(
    ("spec", "status", "external", "ports"),
    [
        pytest.param(
            {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
            {},
            "<pending>",
            "80:30080/TCP",
            id="pending",
        ),
        pytest.param(
            {"type": "LoadBalancer", "ports": [{"port": 80}]},
            {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}},
            "192.0.2.7",
            "80/TCP",
            id="balanced",
        ),
        pytest.param(
            {"type": "ExternalName", "externalName": "example.com"}, {}, "example.com", "<none>", id="a name"
        ),
        pytest.param(
            {"type": "ClusterIP", "externalIPs": ["192.0.2.8"], "ports": []},
            {},
            "192.0.2.8",
            "<none>",
            id="own addresses",
        ),
    ],
)
def test_services(spec: Object, status: Object, external: str, ports: str) -> None:
    """External addresses and ports depend on the type."""
    kind, _ = resource(a_registry(), "/api/v1/namespaces/shop/services")

    [row] = kind.table([{"metadata": meta("s"), "spec": spec, "status": status}], NOW)["rows"]

    assert (row["cells"][3], row["cells"][4]) == (external, ports)
