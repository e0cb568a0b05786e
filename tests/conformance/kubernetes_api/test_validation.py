"""What the server refuses, and how it names the place."""

from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map, deployment, lease, pod, service
from tests.conformance.kubernetes_api.servers import Api

APPS, NET, BATCH = "apps/v1", "networking.k8s.io/v1", "batch/v1"


def job(restart: str | None) -> dict[str, Any]:
    """A job with a restart policy."""
    spec: dict[str, Any] = {"containers": [{"name": "a", "image": "i"}]}
    return {
        "metadata": {"name": "once"},
        "spec": {"template": {"spec": spec | ({"restartPolicy": restart} if restart else {})}},
    }


def ingress(**path: Any) -> dict[str, Any]:
    """An ingress with one path."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": "shop.example.com", "http": {"paths": [{"path": "/", "backend": backend} | path]}}
    return {"metadata": {"name": "web"}, "spec": {"rules": [rule]}}


def container(**changes: Any) -> dict[str, Any]:
    """A pod with one changed container."""
    return pod("p", [{"name": "a", "image": "x"} | changes])


def rolling(surge: Any, missing: Any) -> dict[str, Any]:
    """A deployment with limits."""
    update = {"maxSurge": surge, "maxUnavailable": missing}
    return deployment("web", strategy={"type": "RollingUpdate", "rollingUpdate": update})


def autoscaler(**spec: Any) -> dict[str, Any]:
    """An autoscaler of v1."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {"metadata": {"name": "web"}, "spec": {"maxReplicas": 4, "scaleTargetRef": target} | spec}


def labelled(**labels: str) -> dict[str, Any]:
    """A deployment whose template has other labels."""
    obj = deployment("web")
    obj["spec"]["template"]["metadata"]["labels"] = labels
    return obj


def without(obj: dict[str, Any], name: str) -> dict[str, Any]:
    """A specification with a member less."""
    del obj["spec"][name]
    return obj


RULES = "spec.template.metadata.labels"
CASES = [
    ("deployments", APPS, labelled(app="other"), {RULES: "FieldValueInvalid"}),
    (
        "deployments",
        APPS,
        without(deployment("web"), "selector"),
        {"spec.selector": "FieldValueRequired", RULES: ""},
    ),
    ("deployments", APPS, deployment("web", replicas=-1), {"spec.replicas": "FieldValueInvalid"}),
    ("deployments", APPS, deployment("Bad_Name"), {"metadata.name": "FieldValueInvalid"}),
    ("deployments", APPS, rolling(0, 0), {"spec.strategy.rollingUpdate.maxUnavailable": "FieldValueInvalid"}),
    ("deployments", APPS, rolling("x%", 1), {"spec.strategy.rollingUpdate.maxSurge": "FieldValueInvalid"}),
    (
        "deployments",
        APPS,
        rolling(1, "101%"),
        {"spec.strategy.rollingUpdate.maxUnavailable": "FieldValueInvalid"},
    ),
    (
        "deployments",
        APPS,
        deployment("web", strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
        {"spec.strategy.rollingUpdate": "FieldValueForbidden"},
    ),
    (
        "deployments",
        APPS,
        deployment("web", progressDeadlineSeconds=5, minReadySeconds=10),
        {"spec.progressDeadlineSeconds": "FieldValueInvalid"},
    ),
    ("pods", "v1", container(image=""), {"spec.containers[0].image": "FieldValueRequired"}),
    ("pods", "v1", container(name="A"), {"spec.containers[0].name": "FieldValueInvalid"}),
    (
        "pods",
        "v1",
        pod("p", [{"name": "a", "image": "x"}] * 2),
        {"spec.containers[1].name": "FieldValueDuplicate"},
    ),
    (
        "pods",
        "v1",
        container(ports=[{"containerPort": 70000}]),
        {"spec.containers[0].ports[0].containerPort": "FieldValueInvalid"},
    ),
    (
        "pods",
        "v1",
        container(ports=[{"containerPort": 80, "name": "a-very-long-port-name"}]),
        {"spec.containers[0].ports[0].name": "FieldValueInvalid"},
    ),
    (
        "pods",
        "v1",
        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        {"spec.containers[0].resources.requests": "FieldValueInvalid"},
    ),
    ("pods", "v1", container(livenessProbe={}), {"spec.containers[0].livenessProbe": "FieldValueRequired"}),
    (
        "pods",
        "v1",
        container(volumeMounts=[{"name": "nope", "mountPath": "/x"}]),
        {"spec.containers[0].volumeMounts[0].name": "FieldValueNotFound"},
    ),
    (
        "pods",
        "v1",
        container(env=[{"name": "1 bad"}]),
        {"spec.containers[0].env[0].name": "FieldValueInvalid"},
    ),
    ("services", "v1", service("s", ports=[]), {"spec.ports": "FieldValueRequired"}),
    (
        "services",
        "v1",
        service("s", ports=[{"port": 80}, {"port": 81}]),
        {"spec.ports[0].name": "FieldValueRequired", "spec.ports[1].name": "FieldValueRequired"},
    ),
    ("services", "v1", service("1bad"), {"metadata.name": "FieldValueInvalid"}),
    (
        "services",
        "v1",
        service("s", ports=[{"port": 70000, "targetPort": 80}]),
        {"spec.ports[0].port": "FieldValueInvalid"},
    ),
    ("jobs", BATCH, job(None), {"spec.template.spec.restartPolicy": "FieldValueRequired"}),
    ("jobs", BATCH, job("Always"), {"spec.template.spec.restartPolicy": "FieldValueRequired"}),
    ("ingresses", NET, ingress(), {"spec.rules[0].http.paths[0].pathType": "FieldValueRequired"}),
    (
        "ingresses",
        NET,
        ingress(pathType="Prefix", path="relative"),
        {"spec.rules[0].http.paths[0].path": "FieldValueInvalid"},
    ),
    (
        "horizontalpodautoscalers",
        "autoscaling/v1",
        autoscaler(minReplicas=5),
        {"spec.maxReplicas": "FieldValueInvalid"},
    ),
    (
        "horizontalpodautoscalers",
        "autoscaling/v1",
        autoscaler(scaleTargetRef={"kind": "Deployment", "name": ""}),
        {"spec.scaleTargetRef.name": "FieldValueRequired"},
    ),
    (
        "configmaps",
        "v1",
        config_map("c", labels={"a b": "c", "ok": "bad value!"}),
        {"metadata.labels": "FieldValueInvalid"},
    ),
    (
        "configmaps",
        "v1",
        config_map("c", annotations={"a": "x" * 262145}),
        {"metadata.annotations": "FieldValueTooLong"},
    ),
    (
        "configmaps",
        "v1",
        config_map("c", finalizers=["noslash"]),
        {"metadata.finalizers[0]": "FieldValueInvalid"},
    ),
    ("configmaps", "v1", config_map("c", {"bad key!": "x"}), {"data[bad key!]": "FieldValueInvalid"}),
    (
        "configmaps",
        "v1",
        config_map("c", ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}]),
        {"metadata.ownerReferences.uid": "FieldValueInvalid"},
    ),
    (
        "leases",
        "coordination.k8s.io/v1",
        lease("l", leaseDurationSeconds=0),
        {"spec.leaseDurationSeconds": "FieldValueInvalid"},
    ),
    (
        "events",
        "v1",
        {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "other"}},
        {"involvedObject.namespace": "FieldValueInvalid"},
    ),
]


@pytest.mark.parametrize(
    ("plural", "group", "obj", "expected"), CASES, ids=[f"{case[0]}: {', '.join(case[3])}" for case in CASES]
)
async def test_invalid_objects(
    api: Api, plural: str, group: str, obj: dict[str, Any], expected: dict[str, str]
) -> None:
    """Each violation is a cause of a 422, with the field and the rule that it breaks; there are no others."""
    reply = await api.post(api.path(plural, group=group), obj, params={"dryRun": "All"})

    reply.failed(422, "Invalid")
    assert set(reply.cause_fields()) == set(expected)
    reasons = {cause["field"]: cause["reason"] for cause in reply.causes}
    assert {field: reasons[field] for field, reason in expected.items() if reason} == {
        field: reason for field, reason in expected.items() if reason
    }


async def test_all_violations_at_once(api: Api) -> None:
    """One answer tells everything that is wrong."""
    obj = deployment("Bad_Name", replicas=-1)
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = ""

    reply = await api.post(api.path("deployments", group=APPS), obj)

    body = reply.failed(422, "Invalid")
    image = "spec.template.spec.containers[0].image"
    assert sorted(reply.cause_fields()) == ["metadata.name", "spec.replicas", image]
    assert body["details"]["kind"] == "Deployment"
    assert body["message"].startswith('Deployment.apps "Bad_Name" is invalid: [')


MALFORMED = [
    pytest.param("deployments", APPS, deployment("web", replicas="two"), id="a text for a number"),
    pytest.param("pods", "v1", container(resources={"requests": {"cpu": "much"}}), id="a bad quantity"),
    pytest.param("secrets", "v1", {"metadata": {"name": "s"}, "data": {"a": "not base64!"}}, id="bad base64"),
    pytest.param(
        "leases",
        "coordination.k8s.io/v1",
        lease("l", renewTime="2026-01-02T03:04:07.5Z"),
        id="a time without six decimals",
    ),
    pytest.param("configmaps", "v1", {"metadata": {"name": "c"}, "data": {"a": 1}}, id="a number for a text"),
    pytest.param("configmaps", "v1", {"metadata": {"name": "c"}, "data": []}, id="a list for a map"),
]


@pytest.mark.parametrize(("plural", "group", "obj"), MALFORMED)
async def test_what_does_not_fit_its_type(api: Api, plural: str, group: str, obj: dict[str, Any]) -> None:
    """A value of the wrong type is 400, not 422."""
    reply = await api.post(api.path(plural, group=group), obj)

    body = reply.failed(400, "BadRequest")
    assert "cannot be handled as a" in body["message"]


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        (
            {
                "spec": {
                    "selector": {"matchLabels": {"app": "o"}},
                    "template": {"metadata": {"labels": {"app": "o"}}},
                }
            },
            "spec.selector",
        ),
        ({"spec": {"template": {"metadata": {"labels": {"app": "o"}}}}}, RULES),
    ],
)
async def test_selectors_stay(api: Api, patch: dict[str, Any], field: str) -> None:
    """The selector of a deployment cannot change, and must match the template."""
    await api.create("deployments", deployment("web"), group=APPS)

    reply = await api.patch(api.path("deployments", "web", group=APPS), patch)

    reply.failed(422, "Invalid")
    assert reply.cause_fields() == [field]


async def test_pods_hardly_change(api: Api) -> None:
    """The image of a pod may change, its environment and node may not."""
    await api.create("pods", pod("p"))
    path = api.path("pods", "p")

    image = await api.patch(
        path,
        [{"op": "replace", "path": "/spec/containers/0/image", "value": "y:2"}],
        "application/json-patch+json",
    )
    env = await api.patch(
        path,
        [{"op": "add", "path": "/spec/containers/0/env", "value": [{"name": "A"}]}],
        "application/json-patch+json",
    )

    assert image.ok()["spec"]["containers"][0]["image"] == "y:2"
    env.failed(422, "Invalid")
    assert env.cause_fields() == ["spec"]


async def test_immutable_data(api: Api) -> None:
    """Data that was declared immutable cannot change, nor can the declaration."""
    await api.create("configmaps", config_map("c") | {"immutable": True})
    path = api.path("configmaps", "c")

    changed = await api.patch(path, {"data": {"b": "2"}})
    undone = await api.patch(path, {"immutable": None})

    changed.failed(422, "Invalid")
    assert changed.cause_fields() == ["data"]
    undone.failed(422, "Invalid")
    assert undone.cause_fields() == ["immutable"]


async def test_the_type_of_a_secret_stays(api: Api) -> None:
    """A secret keeps its type."""
    await api.create("secrets", {"metadata": {"name": "s"}})

    reply = await api.patch(api.path("secrets", "s"), {"type": "other"})

    reply.failed(422, "Invalid")
    assert reply.cause_fields() == ["type"]


async def test_job_templates_stay(api: Api) -> None:
    """The pods of a job are settled when it is made."""
    await api.create("jobs", job("Never"), group=BATCH)
    template = {"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "other"}]}}}}

    reply = await api.patch(api.path("jobs", "once", group=BATCH), template)

    reply.failed(422, "Invalid")
    assert reply.cause_fields() == ["spec.template"]


async def test_cluster_addresses(api: Api) -> None:
    """An address that is taken or out of range is refused; one that was given stays."""
    made = await api.create("services", service("web"))
    address = made["spec"]["clusterIP"]

    taken = await api.post(api.path("services"), service("other", clusterIP=address))
    outside = await api.post(api.path("services"), service("other", clusterIP="192.0.2.1"))
    moved = await api.patch(
        api.path("services", "web"), {"spec": {"clusterIP": "192.0.2.1", "clusterIPs": ["192.0.2.1"]}}
    )

    for reply, field in (
        (taken, "spec.clusterIPs"),
        (outside, "spec.clusterIPs"),
        (moved, "spec.clusterIPs[0]"),
    ):
        reply.failed(422, "Invalid")
        assert reply.cause_fields() == [field]


async def test_loopback_endpoints(api: Api) -> None:
    """Real servers refuse loopback addresses; the pods of a sandbox have them."""
    subsets = [{"addresses": [{"ip": "127.0.0.5"}], "ports": [{"port": 80}]}]

    reply = await api.post(api.path("endpoints"), {"metadata": {"name": "manual"}, "subsets": subsets})

    if api.server.name == "embedded":
        reply.ok()
    else:
        reply.failed(422, "Invalid")
        assert reply.cause_fields() == ["subsets[0].addresses[0].ip"]
