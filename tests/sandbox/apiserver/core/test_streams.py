"""Streams under pressure: slow readers, short histories, many watches, a server that stops."""

import asyncio
import json
import ssl
from typing import Any

import pytest

from flagger.sandbox.apiserver import ApiServer
from tests.sandbox.apiserver.core.conftest import CONFIG_MAPS, Caller, calling, until

Object = dict[str, Any]


async def events(response: Any, count: int) -> list[Object]:
    """Read events of a watch."""
    found: list[Object] = []
    buffer = b""
    async with asyncio.timeout(10):
        while len(found) < count:
            data = await response.content.readany()
            assert data, "the stream has ended"
            *lines, buffer = (buffer + data).split(b"\n")
            found += [json.loads(line) for line in lines]
    return found


async def test_a_forgotten_version_is_gone() -> None:
    """A watch or a page from before the history is 410; the page comes with a token to go on."""
    async with ApiServer(history=5) as server, calling(server) as call:
        for name in ("a", "b", "c"):
            await call.ok("POST", CONFIG_MAPS, {"metadata": {"name": name}})
        page = (await call.ok("GET", CONFIG_MAPS, limit="1"))["metadata"]
        for value in range(6):
            await call.ok("PATCH", f"{CONFIG_MAPS}/a", {"data": {"v": str(value)}})

        event = await call.ok("GET", CONFIG_MAPS, watch="1", resourceVersion=page["resourceVersion"])
        assert event["type"] == "ERROR"
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
        status, body = await call("GET", CONFIG_MAPS, limit="1", **{"continue": page["continue"]})
        assert (status, body["reason"]) == (410, "Expired")
        rest = await call.ok("GET", CONFIG_MAPS, **{"continue": body["metadata"]["continue"]})
        assert [item["metadata"]["name"] for item in rest["items"]] == ["b", "c"]
        exact = {"resourceVersion": page["resourceVersion"], "resourceVersionMatch": "Exact"}
        assert (await call("GET", CONFIG_MAPS, **exact))[0] == 410


async def raw_watch(server: ApiServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a watch on a connection that reads only when told."""
    host, port = server.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cadata=server.ca_pem)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context, limit=2**10)
    head = (
        f"GET {CONFIG_MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin_token}\r\n\r\n"
    )
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return reader, writer


async def test_a_slow_reader_gets_everything(call: Caller) -> None:
    """What a client does not read yet waits for it; nothing is lost and nobody else is held up."""
    reader, writer = await raw_watch(call.server)
    body = {"data": {"v": "x" * 200_000}}
    await call.ok("POST", CONFIG_MAPS, {"metadata": {"name": "big"}, **body})
    for number in range(40):
        await call.ok("PATCH", f"{CONFIG_MAPS}/big", {"metadata": {"labels": {"n": str(number)}}})

    async with asyncio.timeout(20):
        data = b""
        while b'"n":"39"' not in data[-300_000:]:
            data += await reader.read(2**20)

    assert data.count(b'"type":"MODIFIED"') == 40
    writer.close()


async def test_a_client_that_leaves_is_forgotten(call: Caller) -> None:
    """A closed connection ends its watch."""
    async with call.session.get(CONFIG_MAPS, params={"watch": "1"}) as response:
        assert response.status == 200
        assert call.server.hub.count == 1
        response.close()

    await until(lambda: not call.server.hub.count)


async def test_large_events(call: Caller) -> None:
    """An object of a megabyte passes through a watch unharmed."""
    async with call.session.get(CONFIG_MAPS, params={"watch": "1"}) as response:
        await call.ok("POST", CONFIG_MAPS, {"metadata": {"name": "big"}, "data": {"v": "x" * 1_000_000}})
        [event] = await events(response, 1)

    assert len(event["object"]["data"]["v"]) == 1_000_000


async def test_stopping_with_many_watches() -> None:
    """With 500 open watches the server stops without waiting for them, and ends each stream cleanly."""
    server = ApiServer()
    await server.start()
    async with calling(server) as call:

        async def until_end() -> int:
            async with call.session.get(CONFIG_MAPS, params={"watch": "1"}) as response:
                return len(await response.read())

        watches = [asyncio.create_task(until_end()) for _ in range(500)]
        await until(lambda: server.hub.count == 500, 20)
        async with asyncio.timeout(30):
            await server.stop()
            assert await asyncio.gather(*watches) == [0] * 500


async def test_requests_in_flight_are_limited(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many requests at a time are told to come back, with Retry-After; watches do not count."""
    monkeypatch.setattr("flagger.sandbox.apiserver.handler.IN_FLIGHT", 1)
    async with call.session.get(CONFIG_MAPS, params={"watch": "1"}):
        future = {"resourceVersion": str(call.server.store.revision + 5)}
        waiting = asyncio.create_task(call("GET", CONFIG_MAPS, **future))
        await until(lambda: call.server.hub._waiters)
        async with call.session.get(CONFIG_MAPS) as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "1"
        waiting.cancel()
