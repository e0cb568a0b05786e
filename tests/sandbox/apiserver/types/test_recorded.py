"""Exchanges recorded from a real server: what is stored, and what is refused."""

from typing import Any

import pytest

from tests.sandbox.apiserver.types.builders import NOW, Object, a_registry, placed, resource, samples

CREATED_SAMPLES = samples("created")
REFUSED = samples("refused")
WIDGETS = next(item["sent"] for item in CREATED_SAMPLES if item["name"] == "crd-create")

NEWER: dict[str, Object] = {
    "DaemonSet": {"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 0}}}},
    "Job": {
        "spec": {
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "TerminatingOrFailed",
        }
    },
    "Service": {
        "spec": {"internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
    },
}
"""Defaults that servers have learned since the recording."""


def merged(one: Any, other: Any) -> Any:
    """Two objects as one."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other
    return one | {key: merged(one.get(key), value) for key, value in other.items()}


def without(obj: Object, *paths: str) -> Object:
    """An object without some members."""
    copied = merged({}, obj)
    for path in paths:
        *parents, last = path.split("/")
        place = copied
        for name in parents:
            place = place.get(name, {})
        place.pop(last, None)
    return copied


def newer(kind: str, stored: Object) -> Object:
    """The recorded object with what a present server would add or leave out."""
    if kind == "Job":
        uid, name = stored["metadata"]["uid"], stored["metadata"]["name"]
        labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
        stored = merged(
            stored, {"metadata": {"labels": labels}, "spec": {"template": {"metadata": {"labels": labels}}}}
        )
        stored["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    if kind == "Namespace":
        stored = merged(
            stored, {"metadata": {"labels": {"kubernetes.io/metadata.name": stored["metadata"]["name"]}}}
        )
    if stored["apiVersion"] == "autoscaling/v2beta2":
        # The newer version leaves out zero and empty members, and keeps the order of metrics.
        stored = without(stored, "status/conditions", "status/currentReplicas")
        stored["spec"]["metrics"].sort(key=lambda metric: metric["resource"]["name"])
    return merged(stored, NEWER.get(kind, {}))


@pytest.mark.parametrize("sample", CREATED_SAMPLES, ids=lambda sample: sample["name"])
def test_what_is_stored(sample: Object) -> None:
    """An object gets exactly the defaults of a real server, besides those that came later."""
    kind, namespace = resource(a_registry(WIDGETS), sample["path"])
    stored = sample["stored"]
    about = {name: stored["metadata"][name] for name in ("name", "uid", "creationTimestamp")}
    sent = without(sample["sent"], "metadata/uid", "metadata/creationTimestamp", "metadata/generateName")

    made = kind.prepare_create(placed(kind, namespace, sent, **about), NOW)

    # The server allocates addresses and versions; the type does not.
    own = ("metadata/resourceVersion", "metadata/generateName", "spec/clusterIP", "spec/clusterIPs")
    expected = newer(stored["kind"], without(stored, *own)) | {"apiVersion": kind.api_version}
    assert without(made, *own) == expected
    assert kind.validate(made) == []


@pytest.mark.parametrize("sample", REFUSED, ids=lambda sample: sample["name"])
def test_what_is_refused(sample: Object) -> None:
    """A violation has exactly the causes of a real server; their order means nothing."""
    registry = a_registry(WIDGETS)
    kind, namespace = resource(registry, sample["path"])

    made = kind.prepare_create(placed(kind, namespace, sample["sent"]), NOW)
    causes = [cause.as_dict() for cause in kind.validate(made)]

    if sample["name"] == "endpoints-loopback-rejected":
        assert causes == []  # a sandbox must allow what its pods live on
        strict, _ = resource(type(registry)(loopback=False), sample["path"])
        causes = [cause.as_dict() for cause in strict.validate(made)]
    assert sorted(map(str, causes)) == sorted(map(str, sample["causes"]))


def test_status_of_a_new_object_is_not_taken_over() -> None:
    """A POST cannot set the status of kinds that have it as a subresource, except of nodes."""
    registry = a_registry()
    status = {"phase": "Running"}
    pods, _ = resource(registry, "/api/v1/namespaces/shop/pods")
    nodes, _ = resource(registry, "/api/v1/nodes")
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}, "status": status}

    made = pods.prepare_create(placed(pods, "shop", pod), NOW)
    node = nodes.prepare_create(placed(nodes, "", {"metadata": {"name": "n"}, "status": status}), NOW)

    assert made["status"]["phase"] == "Pending"
    assert node["status"]["phase"] == "Running"
