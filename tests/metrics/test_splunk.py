"""SignalFlow on the wire: a WebSocket with two messages out, and binary data and words in."""

import asyncio
import gzip
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.api.references import SecretRef
from flagger.metrics.base import NoData, ProviderError, Reading, Sample, Tools
from flagger.metrics.providers.splunk import Splunk, at_host
from flagger.metrics.signalflow import points
from flagger.metrics.table import provider_for
from tests.fakes.scripted import Reply, ScriptedServer

MINUTE = timedelta(minutes=1)
PROGRAM = "data('errors').sum().publish()"
TOKEN = {"sf_token_key": "sf-t0ken"}
HEADER = struct.pack(">BBBB16s", 1, 5, 0, 0, b"ch-1")
WIRE = bytes.fromhex(
    "0105000063682d31000000000000000000000000"
    "00000199c82cc00000000002"
    "020000000000000abc4058d00000000000"
    "000000000000000abc0000000000000000"
)
"""One double of 99.25 and one null of the same series."""
END = json.dumps({"type": "control-message", "channel": "ch-1", "event": "END_OF_CHANNEL"})
Say = Callable[[web.WebSocketResponse], Awaitable[None]]


def data(*values: tuple[int, int, bytes], version: int = 1, flags: int = 0) -> bytes:
    """A data message; values are type, series and payload."""
    body = struct.pack(">q", 1760000000000) + (b"\0" * 8 if version > 1 else b"")
    body += struct.pack(">I", len(values))
    body += b"".join(struct.pack(">Bq", kind, series) + payload for kind, series, payload in values)
    packed = gzip.compress(body) if flags & 1 else body
    return struct.pack(">BBBB16s", version, 5, flags, 0, b"ch-1") + packed


def double(series: int, value: float) -> tuple[int, int, bytes]:
    return 2, series, struct.pack(">d", value)


@dataclass
class SignalFlow:
    """A server that reads the two messages, then does as it is told."""

    say: Say
    heard: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        self.paths.append(request.path)
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        try:
            self.heard += [json.loads((await socket.receive()).data) for _ in range(2)]
            await self.say(socket)
            if not socket.closed:
                assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)
        finally:
            self.closed.set()
            await socket.close()
        return socket


@asynccontextmanager
async def signalflow(say: Say) -> AsyncIterator[tuple[SignalFlow, str]]:
    flow = SignalFlow(say)
    app = web.Application()
    app.router.add_get("/v2/signalflow/connect", flow.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        yield flow, f"ws://127.0.0.1:{server.port}"


def saying(*messages: str | bytes, hang_up: bool = False) -> Say:
    async def say(socket: web.WebSocketResponse) -> None:
        for message in messages:
            await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
        if hang_up:
            await socket.close()

    return say


def spec(address: str) -> ProviderSpec:
    return ProviderSpec(type=MetricProviderType.SPLUNK, address=address, secret_ref=SecretRef(name="s"))


async def ask(tools: Tools, address: str) -> Reading:
    return await provider_for(spec(address), TOKEN, tools).query(PROGRAM, window=MINUTE)


async def test_request(tools: Tools) -> None:
    """The token first, then the program over ten windows up to now; the connection is closed afterwards."""
    async with signalflow(saying('{"type":"authenticated"}', WIRE, END)) as (flow, address):
        assert await ask(tools, address) == Sample(99.25)
        async with asyncio.timeout(5):
            await flow.closed.wait()
    assert flow.heard == [
        {"type": "authenticate", "token": "sf-t0ken"},
        {
            "type": "execute",
            "channel": "ch-1",
            "program": PROGRAM,
            "start": 1759999400000,
            "stop": 1760000000000,
            "immediate": True,
            "resolution": 0,
            "maxDelay": 0,
            "timezone": "",
        },
    ]


ERROR = json.dumps(
    {"type": "error", "error": 400, "errorType": "ANALYTICS_PROGRAM", "message": "no such metric"}
)
ABORT = json.dumps({"type": "control-message", "event": "CHANNEL_ABORT"})


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([data(double(1, 3.0)), data(double(1, 4.0)), END], Sample(4.0), id="the newest counts"),
        pytest.param([data(double(1, 3.0), (0, 1, b"\0" * 8)), END], Sample(3.0), id="nulls are skipped"),
        pytest.param([data((0, 1, b"\0" * 8)), END], None, id="only nulls"),
        pytest.param([data(double(1, float("nan"))), END], None, id="NaN"),
        pytest.param([END], None, id="nothing"),
        pytest.param([data(double(1, 3.0)), ABORT], Sample(3.0), id="aborted"),
        pytest.param(
            [data(double(1, 3.0), double(2, 3.0)), END], "query returned multiple values", id="series"
        ),
        pytest.param([ERROR], "the program was refused: no such metric", id="a bad program"),
        pytest.param([data(double(1, 3.0))[:-3], END], "this is no answer of SignalFlow", id="cut off"),
        pytest.param([b"\x05", END], "this is no answer of SignalFlow", id="no header"),
        pytest.param(["<html>", END], None, id="words that are no JSON"),
        pytest.param([b"x" * 1_200_000], "broke off", id="too large"),
    ],
)
async def test_answers(tools: Tools, messages: list[str | bytes], expected: Sample | str | None) -> None:
    """What the messages say: one series' newest value, none, or an error."""
    async with signalflow(saying(*messages)) as (_, address):
        found = await ask(tools, address)
    match expected:
        case None:
            assert isinstance(found, NoData)
        case str():
            assert isinstance(found, ProviderError)
            assert expected in found.problem
            assert "sf-t0ken" not in found.problem
        case _:
            assert found == expected


async def test_hang_up_in_the_middle(tools: Tools) -> None:
    """What came before the server hung up counts."""
    async with signalflow(saying(WIRE, hang_up=True)) as (_, address):
        assert await ask(tools, address) == Sample(99.25)


async def test_a_refused_token(tools: Tools) -> None:
    """A server that closes without a word has refused the token: an error, not missing data."""
    async with signalflow(saying(hang_up=True)) as (_, address):
        found = await ask(tools, address)
    assert isinstance(found, ProviderError)
    assert "closed without a word; is sf_token_key right?" in found.problem


@pytest.mark.looptime
async def test_a_silent_server(tools: Tools) -> None:
    """The whole conversation has one limit."""

    async def wait(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(WIRE)

    began = asyncio.get_running_loop().time()
    async with signalflow(wait) as (_, address):
        found = await ask(tools, address)
    assert isinstance(found, ProviderError)
    assert "no complete answer within 15s" in found.problem
    assert asyncio.get_running_loop().time() - began < 17


@pytest.mark.parametrize(("status", "problem"), [(401, "the answer was 401"), (200, "the answer was 200")])
async def test_no_websocket(tools: Tools, status: int, problem: str) -> None:
    """A server that does not speak WebSocket is an error with its status."""
    async with ScriptedServer([Reply(status, b"no")]) as server:
        found = await ask(tools, server.url)
    assert isinstance(found, ProviderError)
    assert problem in found.problem


async def test_redirects_are_not_followed(tools: Tools) -> None:
    """The token is the first word of a conversation, so that one must not go on elsewhere."""
    async with signalflow(saying(END)) as (other, address):
        elsewhere = [("Location", f"{address.replace('ws', 'http', 1)}/v2/signalflow/connect")]
        async with ScriptedServer([Reply(302, headers=elsewhere)]) as server:
            found = await ask(tools, server.url)
    assert isinstance(found, ProviderError)
    assert "there is no WebSocket, but a redirect" in found.problem
    assert other.heard == []


async def test_check(tools: Tools) -> None:
    """The other host is asked for one metric over HTTP."""
    async with ScriptedServer([Reply(body=b"{}")]) as server:
        assert await provider_for(spec(server.url), TOKEN, tools).check() is None
    assert server.received[0].target == "/v2/metric?limit=1"
    assert server.received[0].header("x-sf-token") == ["sf-t0ken"]


@pytest.mark.parametrize(
    ("address", "query", "check"),
    [
        ("https://api.us1.signalfx.com", "https://stream.us1.signalfx.com", "https://api.us1.signalfx.com"),
        ("wss://stream.us1.signalfx.com", "https://stream.us1.signalfx.com", "https://api.us1.signalfx.com"),
        ("https://wsapi.example/api", "https://wsapi.example/api", "https://wsapi.example/api"),
        ("ws://stream.wss.example:1", "http://stream.wss.example:1", "http://api.wss.example:1"),
    ],
)
def test_hosts(tools: Tools, address: str, query: str, check: str) -> None:
    """Only the scheme and the first part of the host's name are exchanged."""
    provider = provider_for(spec(address), TOKEN, tools)
    assert isinstance(provider, Splunk)
    assert at_host(provider.backend, "stream").address == query
    assert at_host(provider.backend, "api").address == check


@pytest.mark.parametrize(
    ("address", "secret", "problem"),
    [
        ("", TOKEN, "splunk address '' is not a valid URL"),
        ("wss://[x", TOKEN, "is not a valid URL"),
        ("wss://stream.us1.signalfx.com", {}, "splunk credentials does not contain a sf_token_key"),
    ],
)
def test_settings(tools: Tools, address: str, secret: dict[str, str], problem: str) -> None:
    """What is missing is named."""
    with pytest.raises(FieldError) as caught:
        provider_for(spec(address), secret, tools)
    assert problem in str(caught.value)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("flags", [0, 1])
def test_messages(version: int, flags: int) -> None:
    """All versions, packed or not, with every type of value."""
    values = [
        double(7, 1.5),
        (1, 7, struct.pack(">q", -4)),
        (3, 7, struct.pack(">ii", 9, 0)),
        (0, 7, b"\0" * 8),
    ]
    series = struct.pack(">q", 7)
    assert points(data(*values, version=version, flags=flags)) == [
        (series, 1.5),
        (series, -4.0),
        (series, 9.0),
    ]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(data(double(1, 1.0), version=9), id="version"),
        pytest.param(data(double(1, 1.0), flags=2), id="JSON"),
        pytest.param(data((8, 1, b"\0" * 8)), id="type of value"),
        pytest.param(HEADER, id="nothing behind the header"),
        pytest.param(HEADER[:2] + b"\x01" + HEADER[3:] + b"junk", id="not packed"),
        pytest.param(
            HEADER[:2] + b"\x01" + HEADER[3:] + gzip.compress(b"\0" * 9_000_000), id="unpacks to too much"
        ),
    ],
)
def test_unreadable_messages(message: bytes) -> None:
    """What cannot be read is said to be so."""
    with pytest.raises(ValueError, match=r"message|value"):
        points(message)


def test_other_messages_carry_no_values() -> None:
    """Metadata comes in binary messages too."""
    assert points(struct.pack(">BBBB16s", 1, 6, 0, 0, b"ch-1") + b"whatever") == []
