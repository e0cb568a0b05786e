"""Updates: which path writes what, what raises the generation, what stays."""

import copy
from typing import Any

import pytest

from tests.sandbox.apiserver.types.builders import (
    NOW,
    Object,
    a_deployment,
    built_in,
    placed,
    widget,
    widgets,
)

DEPLOYMENTS = built_in("apps", "v1", "deployments")


def changed(obj: Object, path: str, value: Any) -> Object:
    """A copy with one member changed."""
    copied = copy.deepcopy(obj)
    *parents, last = path.split("/")
    place = copied
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return copied


def made(group: str, plural: str, obj: Object) -> tuple[Any, Object]:
    """A type and a stored object of it."""
    kind = built_in(group, "v1", plural)
    return kind, kind.prepare_create(placed(kind, "shop", obj), NOW)


GENERATIONS = [
    ("spec/replicas", 5, 2),
    ("metadata/annotations", {"a": "b"}, 2),
    ("metadata/labels", {"a": "b"}, 1),
    ("status/replicas", 5, 1),
]


@pytest.mark.parametrize(("path", "value", "generation"), GENERATIONS, ids=[case[0] for case in GENERATIONS])
def test_generation_of_deployments(path: str, value: Any, generation: int) -> None:
    """Spec and annotations count, labels and status do not."""
    old = a_deployment()

    new = DEPLOYMENTS.prepare_update(old, changed(old, path, value))

    assert new["metadata"]["generation"] == generation


def test_main_path_ignores_status() -> None:
    """A write of the object leaves its status alone."""
    old = a_deployment() | {"status": {"replicas": 2}}

    new = DEPLOYMENTS.prepare_update(old, changed(old, "status/replicas", 7))

    assert new["status"] == {"replicas": 2}


def test_status_path_ignores_the_rest() -> None:
    """A write of the status leaves spec, labels and generation alone; conditions get their times."""
    old = a_deployment()
    sent = changed(changed(old, "spec/replicas", 9), "metadata/labels", {"x": "y"})
    sent["status"] = {"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]}

    new = DEPLOYMENTS.prepare_update(old, sent, "status")

    assert (new["spec"], new["metadata"]) == (old["spec"], old["metadata"])
    [condition] = new["status"]["conditions"]
    assert condition["lastTransitionTime"] is None


def test_what_clients_cannot_change() -> None:
    """Identity, times and generation come back."""
    old = a_deployment()
    sent = changed(
        old,
        "metadata",
        {"name": "web", "generation": 9, "uid": "other", "deletionTimestamp": "2026-01-02T03:04:05Z"},
    )

    new = DEPLOYMENTS.prepare_update(old, sent)

    kept = ("uid", "creationTimestamp", "generation", "namespace")
    assert {name: new["metadata"][name] for name in kept} == {name: old["metadata"][name] for name in kept}
    assert "deletionTimestamp" not in new["metadata"]


def test_generation_of_slices_follows_their_data() -> None:
    """Endpoints of a slice count, labels do not."""
    kind, old = made("discovery.k8s.io", "endpointslices", {"metadata": {"name": "s"}, "addressType": "IPv4"})

    data = kind.prepare_update(old, changed(old, "endpoints", [{"addresses": ["10.0.0.1"]}]))
    labels = kind.prepare_update(old, changed(old, "metadata/labels", {"a": "b"}))

    assert data["metadata"]["generation"] == 2
    assert labels["metadata"]["generation"] == 1


@pytest.mark.parametrize("plural", ["configmaps", "secrets", "pods", "services", "namespaces"])
def test_kinds_without_generation(plural: str) -> None:
    """Many kinds have no generation."""
    obj = {"metadata": {"name": "x", "generation": 7}, "spec": {"containers": [{"name": "a", "image": "x"}]}}

    _, old = made("", plural, obj)

    assert "generation" not in old["metadata"]


def test_services_keep_their_address() -> None:
    """A write that leaves the address out does not take it away."""
    kind, old = made(
        "",
        "services",
        {"metadata": {"name": "s"}, "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}},
    )
    sent = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}}

    new = kind.prepare_update(old, sent)

    assert (new["spec"]["clusterIP"], new["spec"]["clusterIPs"]) == ("10.96.0.9", ["10.96.0.9"])
    assert kind.validate(new, old) == []


def test_namespaces_change_finalizers_through_finalize_only() -> None:
    """PUT and PATCH leave the list alone, /finalize writes nothing else."""
    kind, old = made("", "namespaces", {"metadata": {"name": "shop"}})
    sent = changed(changed(old, "spec/finalizers", []), "metadata/annotations", {"a": "b"})

    main = kind.prepare_update(old, sent)
    final = kind.prepare_update(old, sent, "finalize")

    assert main["spec"] == {"finalizers": ["kubernetes"]}
    assert main["metadata"]["annotations"] == {"a": "b"}
    assert not final["spec"].get("finalizers")
    assert final["metadata"] == old["metadata"]


def test_templates_of_daemon_sets_are_counted() -> None:
    """Each new template raises the count in the annotation, which cannot be lost."""
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "x:1"}]}}
    kind, old = made(
        "apps",
        "daemonsets",
        {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}},
    )
    sent = changed(
        changed(old, "metadata/annotations", {}),
        "spec/template/spec/containers",
        [{"name": "a", "image": "x:2"}],
    )

    new = kind.prepare_update(old, sent)

    assert new["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "2"}


SPEC = {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}}


def test_custom_resources_with_status() -> None:
    """With the subresource, each path writes its own part; without it, status is data like any other."""
    with_status = widgets(SPEC, subresources={"status": {}})
    plain = widgets(SPEC)
    body = widget(size=2) | {"status": {"phase": "x"}}

    split = with_status.prepare_create(body, NOW)
    whole = plain.prepare_create(body, NOW)

    assert "status" not in split
    assert "status" in whole
    written = with_status.prepare_update(split, body | {"spec": {"size": 9}}, "status")
    assert written["spec"] == {"size": 2}
    assert written["metadata"]["generation"] == 1
    again = with_status.prepare_update(written, widget(size=3))
    assert "status" in again
    assert again["metadata"]["generation"] == 2


def test_metadata_of_custom_resources_does_not_count() -> None:
    """Labels and annotations of a custom resource leave its generation alone."""
    kind = widgets(SPEC)
    old = kind.prepare_create(widget(size=2), NOW)

    new = kind.prepare_update(old, changed(old, "metadata/annotations", {"a": "b"}))

    assert new["metadata"]["generation"] == 1


def test_a_changed_schema_changes_what_is_read() -> None:
    """Reading prunes and defaults by the present schema."""
    stored = widgets().prepare_create(widget(), NOW) | {"spec": {"gone": 1}}

    shown = widgets(SPEC).prepare_read(stored)

    assert shown["spec"] == {"size": 1}
    assert shown["metadata"] == stored["metadata"]
