"""Objects with one odd value, sent to the embedded and to a real server: both must say the same.

The mutations are drawn with a fixed seed, so that a failure repeats. What may differ is listed with its reason.
"""

import copy
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map, deployment, lease, pod, pod_template, service
from tests.conformance.kubernetes_api.servers import Api, Server, client, embedded, real
from tests.fakes.envtest import start_control_plane

pytestmark = pytest.mark.envtest
Object = dict[str, Any]
Place = tuple[str | int, ...]

SEED, PER_KIND = 20260102, 40
ODD: list[Any] = ["", 0, -1, "x y", "X", "x", [], {}, None, True, 70000, "99", [{}], 2.5]


class Gone:
    """Stands for a field that is taken away; prints alike in every process."""

    def __repr__(self) -> str:
        return "gone"


GONE = Gone()
TYPE = {"apiVersion", "kind"}

LABELS = {"app": "web"}
CONTAINER: Object = {
    "command": ["run"],
    "args": ["fast"],
    "env": [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "c"}}],
    "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
    "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    "livenessProbe": {"httpGet": {"path": "/x", "port": 80}, "periodSeconds": 3},
    "readinessProbe": {"tcpSocket": {"port": "http"}, "successThreshold": 2},
    "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
    "imagePullPolicy": "Always",
}
POD_SPEC: Object = {
    "volumes": [
        {"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
        {"name": "s", "secret": {"secretName": "s"}},
    ],
    "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
    "hostAliases": [{"ip": "192.0.2.4", "hostnames": ["h"]}],
    "imagePullSecrets": [{"name": "x"}],
    "serviceAccountName": "sa",
    "nodeSelector": {"a": "b"},
    "restartPolicy": "Always",
}


def full_template() -> Object:
    """A pod template with a bit of everything."""
    made = pod_template(dict(LABELS), **copy.deepcopy(CONTAINER))
    made["spec"] |= copy.deepcopy(POD_SPEC)
    return made


def full_pod() -> Object:
    """A pod with a bit of everything."""
    made = pod("p", labels=dict(LABELS), annotations={"x/y": "z"})
    return made | {"spec": full_template()["spec"] | {"nodeName": "n"}}


def workload(**spec: Any) -> Object:
    """Something that makes pods."""
    selector = {
        "matchLabels": dict(LABELS),
        "matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}],
    }
    return {"metadata": {"name": "w"}, "spec": {"selector": selector, "template": full_template()} | spec}


JOB_POD = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]}}
BACKEND = {"service": {"name": "w", "port": {"number": 80}}}
ABOUT = {"kind": "Pod", "name": "p", "namespace": "NAMESPACE", "apiVersion": "v1"}
SCALED = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
RBAC = "rbac.authorization.k8s.io"

OBJECTS: dict[str, tuple[str, Object]] = {
    "pods": ("v1", full_pod()),
    "deployments": (
        "apps/v1",
        deployment(
            "web",
            template=full_template(),
            strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            minReadySeconds=3,
            progressDeadlineSeconds=60,
            selector={"matchLabels": dict(LABELS)},
        ),
    ),
    "replicasets": ("apps/v1", workload(replicas=1, minReadySeconds=3)),
    "daemonsets": (
        "apps/v1",
        workload(
            updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            revisionHistoryLimit=2,
        ),
    ),
    "jobs": (
        "batch/v1",
        {
            "metadata": {"name": "j"},
            "spec": {"completions": 2, "backoffLimit": 3, "template": copy.deepcopy(JOB_POD)},
        },
    ),
    "services": (
        "v1",
        service(
            "s",
            clusterIP="None",
            sessionAffinity="None",
            ports=[
                {"name": "a", "port": 80, "targetPort": "http", "protocol": "TCP"},
                {"name": "b", "port": 81},
            ],
        ),
    ),
    "endpoints": (
        "v1",
        {
            "metadata": {"name": "s"},
            "subsets": [
                {
                    "addresses": [{"ip": "192.0.2.1"}],
                    "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}],
                }
            ],
        },
    ),
    "ingresses": (
        "networking.k8s.io/v1",
        {
            "metadata": {"name": "i"},
            "spec": {
                "ingressClassName": "x",
                "defaultBackend": {"service": {"name": "w", "port": {"name": "http"}}},
                "rules": [
                    {
                        "host": "a.example.com",
                        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]},
                    }
                ],
            },
        },
    ),
    "horizontalpodautoscalers": (
        "autoscaling/v1",
        {"metadata": {"name": "h"}, "spec": {"minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": SCALED}},
    ),
    "configmaps": (
        "v1",
        config_map(
            "c",
            labels={"a": "b"},
            annotations={"a": "b"},
            finalizers=["a.example.com/c"],
            ownerReferences=[{"apiVersion": "v1", "kind": "X", "name": "n", "uid": "u", "controller": True}],
        ),
    ),
    "secrets": (
        "v1",
        {"metadata": {"name": "c"}, "data": {"a": "YQ=="}, "stringData": {"b": "c"}, "type": "Opaque"},
    ),
    "events": (
        "v1",
        {
            "metadata": {"name": "e"},
            "involvedObject": ABOUT,
            "reason": "R",
            "message": "m",
            "type": "Normal",
            "count": 2,
            "lastTimestamp": "2026-01-02T03:04:05Z",
            "source": {"component": "c"},
        },
    ),
    "leases": ("coordination.k8s.io/v1", lease("l", leaseTransitions=1)),
    "roles": (
        f"{RBAC}/v1",
        {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]},
    ),
    "rolebindings": (
        f"{RBAC}/v1",
        {
            "metadata": {"name": "r"},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u", "apiGroup": RBAC},
                {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
            ],
        },
    ),
    "serviceaccounts": (
        "v1",
        {"metadata": {"name": "s"}, "secrets": [{"name": "x"}], "imagePullSecrets": [{"name": "y"}]},
    ),
    "persistentvolumeclaims": (
        "v1",
        {
            "metadata": {"name": "q", "finalizers": ["kubernetes.io/pvc-protection"]},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
    ),
}

TOLERATED: list[tuple[str, str]] = [
    (r"metadata\.name", "a name that is no text is told as a missing name"),
    (r"metadata\.finalizers|pvc-protection", "finalizers that admission adds"),
    (r"spec\.clusterIP = ", "older servers give no address in a dry run"),
    (r"imagePullPolicy", "an image reference that is malformed counts as one without a tag"),
    (r"(data|binaryData)\.\w+ = \[\]", "Go takes a list of numbers for bytes"),
    (r"addresses.*ip", "real servers check some addresses twice"),
    (r"subjects", "a subject may break one rule more"),
]
"""Place and value → why the answers may differ there."""
LEARNED = re.compile(
    r"internalTrafficPolicy|ipFamil|maxSurge|completionMode|suspend|podReplacementPolicy|batch\.kubernetes\.io"
    r"|controller-uid|ttlSecondsAfterFinished|clusterIPs|job-name"
)
"""Members that newer servers add, or that hold a uid."""


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """All places in an object."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*place, key)
        yield from places(item, (*place, key))


def mutated(obj: Object, place: Place, value: Any) -> Object:
    """A copy with another value, or none, at a place."""
    copied = copy.deepcopy(obj)
    inner: Any = copied
    for key in place[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return copied


def mutations(plural: str) -> list[tuple[str, Object]]:
    """Some objects with one odd value, by what is odd."""
    _, obj = OBJECTS[plural]
    every = [(place, value) for place in places(obj) if place[0] not in TYPE for value in [GONE, *ODD]]
    drawn = random.Random(f"{SEED} {plural}").sample(every, min(PER_KIND, len(every)))
    shown = [(place, "gone" if value is GONE else repr(value), value) for place, value in drawn]
    return [
        (f"{'.'.join(map(str, place))} = {text}", mutated(obj, place, value)) for place, text, value in shown
    ]


def answer(status: int, body: Any) -> Any:
    """What of an answer must be the same: the causes of a refusal, or the object."""
    if status == 422:
        return sorted(
            {(cause.get("field"), cause["reason"]) for cause in body["details"].get("causes") or ()}
        )
    if status != 201:
        return None
    meta = {
        key: body["metadata"][key]
        for key in body["metadata"]
        if key in {"name", "labels", "annotations", "finalizers"}
    }
    return {key: value for key, value in body.items() if key != "metadata"} | {"metadata": meta}


def differences(ours: Any, theirs: Any, place: str = "") -> Iterator[str]:
    """Where two values differ, besides what servers have learned."""
    if LEARNED.search(place):
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(ours.get(key, "(absent)"), theirs.get(key, "(absent)"), f"{place}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{place}[{index}]")
    elif ours != theirs:
        yield f"{place}: ours {ours!r}, theirs {theirs!r}"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """The embedded and a real server side by side."""
    folders = [tmp_path_factory.mktemp(name) for name in ("real", "embedded")]
    with start_control_plane(folders[0]) as plane, embedded(folders[1]) as ours:
        yield ours, real(plane.kubeconfig, plane.version)


@pytest.fixture
async def clients(both: tuple[Server, Server]) -> AsyncIterator[tuple[Api, Api]]:
    """Administrators of both, each in a namespace of its own."""
    async with client(both[0]) as ours, client(both[1]) as theirs:
        yield ours, theirs


async def ask(api: Api, plural: str, obj: Object) -> tuple[int, Any]:
    """Send an object without storing it."""
    group, _ = OBJECTS[plural]
    text = json.dumps(obj).replace("NAMESPACE", api.namespace).encode()
    options: Any = {"params": {"dryRun": "All"}, "headers": {"Content-Type": "application/json"}}
    reply = await api.post(api.path(plural, group=group), text, **options)
    body = json.loads(json.dumps(reply.body).replace(api.namespace, "NAMESPACE"))
    return reply.status, answer(reply.status, body)


@pytest.mark.parametrize("plural", OBJECTS)
async def test_both_servers_say_the_same(clients: tuple[Api, Api], plural: str) -> None:
    """An object with one odd value has the same fate on both: the same causes, or the same stored form."""
    found = []
    for odd, obj in [("as it is", OBJECTS[plural][1]), *mutations(plural)]:
        (status, ours), (expected, theirs) = [await ask(api, plural, obj) for api in clients]
        if any(re.search(pattern, f"{odd} {ours}") for pattern, _ in TOLERATED):
            continue
        if status != expected:
            found.append(f"{odd}: ours {status} {ours}, theirs {expected} {theirs}")
        else:
            found += [f"{odd}: {text}" for text in differences(ours, theirs)]

    assert not found, "\n".join(found)
