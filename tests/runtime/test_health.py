"""The operator's endpoints by themselves; with everything around them they are in test_process."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from flagger.runtime.health import endpoints


async def test_readiness_follows_the_caches() -> None:
    """503 before they are filled; alive all the while."""
    ready = False
    async with (
        endpoints("127.0.0.1", 0, CollectorRegistry(), lambda: ready) as port,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 503
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
        ready = True
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 200


async def test_metrics_are_compressed_on_request() -> None:
    """Thousands of series are mostly the same text."""
    registry = CollectorRegistry()
    gauge = Gauge("many", "Many.", ["number"], registry=registry)
    for number in range(1000):
        gauge.labels(str(number)).set(number)
    async with endpoints("127.0.0.1", 0, registry, lambda: True) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/metrics"
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            plain = await answer.text()
        async with session.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert await answer.text() == plain
    assert 'many{number="999"} 999.0' in plain


async def test_a_taken_port() -> None:
    """Said with the address; nothing is left behind."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="address already in use"),
    ):
        async with endpoints("127.0.0.1", taken.getsockname()[1], CollectorRegistry(), lambda: True):
            pass
