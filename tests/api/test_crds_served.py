"""A real API server takes the CRDs, and takes and refuses objects as they say."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flagger.api.canary import Canary
from flagger.api.crds import manifests
from flagger.api.names import GROUP, VERSION
from flagger.kube.client import Client
from flagger.kube.errors import Invalid, KindMissing
from flagger.kube.objects import CRD, NAMESPACE, Kind
from tests.api.examples import (
    AB,
    ALERT_PROVIDER,
    BLUE_GREEN,
    GONE,
    METRIC_TEMPLATE,
    WEIGHTED,
    Object,
    changed,
)
from tests.fakes.envtest import ControlPlane

pytestmark = pytest.mark.envtest

NAMES = ("shop", "observability")
KINDS = {
    kind: Kind(GROUP, VERSION, kind, plural)
    for kind, plural in (
        ("Canary", "canaries"),
        ("MetricTemplate", "metrictemplates"),
        ("AlertProvider", "alertproviders"),
    )
}


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """A client of a server that serves our kinds."""
    async with Client(control_plane.connection) as client:
        for manifest in manifests():
            await client.apply(CRD, manifest, manager="tests")
        for name in NAMES:
            await client.apply(NAMESPACE, {"metadata": {"name": name}}, manager="tests")
        async with asyncio.timeout(30):
            for kind in KINDS.values():
                await served(client, kind)
        yield client


async def served(client: Client, kind: Kind) -> None:
    """Wait until the kind is served: a new definition takes a moment."""
    while True:
        definition = await client.get(CRD, f"{kind.plural}.{GROUP}")
        conditions = definition.get("status", {}).get("conditions") or []
        if {"type": "Established", "status": "True"}.items() <= _of_type(conditions, "Established").items():
            return
        await asyncio.sleep(0.05)


def _of_type(conditions: list[Object], kind: str) -> dict[str, Any]:
    return next((condition for condition in conditions if condition["type"] == kind), {})


async def stored(client: Client, obj: Object) -> Object:
    """What the server would store."""
    kind = KINDS[obj["kind"]]
    async with asyncio.timeout(30):
        while True:  # until the new resource answers, its path is unknown to the server
            try:
                return await client.create(kind, obj, dry_run=True)
            except KindMissing:
                await asyncio.sleep(0.05)


async def test_takes_the_definitions(client: Client) -> None:
    """They are accepted as they are: names are free, and the schema is structural."""
    for manifest in manifests():
        definition = await client.get(CRD, manifest["metadata"]["name"])
        conditions = {item["type"]: item["status"] for item in definition["status"]["conditions"]}

        assert conditions["NamesAccepted"] == "True"
        assert conditions.get("NonStructuralSchema", "False") == "False"


@pytest.mark.parametrize(
    "obj",
    [WEIGHTED, BLUE_GREEN, AB, METRIC_TEMPLATE, ALERT_PROVIDER],
    ids=["weighted", "blue-green", "a/b", "template", "alerts"],
)
async def test_takes_the_examples(client: Client, obj: Object) -> None:
    """Nothing that is in the examples is dropped."""
    answer = await stored(client, obj)
    lost = [path for path, value in flat(obj["spec"]).items() if flat(answer["spec"]).get(path) != value]

    assert lost == []


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf of an object by its path."""
    items = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if items is None:
        return {path: value}
    return {leaf: found for key, item in items for leaf, found in flat(item, f"{path}.{key}").items()}


async def test_fills_in_the_defaults_and_drops_the_unknown(client: Client) -> None:
    """Five leaves have defaults; fields outside the schema are pruned, with `canaryAnalysis` among them."""
    odd = changed(
        AB,
        {
            "spec.canaryAnalysis": {"interval": "1m"},
            "spec.analysis.sessionAffinity": {"cookieName": "c"},
            "spec.analysis.match.0.uri": {"exact": "/"},
        },
    )
    spec = (await stored(client, odd))["spec"]

    assert "canaryAnalysis" not in spec
    assert "uri" not in spec["analysis"]["match"][0]
    assert spec["analysis"]["sessionAffinity"]["maxAge"] == 86400
    assert spec["service"]["gatewayRefs"][0] == {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": "public",
        "namespace": "gateways",
    }
    assert spec["service"]["mirror"][0]["backendRef"] == {
        "group": "",
        "kind": "Service",
        "name": "recorder",
        "port": 80,
    }


@pytest.mark.parametrize(
    ("base", "changes", "field"),
    [
        pytest.param(WEIGHTED, {"spec.analysis.stepWeight": 5}, "spec.analysis", id="two ways to step"),
        pytest.param(WEIGHTED, {"spec.analysis.iterations": 5}, "spec.analysis", id="weights and iterations"),
        pytest.param(
            BLUE_GREEN, {"spec.analysis.threshold": GONE}, "spec.analysis.threshold", id="no threshold"
        ),
        pytest.param(BLUE_GREEN, {"spec.analysis.interval": "1h"}, "spec.analysis.interval", id="hours"),
        pytest.param(BLUE_GREEN, {"spec.analysis": GONE}, "spec.analysis", id="no analysis"),
        pytest.param(BLUE_GREEN, {"spec.provider": "abacus"}, "spec.provider", id="unknown provider"),
        pytest.param(BLUE_GREEN, {"spec.targetRef.kind": "Pod"}, "spec.targetRef.kind", id="unknown target"),
        pytest.param(BLUE_GREEN, {"spec.service.port": GONE}, "spec.service.port", id="no port"),
        pytest.param(BLUE_GREEN, {"spec.service.port": "http"}, "spec.service.port", id="a port's name"),
        pytest.param(
            BLUE_GREEN, {"spec.service.targetPort": True}, "targetPort", id="neither number nor name"
        ),
        pytest.param(
            WEIGHTED,
            {"spec.service.match.0.uri": {"exact": "/", "prefix": "/"}},
            "spec.service.match.uri",
            id="two comparisons",
        ),
        pytest.param(
            AB,
            {"spec.analysis.match.0.headers.x-beta": {}},
            "spec.analysis.match.headers.x-beta",
            id="no comparison",
        ),
        pytest.param(
            WEIGHTED,
            {"spec.service.trafficPolicy.loadBalancer.simple": "RANDOM"},
            "loadBalancer",
            id="two balancers",
        ),
        pytest.param(
            WEIGHTED,
            {"spec.service.trafficPolicy.loadBalancer.consistentHash.useSourceIp": True},
            "consistentHash",
            id="two hashes",
        ),
        pytest.param(
            AB, {"spec.service.gatewayRefs.0.namespace": "A b"}, "namespace", id="no namespace's name"
        ),
        pytest.param(
            AB, {"spec.service.gatewayRefs": [{"name": "g"}] * 33}, "gatewayRefs", id="too many gateways"
        ),
        pytest.param(AB, {"spec.service.mirror.0.backendRef.port": 0}, "port", id="port 0"),
        pytest.param(WEIGHTED, {"spec.analysis.webhooks.0.type": "before"}, "type", id="unknown hook"),
        pytest.param(
            WEIGHTED, {"spec.analysis.alerts.0.severity": "fatal"}, "severity", id="unknown severity"
        ),
        pytest.param(
            METRIC_TEMPLATE,
            {"spec.provider.type": "guess"},
            "spec.provider.type",
            id="unknown metric backend",
        ),
        pytest.param(METRIC_TEMPLATE, {"spec.query": GONE}, "spec.query", id="no query"),
        pytest.param(ALERT_PROVIDER, {"spec.address": "http://a"}, "spec", id="address and secret"),
        pytest.param(ALERT_PROVIDER, {"spec.secretRef": GONE}, "spec", id="neither address nor secret"),
    ],
)
async def test_refuses(client: Client, base: Object, changes: dict[str, Any], field: str) -> None:
    """What the schema rules out never reaches the operator; the message names the field."""
    with pytest.raises(Invalid) as caught:
        await stored(client, changed(base, changes))

    assert caught.value.status == 422
    assert field in caught.value.message


async def test_a_static_mirror_needs_a_port(client: Client, control_plane: ControlPlane) -> None:
    """A server that knows validation rules refuses the mirror; an older one leaves it to the operator."""
    portless = changed(AB, {"spec.service.mirror": [{"backendRef": {"name": "recorder"}}]})

    if control_plane.version < (1, 25):
        assert (await stored(client, portless))["kind"] == "Canary"
    else:
        with pytest.raises(Invalid, match="Must have port for Service reference"):
            await stored(client, portless)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"spec": GONE}, id="no spec"),
        pytest.param({"spec.service": GONE}, id="no service"),
        pytest.param({"spec.analysis.iterations": 2.5}, id="half an iteration"),
        pytest.param({"spec.analysis.interval": "5minutes"}, id="an interval that only begins well"),
        pytest.param({"spec.analysis.iterations": 0}, id="nothing to do"),
    ],
)
async def test_stores_what_upstream_stores(client: Client, changes: dict[str, Any]) -> None:
    """The schema is no stricter than upstream's, so the operator has to judge these."""
    assert (await stored(client, changed(BLUE_GREEN, changes)))["kind"] == "Canary"


async def test_keeps_a_status_apart(client: Client) -> None:
    """A status is written through its subresource only, and is read back as a model."""
    kind, fresh = (
        KINDS["Canary"],
        changed(BLUE_GREEN, {"metadata.name": "apart", "status": {"phase": "Failed"}}),
    )
    status = {
        "phase": "Progressing",
        "canaryWeight": 20,
        "run": {"number": 3, "started": "2030-01-05T10:12:30Z"},
        "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "Progressing", "message": "m"}],
    }
    await stored(client, fresh)
    created = await client.create(kind, fresh)
    try:
        assert "status" not in created
        answer = await client.patch(kind, "apart", "shop", {"status": status}, subresource="status")
        assert answer["status"] == status
        assert Canary.parse(answer).status.canary_weight == 20
    finally:
        await client.delete(kind, "apart", "shop")
