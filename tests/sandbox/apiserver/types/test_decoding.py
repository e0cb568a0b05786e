"""Built-in objects: value types, unknown fields, zero values."""

from typing import Any

import pytest

from flagger.sandbox.apiserver.types.values import DecodeError
from tests.sandbox.apiserver.types.builders import NOW, Object, a_deployment, built_in, placed

DEPLOYMENTS = built_in("apps", "v1", "deployments")
PODS = built_in("", "v1", "pods")


def stored(plural: str, obj: Object, group: str = "", version: str = "v1") -> Object:
    """An object as it is stored."""
    kind = built_in(group, version, plural)
    return kind.prepare_create(placed(kind, "shop", obj), NOW)


WRONG = [
    (
        {"spec": {"replicas": "two"}},
        "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    ({"spec": {"replicas": True}}, "cannot unmarshal bool into Go struct field DeploymentSpec.spec.replicas"),
    ({"spec": {"replicas": 1.5}}, "cannot unmarshal number into"),
    ({"spec": {"paused": "yes"}}, "DeploymentSpec.spec.paused of type bool"),
    ({"spec": []}, "cannot unmarshal array into Go struct field Deployment.spec"),
    ({"spec": {"template": {"spec": {"containers": {}}}}}, "PodSpec.spec.template.spec.containers"),
    (
        {"spec": {"template": {"spec": {"containers": [{"name": 1}]}}}},
        "Container.spec.template.spec.containers.name",
    ),
    ({"metadata": {"labels": {"a": 1}}}, "ObjectMeta.metadata.labels of type string"),
    ({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1.5}}}}, "maxSurge of type intstr.IntOrString"),
]


@pytest.mark.parametrize(("obj", "text"), WRONG, ids=[case[1] for case in WRONG])
def test_wrong_types(obj: Object, text: str) -> None:
    """A value of the wrong type names the field and the type that was wanted."""
    with pytest.raises(DecodeError) as failure:
        DEPLOYMENTS.prepare_create({"metadata": {"name": "d"}} | obj, NOW)

    assert str(failure.value).startswith(
        'Deployment in version "v1" cannot be handled as a Deployment: json: '
    )
    assert text in str(failure.value)


VALUES = [
    ("secrets", {"data": {"a": "not base64!"}}, "illegal base64 data at input byte 3"),
    ("events", {"lastTimestamp": "yesterday"}, 'parsing time "yesterday"'),
    ("events", {"eventTime": "2026-01-02T03:04:05.5Z"}, "2006-01-02T15:04:05.000000Z07:00"),
    ("events", {"lastTimestamp": "2026-99-02T03:04:05Z"}, "parsing time"),
    ("limitranges", {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "much"}}]}}, "quantities must match"),
]


@pytest.mark.parametrize(("plural", "obj", "text"), VALUES, ids=[case[2] for case in VALUES])
def test_malformed_texts(plural: str, obj: Object, text: str) -> None:
    """Texts with a form of their own are checked too."""
    with pytest.raises(DecodeError, match="cannot be handled as a") as failure:
        stored(plural, {"metadata": {"name": "x"}} | obj)

    assert text in str(failure.value)


TIMES = [
    ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    ("2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05Z"),
    ("2026-01-02T03:04:05.999Z", "2026-01-02T03:04:05Z"),
]


@pytest.mark.parametrize(("written", "kept"), TIMES)
def test_times_are_utc_with_whole_seconds(written: str, kept: str) -> None:
    """The same moment is stored the same way."""
    assert stored("events", {"metadata": {"name": "e"}, "lastTimestamp": written})["lastTimestamp"] == kept


def test_micro_times_keep_six_decimals() -> None:
    """Times of leases have exactly six decimals."""
    spec = {"renewTime": "2026-01-02T05:04:05.500000+02:00"}

    made = stored("leases", {"metadata": {"name": "l"}, "spec": spec}, "coordination.k8s.io")

    assert made["spec"]["renewTime"] == "2026-01-02T03:04:05.500000Z"


def test_unknown_fields() -> None:
    """Unknown fields are named with their path and not stored."""
    containers = [{"name": "a", "image": "x", "imagee": "y"}]
    spec = {
        "replicass": 2,
        "template": {"spec": {"containers": containers}},
        "selector": {"matchLabels": {"any": "x"}},
    }
    obj = {"metadata": {"name": "d", "labels": {"free": "x"}, "nope": 1}, "spec": spec, "extra": {}}

    found = DEPLOYMENTS.unknown_fields(obj)

    assert sorted(found) == [
        "extra",
        "metadata.nope",
        "spec.replicass",
        "spec.template.spec.containers[0].imagee",
    ]
    made = DEPLOYMENTS.prepare_create(placed(DEPLOYMENTS, "shop", obj), NOW)
    assert DEPLOYMENTS.unknown_fields(made) == []


def test_nothing_is_shared_with_the_input() -> None:
    """Preparing an object leaves the input alone and shares nothing that could change."""
    obj = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x", "args": ["b"]}]}}
    sent = placed(PODS, "shop", obj)

    made = PODS.prepare_create(sent, NOW)
    made["spec"]["containers"][0]["args"].append("c")

    assert obj["spec"]["containers"] == [{"name": "a", "image": "x", "args": ["b"]}]  # type: ignore[index]


ZEROS: list[tuple[Any, bool]] = [
    ({"minReadySeconds": 0}, False),
    ({"paused": False}, False),
    ({"replicas": 0}, True),
    ({"revisionHistoryLimit": 0}, True),
]


@pytest.mark.parametrize(("spec", "kept"), ZEROS, ids=[str(case[0]) for case in ZEROS])
def test_zero_values(spec: Object, kept: bool) -> None:
    """A zero stays where it differs from absence, and goes elsewhere."""
    made = a_deployment(**spec)

    assert (next(iter(spec)) in made["spec"]) is kept


def test_empty_lists_that_cannot_be_left_out_are_null() -> None:
    """As in Go, an empty list and an absent one are the same."""
    empty = {"metadata": {"name": "r"}, "rules": []}

    assert stored("roles", empty, "rbac.authorization.k8s.io")["rules"] is None
    assert stored("roles", {"metadata": {"name": "r"}}, "rbac.authorization.k8s.io")["rules"] is None


def test_preparing_twice_changes_nothing() -> None:
    """What is stored is its own stored form: a write of it is no change."""
    made = a_deployment()

    again = DEPLOYMENTS.prepare_update(made, made)

    assert again == made
