"""The endpoints, metrics and faults of the sample app, over a real socket."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flagger.sandbox.podinfo.app import Podinfo
from flagger.sandbox.podinfo.main import serving
from flagger.sandbox.podinfo.settings import Settings
from tests.sandbox.podinfo.addresses import an_address


class Running:
    """An instance and a client of it."""

    def __init__(self, podinfo: Podinfo, session: aiohttp.ClientSession, url: str) -> None:
        self.podinfo = podinfo
        self.session = session
        self.url = url

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        """Status and JSON (or text) of a GET."""
        async with self.session.get(self.url + path, **options) as response:
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text())

    async def count(self, sample: str) -> float:
        """The value of a sample in the metrics."""
        _, text = await self.get("/metrics")
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return float(values.get(sample, "0"))


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    """Starts instances with settings."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def starter(**settings: Any) -> Running:
            host = an_address()
            podinfo = await stack.enter_async_context(serving(Settings(host=host, **settings)))
            return Running(podinfo, session, f"http://{host}:9898")

        yield starter


async def test_introduces_itself(start: Callable[..., Any]) -> None:
    """API clients get JSON with version, colour and message; browsers a page."""
    app = await start(version="6.1.0", ui_color="teal", ui_message="<hi>", hostname="web-1")

    status, info = await app.get("/")
    assert status == 200
    assert info["hostname"] == "web-1"
    assert {key: info[key] for key in ("version", "color", "message")} == {
        "version": "6.1.0",
        "color": "teal",
        "message": "<hi>",
    }
    assert (await app.get("/api/info"))[1] == info
    assert (await app.get("/version"))[1] == {"version": "6.1.0", "commit": "unknown"}
    _, page = await app.get("/", headers={"User-Agent": "Mozilla/5.0"})
    assert "&lt;hi&gt;" in page


async def test_answers_as_told(start: Callable[..., Any], tmp_path: Path) -> None:
    """Delays, statuses, echoes, headers, variables and mounted files."""
    (tmp_path / "greeting").write_text("hello")
    app = await start(environ={"A": "1"}, config_path=str(tmp_path))

    assert (await app.get("/delay/0"))[1] == {"delay": 0}
    assert await app.get("/status/418") == (418, {"status": 418})
    assert (await app.get("/status/42"))[0] == 400
    assert (await app.get("/env"))[1] == ["A=1"]
    assert (await app.get("/configs"))[1] == {"greeting": "hello"}
    assert (await app.get("/headers", headers={"x-test": "1"}))[1]["X-Test"] == ["1"]
    assert (await app.get("/nowhere"))[0] == 404
    async with app.session.post(app.url + "/echo", data=b"abc") as response:
        assert (response.status, await response.read()) == (202, b"abc")


async def test_readiness_can_be_switched(start: Callable[..., Any]) -> None:
    """Ready until somebody says otherwise; health is another matter."""
    app = await start()
    assert (await app.get("/readyz"))[0] == 200

    async with app.session.post(app.url + "/readyz/disable") as response:
        assert response.status == 202
    assert (await app.get("/readyz"))[0] == 503
    assert (await app.get("/healthz"))[0] == 200
    async with app.session.post(app.url + "/readyz/enable") as response:
        assert response.status == 202
    assert (await app.get("/readyz"))[0] == 200


@pytest.mark.parametrize(("setting", "path"), [("unready", "/readyz"), ("unhealthy", "/healthz")])
async def test_can_be_ill_from_the_start(start: Callable[..., Any], setting: str, path: str) -> None:
    """A version that never gets ready, or is never healthy."""
    app = await start(**{setting: True})

    assert (await app.get(path))[0] == 503


async def test_every_nth_user_request_fails(start: Callable[..., Any]) -> None:
    """Counted exactly; probes and scrapes neither fail nor count."""
    app = await start(fail_every=3)

    statuses = []
    for _ in range(6):
        statuses.append((await app.get("/"))[0])
        assert (await app.get("/healthz"))[0] == (await app.get("/readyz"))[0] == 200

    assert statuses == [200, 200, 500, 200, 200, 500]
    series = 'http_request_duration_seconds_count{method="GET",path="root",status="%d"}'
    assert await app.count(series % 200) == 4
    assert await app.count(series % 500) == 2
    assert await app.count('http_requests_total{status="500"}') == 2


async def test_says_which_pod_failed(start: Callable[..., Any]) -> None:
    """A fault to order carries the pod's name, so that users' errors can be laid to a release."""
    app = await start(fail_every=1, hostname="web-1")

    assert await app.get("/") == (500, {"code": 500, "message": "injected fault", "hostname": "web-1"})


async def test_other_faults(start: Callable[..., Any]) -> None:
    """A ratio of failures, and latency that the histogram shows."""
    failing = await start(fail_ratio=1.0)
    assert (await failing.get("/"))[0] == 500
    random = await start(random_error=True)
    assert {(await random.get("/"))[0] for _ in range(60)} <= {200, 500, 400, 409}

    slow = await start(latency_ms=30)
    await slow.get("/")
    series = 'http_request_duration_seconds_bucket{method="GET",path="root",status="200",le="%s"}'
    assert await slow.count(series % "0.025") == 0
    assert await slow.count(series % "10") == 1


async def test_series_exist_before_the_first_request(start: Callable[..., Any]) -> None:
    """A rate over them starts from zero, and their number does not grow with what clients ask for."""
    app = await start()
    _, before = await app.get("/metrics")
    assert 'http_request_duration_seconds_count{method="GET",path="root",status="500"} 0' in before

    for number in range(5):
        await app.get(f"/unknown/{number}")
        await app.get(f"/delay/0?{number}")
    _, after = await app.get("/metrics")
    paths = {
        line.partition('path="')[2].partition('"')[0] for line in after.splitlines() if "_count{" in line
    }
    assert paths == {"root", "unknown", "delay_wait_0_9"}


async def test_metrics_may_have_a_port_of_their_own() -> None:
    """`--port-metrics` serves them beside the main port."""
    host = an_address()
    async with (
        serving(Settings(host=host, port_metrics=9797)),
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}:9797/metrics") as response,
    ):
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "http_requests_total" in await response.text()


async def test_draining_sends_clients_away(start: Callable[..., Any]) -> None:
    """Not ready any more, still serving, and each connection is closed after its answer."""
    app = await start()
    app.podinfo.draining = True

    async with app.session.get(app.url + "/") as response:
        assert response.status == 200
        assert response.headers["Connection"] == "close"
    assert (await app.get("/readyz"))[0] == 503
