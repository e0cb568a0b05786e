"""The variables of a container."""

import base64

import pytest

from flagger.kube.objects import CONFIG_MAP, SECRET, Kind, Object
from flagger.sandbox.kubelet.environment import (
    MissingConfig,
    PodFacts,
    environment,
    expand,
    quantity,
    service_variables,
)

POD: Object = {
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "uid": "u-1",
        "labels": {"app": "web", "tier": 'a"b'},
        "annotations": {"note": "hi"},
    },
    "spec": {"nodeName": "sandbox"},
}
FACTS = PodFacts(POD, "127.128.0.5", "127.0.0.1", {"cpu": "2", "memory": "4Gi"})


def lookup(kind: Kind, namespace: str, name: str) -> Object | None:
    """A cluster with one ConfigMap and one Secret, both `settings` in `shop`."""
    if (namespace, name) != ("shop", "settings"):
        return None
    binary = {"raw": base64.b64encode(b"\x00\x01").decode()}
    secret = {"password": base64.b64encode(b"s3cret").decode()}
    return {CONFIG_MAP: {"data": {"color": "teal"}, "binaryData": binary}, SECRET: {"data": secret}}.get(kind)


def values(*env: Object, **container: object) -> dict[str, str]:
    """The variables of a container."""
    return environment({"name": "app", "env": list(env), **container}, FACTS, lookup, {"PATH": "/bin"})


def field(path: str) -> Object:
    """A variable X from a field of the pod."""
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['note']", "hi"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'app="web"\ntier="a\\"b"'),
        ("spec.nodeName", "sandbox"),
        ("spec.serviceAccountName", "default"),
        ("status.podIP", "127.128.0.5"),
        ("status.podIPs", "127.128.0.5"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_fields_of_the_pod(path: str, expected: str) -> None:
    """The downward API has what pods ask for."""
    assert values(field(path))["X"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)-$(B)", "1-2"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$A", "$A"),
        ("$(A", "$(A"),
    ],
)
def test_references_between_variables(text: str, expected: str) -> None:
    """Known names are replaced, unknown ones stay, a doubled dollar is one."""
    assert expand(text, {"A": "1", "B": "2"}) == expected


def test_sources_and_their_order() -> None:
    """The base comes first, then envFrom with its prefix, then env, which sees what was before."""
    found = values(
        {"name": "LITERAL", "value": "x"},
        {"name": "PATH", "value": "/opt:$(PATH)"},
        {"name": "EMPTY"},
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "settings", "key": "password"}}},
        {"name": "NOT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
        {"name": "COPY", "value": "$(CFG_color)"},
        envFrom=[
            {"prefix": "CFG_", "configMapRef": {"name": "settings"}},
            {"secretRef": {"name": "settings"}},
        ],
    )

    assert found == {
        "PATH": "/opt:/bin",
        "CFG_color": "teal",
        "CFG_raw": "\x00\x01",
        "password": "s3cret",
        "LITERAL": "x",
        "EMPTY": "",
        "COLOR": "teal",
        "PASSWORD": "s3cret",
        "COPY": "teal",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "x"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "settings", "key": "x"}}, "couldn't find key x in Secret shop/settings"),
    ],
)
def test_names_what_is_missing(source: Object, message: str) -> None:
    """A reference that is not optional says what is not there."""
    with pytest.raises(MissingConfig, match=message):
        values({"name": "X", "valueFrom": source})


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"resource": "limits.cpu"}, "1"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "500"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "requests.memory", "divisor": "1Gi"}, "4"),
    ],
)
def test_resources(reference: Object, expected: str) -> None:
    """Limits in units of the divisor, rounded up; the node's capacity where there is no limit."""
    limits = {"limits": {"cpu": "500m", "memory": "64Mi"}}
    found = values({"name": "X", "valueFrom": {"resourceFieldRef": reference}}, resources=limits)

    assert found["X"] == expected


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("250m", 0.25), ("1Ki", 1024), ("2M", 2e6), ("1e3", 1000), ("x", 0)]
)
def test_quantities(text: str, number: float) -> None:
    """Suffixes are powers of ten or of two."""
    assert quantity(text) == number


def test_services_as_variables() -> None:
    """Those with an address are there under their upper-case name."""
    services = [
        {"metadata": {"name": "my-db"}, "spec": {"clusterIP": "127.96.0.9", "ports": [{"port": 5432}]}},
        {"metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}},
    ]
    assert dict(service_variables(services)) == {
        "MY_DB_SERVICE_HOST": "127.96.0.9",
        "MY_DB_SERVICE_PORT": "5432",
    }
