"""The HTTP API speaks as Prometheus does, mistakes included."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from flagger.sandbox.metrics.api import Api
from flagger.sandbox.metrics.ingest import Ingest
from flagger.sandbox.metrics.labels import labels_of
from flagger.sandbox.metrics.listening import HOST, serving
from flagger.sandbox.metrics.store import SeriesStore
from tests.sandbox.metrics import oracle

T = 1_700_000_000
TARGET = labels_of({"job": "j", "instance": "i"})

REQUESTS = [
    ("query", {"query": "a", "time": T}),
    ("query", {"query": "a", "time": "2023-11-14T22:13:20Z"}),
    ("query", {"query": "a", "time": "2023-11-14T23:13:20.5+01:00"}),
    ("query", {"query": "a[5s]", "time": T}),
    ("query", {"query": "a{x='<&>'}", "time": T + 0.25}),
    ("query", {"query": "1.5", "time": T}),
    ("query", {"query": "'text'", "time": T}),
    ("query", {"query": "a/0", "time": T}),
    ("query", {"query": "nothing", "time": T}),
    ("query", {"query": "", "time": T}),
    ("query", {"query": "sum(", "time": T}),
    ("query", {"query": "a", "time": "yesterday"}),
    ("query", {"query": "a", "time": "2023-11-14"}),
    ("query", {"query": "b + on () b", "time": T}),
    ("query_range", {"query": "a", "start": T - 3, "end": T, "step": 1}),
    ("query_range", {"query": "a", "start": T - 3, "end": T, "step": "1500ms"}),
    ("query_range", {"query": "rate(a[5s])", "start": T - 3, "end": T, "step": "1m30s"}),
    ("query_range", {"query": "2", "start": T - 3, "end": T, "step": "0.5"}),
    ("query_range", {"query": "a[5s]", "start": T - 3, "end": T, "step": 1}),
    ("query_range", {"query": "a", "start": T - 3, "end": T}),
    ("query_range", {"query": "a", "start": T - 3, "end": T, "step": "soon"}),
    ("query_range", {"query": "a", "start": T - 3, "end": T, "step": 0}),
    ("query_range", {"query": "a", "start": T - 3, "end": T, "step": -1}),
    ("query_range", {"query": "a", "start": T, "end": T - 3, "step": 1}),
    ("query_range", {"query": "a", "end": T, "step": 1}),
    ("query_range", {"query": "a", "start": T - 100_000, "end": T, "step": 1}),
    ("series", {"match[]": "a", "start": T - 60, "end": T}),
    ("series", {"match[]": ["a", "b{x='1'}"], "start": T - 60, "end": T}),
    ("series", {"match[]": "nothing", "start": T - 60, "end": T}),
    ("series", {}),
    ("series", {"match[]": "sum(a)"}),
    ("series", {"match[]": "a", "start": "x"}),
    ("labels", {"match[]": "a"}),
    ("labels", {"match[]": "b"}),
    ("label/x/values", {"match[]": "{job='j'}"}),
    ("label/job/values", {"match[]": "b"}),
    ("label/nothing/values", {"match[]": "a"}),
    ("label/a-b/values", {}),
]
BODY = "a{x='<&>'} 1\nb{x='1'} 2\nb{x='2'} 3\n".replace("'", '"')


def a_store() -> SeriesStore:
    """A store with a few scrapes of one target."""
    store = SeriesStore()
    ingest = Ingest(store, TARGET)
    for second in range(-5, 1):
        ingest.accept(BODY, (T + second) * 1000, 0.1)
    return store


@pytest.fixture
async def base() -> AsyncIterator[str]:
    """The base URL of an API on that store, whose clock stands still."""
    app = Api(a_store(), lambda: T * 1000, lambda: [{"health": "up"}]).application()
    async with serving(app) as port:
        yield f"http://{HOST}:{port}"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="module")
def real() -> Iterator[oracle.Prometheus]:
    """A real Prometheus with the same samples."""
    oracle.require()
    with oracle.running() as server:
        feed = {}
        for name, x, value in (("a", "<&>", 1.0), ("b", "1", 2.0), ("b", "2", 3.0)):
            labels = labels_of({"__name__": name, "x": x, **dict(TARGET)})
            feed[labels] = [((T + second) * 1000, value) for second in range(-5, 1)]
        server.write(feed)
        yield server


async def get(http: aiohttp.ClientSession, url: str, **params: Any) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    async with http.get(url, params=params) as response:
        return response.status, json.loads(await response.read())


@pytest.mark.prometheus
@pytest.mark.parametrize(("path", "params"), REQUESTS, ids=str)
async def test_as_prometheus(
    real: oracle.Prometheus, base: str, http: aiohttp.ClientSession, path: str, params: dict[str, Any]
) -> None:
    """Status, body and, but for syntax errors, even the wording are Prometheus' own."""
    theirs = real.get(f"/api/v1/{path}", **params)

    status, ours = await get(http, f"{base}/api/v1/{path}", **params)

    if "error" in theirs.body and "parse error" in theirs.body["error"]:
        theirs.body["error"] = ours["error"]
    assert (status, ours) == (theirs.status, theirs.body)


async def test_query(base: str, http: aiohttp.ClientSession) -> None:
    """An instant query is answered at the present time unless another is asked for."""
    status, body = await get(http, f"{base}/api/v1/query", query="a")

    metric = {"__name__": "a", "instance": "i", "job": "j", "x": "<&>"}
    data = {"resultType": "vector", "result": [{"metric": metric, "value": [T, "1"]}]}
    assert (status, body) == (200, {"status": "success", "data": data})


@pytest.mark.parametrize(
    ("query", "status", "kind", "words"),
    [
        ("sum(", 400, "bad_data", "parse error"),
        ("mad_over_time(a[5m])", 422, "execution", "mad_over_time"),
        ("b + on () b", 422, "execution", "many-to-many"),
    ],
)
async def test_errors(
    base: str, http: aiohttp.ClientSession, query: str, status: int, kind: str, words: str
) -> None:
    """Errors have Prometheus' form; what the store does not implement is named."""
    got, body = await get(http, f"{base}/api/v1/query", query=query)

    assert (got, body["status"], body["errorType"]) == (status, "error", kind)
    assert words in body["error"]


async def test_forms(base: str, http: aiohttp.ClientSession) -> None:
    """Long queries come as POST forms; the form wins over the URL."""
    form = {"query": "b{x='1'}", "time": str(T)}
    async with http.post(f"{base}/api/v1/query?query=a", data=form) as response:
        body = await response.json()

    assert [result["value"] for result in body["data"]["result"]] == [[T, "2"]]


@pytest.mark.parametrize(
    ("path", "text"),
    [("/-/ready", "Prometheus Server is Ready.\n"), ("/-/healthy", "Prometheus Server is Healthy.\n")],
)
async def test_health(base: str, http: aiohttp.ClientSession, path: str, text: str) -> None:
    """Probes find what they look for."""
    async with http.get(base + path) as response:
        assert (response.status, await response.text()) == (200, text)


async def test_metadata(base: str, http: aiohttp.ClientSession) -> None:
    """Targets and build information are there for the tools that ask for them."""
    _, targets = await get(http, f"{base}/api/v1/targets")
    _, build = await get(http, f"{base}/api/v1/status/buildinfo")
    _, names = await get(http, f"{base}/api/v1/label/__name__/values")

    assert targets["data"] == {"activeTargets": [{"health": "up"}], "droppedTargets": []}
    assert build["data"]["version"].startswith("2.")
    assert {"a", "b", "up"} <= set(names["data"])
