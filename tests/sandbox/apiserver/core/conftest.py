"""An embedded API server of one test's own."""

import asyncio
import contextlib
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from flagger.sandbox.apiserver import ApiServer

Object = dict[str, Any]
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@dataclass(frozen=True)
class Caller:
    """A client with the administrator's token."""

    server: ApiServer
    session: aiohttp.ClientSession

    async def __call__(self, method: str, path: str, body: Any = None, **params: str) -> tuple[int, Any]:
        """Send a request; returns status and decoded body."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        async with self.session.request(
            method, path, data=data, params=params, headers={"Content-Type": kind}
        ) as response:
            raw = await response.read()
            json_answer = response.content_type == "application/json"
            return response.status, json.loads(raw) if json_answer else raw.decode()

    async def ok(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Send a request that must succeed."""
        status, answer = await self(method, path, body, **params)
        assert status in {200, 201}, answer
        return answer


async def until(check: Callable[[], object], within: float = 10.0) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(within):
        for _ in itertools.count():
            if check():
                return
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def calling(server: ApiServer) -> AsyncIterator[Caller]:
    """A client of a running server."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=server.ca_pem), limit=0)
    headers = {"Authorization": f"Bearer {server.admin_token}"}
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(
        server.url, connector=connector, headers=headers, timeout=timeout
    ) as session:
        yield Caller(server, session)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    """A running server in memory."""
    async with ApiServer() as running:
        yield running


@pytest.fixture
async def call(server: ApiServer) -> AsyncIterator[Caller]:
    """A client of it."""
    async with calling(server) as caller:
        yield caller
