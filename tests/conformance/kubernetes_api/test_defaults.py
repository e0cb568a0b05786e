"""What the server fills in."""

from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import deployment, pod, pod_template, service
from tests.conformance.kubernetes_api.servers import Api

DRY = {"dryRun": "All"}


async def shown(api: Api, plural: str, obj: dict[str, Any], group: str = "v1") -> dict[str, Any]:
    """The object as the server would store it."""
    body: dict[str, Any] = (await api.post(api.path(plural, group=group), obj, params=DRY)).ok()
    return body


def contains(whole: Any, part: Any) -> bool:
    """Whether every member of `part` is in `whole`, with the same value."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], part[key]) for key in part
        )
    return bool(whole == part)


async def test_deployment(api: Api) -> None:
    """A deployment gets replicas, strategy, limits, and everything a pod template has."""
    obj = deployment("web")
    del obj["spec"]["replicas"]
    obj["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]

    made = await shown(api, "deployments", obj, "apps/v1")

    container = {
        "name": "app",
        "image": "registry.local/checkout:1.0.0",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
    assert contains(
        made["spec"],
        {
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        },
    )
    assert made["spec"]["template"]["spec"] == {
        "containers": [container],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }
    assert made["status"] == {}
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("registry.local/app", "Always"),
        ("registry.local/app:latest", "Always"),
        ("registry.local:5000/app", "Always"),
        ("registry.local:5000/app:1", "IfNotPresent"),
        ("registry.local/app@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
async def test_pull_policy(api: Api, image: str, policy: str) -> None:
    """Images that float are pulled always."""
    made = await shown(api, "pods", pod("p", [{"name": "a", "image": image}]))

    assert made["spec"]["containers"][0]["imagePullPolicy"] == policy


async def test_pod(api: Api) -> None:
    """A pod is pending, tolerates broken nodes for a while, and its requests follow its limits."""
    limits = {"cpu": "1", "memory": "1Gi"}
    made = await shown(api, "pods", pod("p", [{"name": "a", "image": "x", "resources": {"limits": limits}}]))

    assert made["spec"]["containers"][0]["resources"] == {"limits": limits, "requests": limits}
    assert made["status"] == {"phase": "Pending", "qosClass": "Guaranteed"}
    assert {item["key"]: item["tolerationSeconds"] for item in made["spec"]["tolerations"]} == {
        "node.kubernetes.io/not-ready": 300,
        "node.kubernetes.io/unreachable": 300,
    }
    assert made["spec"]["enableServiceLinks"] is True


async def test_probes_and_volumes(api: Api) -> None:
    """Probes, volumes and references have defaults too; a volume without a source is empty."""
    probe = {"httpGet": {"port": 80}}
    container = {
        "name": "a",
        "image": "x",
        "readinessProbe": probe,
        "env": [{"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }
    obj = pod("p", [container])
    obj["spec"]["volumes"] = [
        {"name": "c", "configMap": {"name": "x"}},
        {"name": "n"},
        {"name": "h", "hostPath": {"path": "/x"}},
    ]

    spec = (await shown(api, "pods", obj))["spec"]

    assert spec["containers"][0]["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert spec["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert spec["volumes"] == [
        {"name": "c", "configMap": {"name": "x", "defaultMode": 420}},
        {"name": "n", "emptyDir": {}},
        {"name": "h", "hostPath": {"path": "/x", "type": ""}},
    ]


QUANTITIES = [
    ("0.5", "500m"),
    ("1000m", "1"),
    ("1024Mi", "1Gi"),
    ("1e3", "1e3"),
    ("1000", "1k"),
    ("1.5Gi", "1536Mi"),
]


@pytest.mark.parametrize(("written", "stored"), QUANTITIES)
async def test_quantities_have_one_spelling(api: Api, written: str, stored: str) -> None:
    """Equal amounts are stored alike, however they were written."""
    resources = {"requests": {"cpu": written}}
    made = await shown(api, "pods", pod("p", [{"name": "a", "image": "x", "resources": resources}]))

    assert made["spec"]["containers"][0]["resources"]["requests"]["cpu"] == stored


async def test_zero_values_are_dropped(api: Api) -> None:
    """What says no more than its absence is not stored; what does say more is."""
    obj = deployment("web", paused=False, minReadySeconds=0, replicas=0)
    obj["spec"]["template"]["spec"] |= {"hostNetwork": False, "nodeSelector": {}, "volumes": []}

    spec = (await shown(api, "deployments", obj, "apps/v1"))["spec"]

    assert spec["replicas"] == 0
    assert not {"paused", "minReadySeconds"} & set(spec)
    assert not {"hostNetwork", "nodeSelector", "volumes"} & set(spec["template"]["spec"])


async def test_times_are_utc(api: Api) -> None:
    """A time in another zone is stored in UTC, to the second."""
    about = {"kind": "Deployment", "name": "web", "namespace": api.namespace}
    event = {
        "metadata": {"name": "e"},
        "involvedObject": about,
        "lastTimestamp": "2026-01-02T05:04:05.9+02:00",
    }

    made = await shown(api, "events", event)

    assert made["lastTimestamp"] == "2026-01-02T03:04:05Z"
    assert made["eventTime"] is None
    assert (made["reportingComponent"], made["reportingInstance"]) == ("", "")


async def test_service(api: Api) -> None:
    """A service gets an address, and ports lead to the same number over TCP."""
    made = await api.create("services", service("web"))

    spec = made["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert contains(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    assert made["status"] == {"loadBalancer": {}}


async def test_services_without_address(api: Api) -> None:
    """Headless services and external names get no address."""
    headless = await shown(api, "services", service("h", clusterIP="None"))
    external = {"metadata": {"name": "e"}, "spec": {"type": "ExternalName", "externalName": "example.com"}}

    named = await shown(api, "services", external)

    assert headless["spec"]["clusterIP"] == "None"
    assert "clusterIP" not in named["spec"]


async def test_daemon_set(api: Api) -> None:
    """A daemon set rolls one node at a time, and its mandatory counters are zero."""
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": pod_template({"app": "agent"})}

    made = await shown(api, "daemonsets", {"metadata": {"name": "agent"}, "spec": spec}, "apps/v1")

    assert contains(
        made["spec"],
        {
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "revisionHistoryLimit": 10,
        },
    )
    assert made["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "1"}
    counters = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    assert made["status"] == dict.fromkeys(counters, 0)


async def test_job(api: Api) -> None:
    """A job selects its pods by its own uid."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]}}

    made = await shown(
        api, "jobs", {"metadata": {"name": "once"}, "spec": {"template": template}}, "batch/v1"
    )

    spec, uid = made["spec"], made["metadata"]["uid"]
    assert contains(spec, {"parallelism": 1, "completions": 1, "backoffLimit": 6})
    assert uid in spec["selector"]["matchLabels"].values()
    assert contains(spec["template"]["metadata"]["labels"], {"controller-uid": uid, "job-name": "once"})


async def test_secret(api: Api) -> None:
    """Secret text is merged into data and not shown."""
    obj = {"metadata": {"name": "creds"}, "stringData": {"user": "bob"}, "data": {"pw": "aHVudGVy"}}

    made = await shown(api, "secrets", obj)

    assert made["data"] == {"pw": "aHVudGVy", "user": "Ym9i"}
    assert made["type"] == "Opaque"
    assert "stringData" not in made


async def test_a_removed_field_returns_to_its_default(api: Api) -> None:
    """Taking `replicas` away leaves one."""
    await api.create("deployments", deployment("web", replicas=3), group="apps/v1")

    reply = await api.patch(api.path("deployments", "web", group="apps/v1"), {"spec": {"replicas": None}})

    assert reply.ok()["spec"]["replicas"] == 1
