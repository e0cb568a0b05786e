"""Where a pod template refers to ConfigMaps and Secrets."""

from __future__ import annotations

import copy

from flagger.kube.objects import CONFIG_MAP, SECRET, Object
from flagger.workloads.references import Reference, redirect, references_of


def a_template() -> Object:
    """A reference at every place, and some that don't count."""
    return {
        "spec": {
            "imagePullSecrets": [{"name": "registry"}],
            "volumes": [
                {"name": "a", "configMap": {"name": "files", "items": [{"key": "x", "path": "y"}]}},
                {"name": "b", "secret": {"secretName": "tls", "optional": True}},
                {
                    "name": "c",
                    "projected": {
                        "sources": [
                            {"configMap": {"name": "bundle"}},
                            {"secret": {"name": "bundle"}},
                            {"serviceAccountToken": {"path": "token"}},
                        ]
                    },
                },
                {"name": "d", "emptyDir": {}},
            ],
            "containers": [
                {
                    "name": "web",
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "env", "key": "b"}}},
                        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "db", "key": "c"}}},
                        {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    ],
                    "envFrom": [{"configMapRef": {"name": "flags", "optional": True}}],
                }
            ],
            "initContainers": [{"name": "migrate", "envFrom": [{"secretRef": {"name": "db"}}]}],
        }
    }


ALL = {
    "configmap/files": True,
    "configmap/bundle": True,
    "configmap/env": True,
    "configmap/flags": False,
    "secret/tls": False,
    "secret/bundle": True,
    "secret/db": True,
}


def test_finds_every_place() -> None:
    """Volumes, projected sources, variables, whole environments, init containers; ConfigMaps come first."""
    found = references_of(a_template())

    assert {reference.key: mandatory for reference, mandatory in found.items()} == ALL
    assert next(iter(found)) == Reference(CONFIG_MAP, "files")
    assert list(found)[-1] == Reference(SECRET, "db")


def test_a_template_without_references() -> None:
    """Nothing is found where nothing is."""
    assert references_of({"spec": {"containers": [{"name": "web"}]}}) == {}


def test_redirects_what_is_tracked() -> None:
    """Names change at every place, and nothing else does; of the same name, only the tracked kind."""
    template, before = a_template(), a_template()
    tracked = {"configmap/files", "configmap/bundle", "configmap/env", "secret/db"}

    redirect(template, tracked)

    found = {reference.key for reference in references_of(template)}
    assert found == (ALL.keys() - tracked) | {f"{key}-primary" for key in tracked}
    restored = copy.deepcopy(template)
    text = str(restored).replace("-primary", "")
    assert text == str(before)
