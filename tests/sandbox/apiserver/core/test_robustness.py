"""Odd requests: whatever a client sends, the server answers with a Status that says what is wrong, never with 500."""

import json
import random
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
from tests.sandbox.apiserver.core.conftest import Caller

REQUESTS = 400
ODD: list[Any] = [
    None,
    0,
    -1,
    True,
    "x",
    "",
    [],
    {},
    [None],
    {"a": None},
    {"name": "app"},
    1.5,
    [{}],
    [[]],
    {"": 1},
]
MEMBERS = (
    "metadata",
    "spec",
    "status",
    "$patch",
    "finalizers",
    "managedFields",
    "labels",
    "resourceVersion",
    "x",
)
ROOT = "/namespaces/default"
TARGETS: list[tuple[str, Any]] = [
    (f"/api/v1{ROOT}/configmaps", config_map("n1")),
    (f"/apis/apps/v1{ROOT}/deployments", deployment("n1")),
    (f"/api/v1{ROOT}/pods", pod("n1")),
    (f"/api/v1{ROOT}/services", service("n1")),
    (f"/apis/g.example.com/v1{ROOT}/widgets", widget("g.example.com", "n1")),
    (f"/api/v1{ROOT}/serviceaccounts", {"metadata": {"name": "n1"}}),
    ("/apis/authentication.k8s.io/v1/tokenreviews", {"metadata": {"name": "n1"}, "spec": {"token": "x"}}),
]
SUBRESOURCES = ("", "", "", "/status", "/scale", "/eviction", "/binding", "/token", "/ephemeralcontainers")
PATCHES = tuple(
    f"application/{name}"
    for name in ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")
)
PARAMETERS = {
    "fieldManager": ("m", ""),
    "dryRun": ("All", "x"),
    "limit": ("1", "-1", "x"),
    "continue": ("e30", "x"),
    "resourceVersion": ("0", "1"),
    "labelSelector": ("a=b", "a in (", "!"),
    "fieldSelector": ("metadata.name=x", "=", "a="),
    "fieldValidation": ("Strict", "q"),
}


def odd(value: Any, dice: random.Random) -> Any:
    """A value with some parts missing, replaced or added."""
    if dice.random() < 0.07:
        return dice.choice(ODD)
    if isinstance(value, list):
        return [odd(item, dice) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: odd(item, dice) for key, item in value.items() if dice.random() > 0.02}
    return changed | ({dice.choice(MEMBERS): dice.choice(ODD)} if dice.random() < 0.06 else {})


def operations(dice: random.Random) -> Any:
    """A JSON patch that may make sense."""
    paths = (
        "/spec",
        "/metadata/labels/a",
        "/metadata/finalizers/-",
        "/spec/replicas",
        "/metadata",
        "",
        "/x/y",
    )
    names = ("add", "remove", "replace", "test", "move", "copy", "x")
    one = {
        "op": dice.choice(names),
        "path": dice.choice(paths),
        "from": "/metadata/name",
        "value": dice.choice(ODD),
    }
    return odd([one], dice)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_odd_requests(call: Caller, seed: int) -> None:
    """Hundreds of broken bodies, patches and parameters: no defect, and the server still works."""
    dice = random.Random(seed)
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    await call.ok("POST", crds, widget_definition("g.example.com"))
    for _ in range(REQUESTS):
        path, obj = dice.choice(TARGETS)
        await call("POST", path, obj)
        method = dice.choice(("POST", "PUT", "PATCH", "PATCH", "PATCH", "DELETE"))
        kind = dice.choice(PATCHES) if method == "PATCH" else "application/json"
        body = operations(dice) if kind == PATCHES[0] else odd(obj, dice)
        chosen = {name: dice.choice(values) for name, values in PARAMETERS.items() if dice.random() < 0.07}
        url = path if method == "POST" and dice.random() < 0.5 else f"{path}/n1{dice.choice(SUBRESOURCES)}"
        async with call.session.request(
            method, url, data=json.dumps(body), params=chosen, headers={"Content-Type": kind}
        ) as response:
            text = await response.text()
        assert "InternalError" not in text, (method, url, chosen, kind, body)

    for path, obj in TARGETS[:-1]:
        assert (await call("GET", path))[0] == 200, obj
