"""Keptn: the grammar of queries, values of metrics, and analyses that are made, waited for and taken away."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.metrics.base import ProviderError, Reading, Sample, Tools
from flagger.metrics.providers.keptn import METRIC
from flagger.metrics.table import provider_for
from tests.fakes.cluster import until
from tests.kube.tiny_api import TinyApi, client_of, running

MINUTE = timedelta(minutes=1)
GATE = "analysis/shop/release-gate/5m/workload=Checkout;stage=canary"


@pytest.fixture
async def api() -> AsyncIterator[TinyApi]:
    async with running(TinyApi()) as server:
        yield server


@pytest.fixture
async def inside(api: TinyApi, tools: Tools) -> AsyncIterator[Tools]:
    async with client_of(api) as client:
        yield replace(tools, client=client)


async def ask(tools: Tools, query: str) -> Reading:
    return await provider_for(ProviderSpec(type=MetricProviderType.KEPTN), {}, tools).query(
        query, window=MINUTE
    )


@pytest.mark.parametrize(
    "query", ["keptnmetric/shop/p95", "KeptnMetrics/Shop/P95\n", " keptnmetric/shop/p95/10m/x=1 "]
)
async def test_metrics(api: TinyApi, inside: Tools, query: str) -> None:
    """The value in a KeptnMetric's status; kind and names in any case."""
    api.put(METRIC, "p95", status={"value": "187.4"})
    assert await ask(inside, query) == Sample(187.4)


@pytest.mark.parametrize("status", [{}, {"value": 5}, {"value": None}, {"value": ""}, {"value": "many"}])
async def test_no_value(api: TinyApi, inside: Tools, status: dict[str, Any]) -> None:
    """A metric that was not measured yet is an error, as Keptn does not tell it from a failure."""
    api.put(METRIC, "p95", status=status)
    found = await ask(inside, "keptnmetric/shop/p95")
    assert isinstance(found, ProviderError)
    assert "the KeptnMetric has no value yet" in found.problem


async def test_missing(inside: Tools) -> None:
    """An object that is not there is an error in the server's words."""
    found = await ask(inside, "keptnmetric/shop/p95")
    assert isinstance(found, ProviderError)
    assert "p95" in found.problem


@pytest.mark.parametrize(
    "query", ["", "keptnmetric", "keptnmetric/shop", "keptnmetric//p95", "metric/shop/p95"]
)
async def test_unusable_queries(api: TinyApi, inside: Tools, query: str) -> None:
    """What names no kind, namespace and name is refused without asking."""
    found = await ask(inside, query)
    assert isinstance(found, ProviderError)
    assert "the query is not keptnmetric/namespace/name" in found.problem
    assert api.seen == []


def finishing(api: TinyApi, *statuses: dict[str, Any]) -> list[dict[str, Any]]:
    """Let reads of an analysis find these statuses one after the other; returns what was made."""
    made: list[dict[str, Any]] = []
    left = list(statuses)

    def answer(request: web.Request) -> Any:
        if request.method == "GET" and "/analyses/" in request.path:
            (obj,) = [obj for key, obj in api.objects.items() if key[0] == "analyses"]
            made[:] = [obj]

            async def reply() -> web.Response:
                return web.json_response({**obj, "status": left.pop(0) if len(left) > 1 else left[0]})

            return reply()
        return None

    api.faults.append(answer)
    return made


def left_behind(api: TinyApi) -> list[str]:
    return [key[2] for key in api.objects if key[0] == "analyses"]


@pytest.mark.looptime
@pytest.mark.parametrize(("passes", "value"), [(True, 1.0), (False, 0.0)])
async def test_analyses(api: TinyApi, inside: Tools, passes: bool, value: float) -> None:
    """An Analysis is made, read until it is complete with a verdict, and deleted."""
    made = finishing(
        api, {"state": "Progressing"}, {"state": "Completed"}, {"state": "Completed", "pass": passes}
    )
    assert await ask(inside, GATE) == Sample(value)
    (analysis,) = made
    assert re.fullmatch(r"release-gate-[0-9a-f]{6}", analysis["metadata"]["name"])
    assert analysis["metadata"]["namespace"] == "shop"
    assert analysis["spec"] == {
        "analysisDefinition": {"name": "release-gate"},
        "timeframe": {"recent": "5m"},
        "args": {"workload": "Checkout", "stage": "canary"},
    }
    assert left_behind(api) == []


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("query", "timeframe", "arguments"),
    [
        ("analysis/shop/g", "1m", {}),
        ("analyses/shop/g/", "1m", {}),
        ("analysis/shop/g//a=1", "1m", {"a": "1"}),
        ("analysis/shop/g/30S/a=1;b;c=2=3;d=/more", "30s", {"a": "1", "d": ""}),
    ],
)
async def test_arguments(
    api: TinyApi, inside: Tools, query: str, timeframe: str, arguments: dict[str, str]
) -> None:
    """A timeframe that is missing or empty is a minute; pairs without exactly one `=` are dropped."""
    made = finishing(api, {"state": "Completed", "pass": True})
    await ask(inside, query)
    assert made[0]["spec"]["timeframe"] == {"recent": timeframe}
    assert made[0]["spec"]["args"] == arguments


@pytest.mark.looptime
async def test_a_late_analysis(api: TinyApi, inside: Tools) -> None:
    """After ten seconds it is given up, and deleted all the same."""
    finishing(api, {"state": "Progressing"})
    began = asyncio.get_running_loop().time()
    found = await ask(inside, GATE)
    assert isinstance(found, ProviderError)
    assert "timeout while waiting, no result within 10s" in found.problem
    assert asyncio.get_running_loop().time() - began == pytest.approx(10, abs=0.5)
    assert left_behind(api) == []


@pytest.mark.looptime
async def test_a_cancelled_analysis(api: TinyApi, inside: Tools) -> None:
    """Whoever stops waiting leaves nothing behind."""
    made = finishing(api, {"state": "Progressing"})
    asking = asyncio.create_task(ask(inside, GATE))

    async def begun() -> bool:
        return bool(made)

    await until(begun, "the analysis was made")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert left_behind(api) == []


async def test_check(inside: Tools) -> None:
    """There is nothing to check beforehand."""
    assert await provider_for(ProviderSpec(type=MetricProviderType.KEPTN), {}, inside).check() is None
