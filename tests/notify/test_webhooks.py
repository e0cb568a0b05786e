"""Hook calls over real sockets: payload, success rule, retries, and what is said about failures."""

import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from flagger.api.analysis import Webhook
from flagger.api.model import decode
from flagger.notify.webhooks import HookAnswer, HookPayload, Webhooks, checksum, payload_for
from flagger.outbound import Outbound, basic
from tests.fakes.scripted import Reply, ScriptedServer, self_signed
from tests.notify.canaries import a_canary

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
PAYLOAD = HookPayload("checkout", "shop", "Progressing", "7dc89fdd65")


@pytest.fixture
async def webhooks() -> AsyncIterator[Webhooks]:
    async with Outbound() as outbound:
        yield Webhooks(outbound, now=lambda: NOW)


def a_hook(url: str, **fields: Any) -> Webhook:
    return decode({"name": "gate", "type": "pre-rollout", "url": url, **fields}, Webhook)


async def call(webhooks: Webhooks, server: ScriptedServer, **fields: Any) -> HookAnswer:
    return await webhooks.call(a_hook(f"{server.url}/gate", **fields), PAYLOAD)


@pytest.mark.parametrize(
    ("configs", "applied", "digest"),
    [
        (None, "", "758df7c9fc"),
        (None, "7c6d9f5b4", "7dc89fdd65"),
        ({"configmap/checkout-config": "9f86d081884c7d65"}, "7c6d9f5b4", "56c99f9c79"),
        (
            {"secret/checkout-tls": "2c26b46b68ffc68f", "configmap/checkout-config": "9f86d081884c7d65"},
            "7c6d9f5b4",
            "684c857768",
        ),
        ({"b": "1", "a": "2"}, "q\\", "85b7b9d6bc"),
        ({}, 'x"y', "7db6cf8f57"),
    ],
)
def test_checksum(configs: dict[str, str] | None, applied: str, digest: str) -> None:
    """The checksum is upstream's, bit for bit."""
    assert checksum(applied, configs) == digest


def test_payload() -> None:
    """Five keys in upstream's order, metadata sorted, and none without entries."""
    canary = a_canary(trackedConfigs={"a": "2", "b": "1"}, lastAppliedSpec="q\\")
    whole = payload_for(canary, "Waiting", {"type": "cmd", "cmd": "hey"}).encode()
    assert whole == (
        b'{"name":"checkout","namespace":"shop","phase":"Waiting","checksum":"85b7b9d6bc",'
        b'"metadata":{"cmd":"hey","type":"cmd"}}'
    )
    assert b"metadata" not in payload_for(canary, "").encode()


async def test_request(webhooks: Webhooks) -> None:
    """A POST of compact JSON that names run and hook in headers and leaves the body as upstream's."""
    async with ScriptedServer() as server:
        hook = a_hook(f"http://bob:s3cret@{server.address}/x?y=1", name="load test/é")
        answer = await webhooks.call(hook, PAYLOAD, run="u-1/7")
    request = server.received[0]
    assert answer == HookAnswer(True)
    assert (request.method, request.target) == ("POST", "/x?y=1")
    assert json.loads(request.body) == {
        "name": "checkout",
        "namespace": "shop",
        "phase": "Progressing",
        "checksum": "7dc89fdd65",
    }
    assert request.header("content-type") == ["application/json"]
    assert request.header("authorization") == [basic("bob", "s3cret")]
    assert request.header("x-flagger-run") == ["u-1%2F7"]
    assert request.header("x-flagger-hook") == ["pre-rollout/load%20test%2F%C3%A9"]


@pytest.mark.parametrize("hook_type", ["", "rollout"])
async def test_an_empty_type_is_rollout(webhooks: Webhooks, hook_type: str) -> None:
    """A hook without type is announced as a rollout hook."""
    async with ScriptedServer() as server:
        await call(webhooks, server, type=hook_type)
    assert server.received[0].header("x-flagger-hook") == ["rollout/gate"]


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_yes(webhooks: Webhooks, status: int) -> None:
    """200, 201 and 202 mean yes, whatever the body says."""
    async with ScriptedServer([Reply(status, b"no!")]) as server:
        assert await call(webhooks, server) == HookAnswer(True)


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (Reply(203), "203 Non-Authoritative Information is not accepted, only 200, 201 and 202 are"),
        (Reply(204), "204 No Content is not accepted, only 200, 201 and 202 are"),
        (Reply(206, b"part"), "part"),
        (Reply(400, b"no such test"), "no such test"),
        (Reply(403), "403 Forbidden"),
        (Reply(404, b"\r\n\x1b[31mgone\n"), "[31mgone"),
        (Reply(501, b"never"), "never"),
        (Reply(403, b"x" * 600), "x" * 512 + "…"),
        (
            Reply(302, headers=[("Location", "https://u:p@elsewhere/y?token=1")]),
            "302 Found: redirects are not followed, use https://elsewhere/y",
        ),
        (Reply(307), "307 Temporary Redirect: redirects are not followed, use the final address"),
    ],
)
async def test_no(webhooks: Webhooks, reply: Reply, detail: str) -> None:
    """Other answers are a no that is not repeated; the receiver's words are passed on, never an empty text."""
    async with ScriptedServer([reply]) as server:
        assert await call(webhooks, server, retries=3) == HookAnswer(False, detail)
    assert len(server.received) == 1


def pauses(server: ScriptedServer) -> list[int]:
    times = [request.at for request in server.received]
    return [round(later - sooner) for sooner, later in pairwise(times)]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 599 - 92])
@pytest.mark.looptime
async def test_retries(webhooks: Webhooks, status: int) -> None:
    """Server errors are repeated after 1 s and 2 s with the same body, then given up with the last words."""
    async with ScriptedServer([Reply(status, b"broken")]) as server:
        answer = await call(webhooks, server, retries=2)
        assert pauses(server) == [1, 2]
        assert len({request.body for request in server.received}) == 1
        reason = f"POST {server.url}/gate giving up after 3 attempt(s): {status} "
        assert (answer.ok, answer.attempts) == (False, 3)
        assert answer.detail.startswith(reason)
        assert answer.detail.endswith(": broken")


@pytest.mark.looptime
async def test_retries_back_off_up_to_half_a_minute(webhooks: Webhooks) -> None:
    """The pauses double up to 30 s; success ends them."""
    async with ScriptedServer([*[Reply(500)] * 7, Reply(200)]) as server:
        assert await call(webhooks, server, retries=9) == HookAnswer(True, attempts=8)
        assert pauses(server) == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        ("7", 7),
        ("0", 0),
        ("86400", 30),
        ("99999999999999999999", 30),
        pytest.param("9" * 5000, 30, id="thousands of digits"),
        ("Tue, 01 Jan 2030 12:00:09 GMT", 9),
        ("Mon, 31 Dec 2029 12:00:00 GMT", 0),
        ("soon", 1),
        ("", 1),
    ],
)
@pytest.mark.looptime
async def test_retry_after(webhooks: Webhooks, retry_after: str, pause: int) -> None:
    """A receiver may ask for a pause, up to 30 s."""
    busy = Reply(503, headers=[("Retry-After", retry_after)])
    async with ScriptedServer([busy, Reply(200)]) as server:
        await call(webhooks, server, retries=1)
        assert pauses(server) == [pause]


@pytest.mark.parametrize("reply", [Reply(wait=60), Reply(body=b"slow", stall=60), Reply(raw=b"junk\r\n\r\n")])
@pytest.mark.looptime
async def test_broken_receivers_are_repeated(webhooks: Webhooks, reply: Reply) -> None:
    """Each attempt has the whole time limit, which covers the body; a time-out is repeated."""
    async with ScriptedServer([reply, Reply(200)]) as server:
        answer = await call(webhooks, server, retries=1, timeout="3s")
        assert answer == HookAnswer(True, attempts=2)
        assert pauses(server) == ([1] if reply.raw else [4])


@pytest.mark.looptime
async def test_time_limit(webhooks: Webhooks) -> None:
    """The default limit is ten seconds; without retries the first time-out is final."""
    async with ScriptedServer([Reply(wait=60)]) as server:
        answer = await call(webhooks, server)
        assert answer.detail == (
            f"POST {server.url}/gate giving up after 1 attempt(s): no complete answer within 10s"
        )


async def test_nobody_there(webhooks: Webhooks) -> None:
    """A refused connection is a failure that shows no credentials."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = await webhooks.call(a_hook(f"http://u:hunter2@{address}/g?key=k3y"), PAYLOAD)
    assert answer.detail == f"POST http://{address}/g giving up after 1 attempt(s): connection refused"


@pytest.mark.parametrize("url", ["gate", "ftp://gate/", "http://[", ""])
async def test_unusable_url(webhooks: Webhooks, url: str) -> None:
    """A URL that cannot be called fails at once."""
    answer = await webhooks.call(a_hook(url, retries=5), PAYLOAD)
    assert answer == HookAnswer(False, f"POST {url}: is not a valid http or https URL")


async def test_a_huge_answer_is_not_read(webhooks: Webhooks) -> None:
    """Only the beginning of a body is read; the status counts."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n" + b"x" * 2**20
    async with ScriptedServer([Reply(raw=endless + b"x")]) as server:
        assert await call(webhooks, server) == HookAnswer(True)


async def test_certificates(webhooks: Webhooks) -> None:
    """An untrusted certificate is refused and not retried, unless the hook says `disableTLS`."""
    async with ScriptedServer(tls=self_signed()) as server:
        refused = await call(webhooks, server, retries=3)
        assert (refused.ok, refused.attempts) == (False, 1)
        assert "certificate is not trusted" in refused.detail
        assert (await call(webhooks, server, disableTLS=True)).ok


async def test_each_call_has_its_own_connection(webhooks: Webhooks) -> None:
    """No connection is kept between calls: a POST on one that the receiver just closed would be lost."""
    async with ScriptedServer() as server:
        assert (await call(webhooks, server)).ok
        assert (await call(webhooks, server)).ok
        assert server.connections == 2
    assert server.received[1].header("connection") == ["close"]
