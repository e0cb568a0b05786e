"""How alerts travel: order, patience with receivers, and nobody who waits for them."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
import structlog

from flagger.outbound import Proxies, basic
from tests.fakes.scripted import Received, Reply, ScriptedServer, self_signed
from tests.notify.alerting import ERROR, NEWS, Office, a_canary, an_office, numbered, to


def texts(server: ScriptedServer) -> list[str]:
    return [json.loads(request.body)["attachments"][0]["text"] for request in server.received]


def pauses(server: ScriptedServer) -> list[int]:
    times = [request.at for request in server.received]
    return [round(later - sooner) for sooner, later in pairwise(times)]


async def failure(office: Office, address: str, **spec: Any) -> dict[str, Any]:
    """Tell an alert that can't arrive; returns the one line that is logged about it, without fixed parts."""
    office.provider("chat", address=address, **spec)
    with structlog.testing.capture_logs() as logs:
        await office.tell(a_canary(to("chat")), ERROR)
    (line,) = (line for line in logs if line["log_level"] == "error")
    assert line.pop("event") == "alert could not be sent"
    fixed = {"canary": "checkout.shop", "alert": "chat", "provider": "shop/chat", "text": ERROR.text}
    assert {name: line.pop(name) for name in fixed} == fixed
    assert not office.warnings
    return line


@pytest.mark.looptime
async def test_in_order() -> None:
    """Alerts of a Canary arrive in order, however often the first one has to be repeated."""
    async with (
        ScriptedServer([Reply(500), Reply(503), Reply(wait=3), Reply()]) as server,
        an_office() as office,
    ):
        office.provider("chat", address=server.url)
        await office.tell(a_canary(to("chat")), *map(numbered, range(4)))
    assert texts(server) == [f"alert {number}" for number in (0, 0, 0, 1, 2, 3)]


@pytest.mark.looptime
async def test_nobody_waits() -> None:
    """Handing in is instantaneous, and a receiver that hangs holds up no other, of any Canary."""
    async with ScriptedServer([Reply(wait=1000)]) as slow, ScriptedServer() as quick, an_office() as office:
        office.provider("slow", address=slow.url)
        office.provider("quick", address=quick.url)
        clock = asyncio.get_running_loop().time
        started = clock()
        for number in range(50):
            office.alerts.tell(a_canary(to("slow"), to("quick"), name=f"c{number}"), NEWS)
        assert clock() == started
        await asyncio.sleep(1.0)
        assert (len(quick.received), len(slow.received)) == (50, 1)


@pytest.mark.looptime
async def test_a_receiver_that_hangs() -> None:
    """Four attempts of 5 s each with 1, 2 and 4 s between them; one line in the log; the next one is tried."""
    hangs = [Reply(wait=1000)] * 4
    async with ScriptedServer([*hangs, Reply()]) as server, an_office() as office:
        line = await failure(office, server.url)
        assert pauses(server) == [6, 7, 9]
        assert line == {
            "log_level": "error",
            "receiver": server.url,
            "problem": "no complete answer within 5s",
            "attempts": 4,
        }
        await office.tell(a_canary(to("chat")), NEWS)
        assert texts(server)[4:] == [NEWS.text]


@pytest.mark.looptime
async def test_a_body_that_does_not_end() -> None:
    """The time limit covers the answer's body."""
    async with ScriptedServer([Reply(body=b"ok", stall=1000)]) as server, an_office() as office:
        assert (await failure(office, server.url))["problem"] == "no complete answer within 5s"


@pytest.mark.parametrize(
    ("reply", "waits"),
    [
        (Reply(500), [1, 2, 4]),
        (Reply(502), [1, 2, 4]),
        (Reply(429), [1, 2, 4]),
        (Reply(429, headers=[("Retry-After", "7")]), [7, 7, 7]),
        (Reply(429, headers=[("Retry-After", "86400")]), [30, 30, 30]),
        (Reply(503, headers=[("Retry-After", "Tue, 01 Jan 2999 12:00:00 GMT")]), [30, 30, 30]),
        (Reply(raw=b"junk\r\n\r\n"), [1, 2, 4]),
        (Reply(raw=b""), [1, 2, 4]),
        (Reply(200, b'{"ok":false,"error":"ratelimited"}'), [1, 2, 4]),
        (
            Reply(200, b"Webhook message delivery failed with error: endpoint returned HTTP error 429"),
            [1, 2, 4],
        ),
    ],
)
@pytest.mark.looptime
async def test_what_may_pass_is_repeated(reply: Reply, waits: list[int]) -> None:
    """A receiver may ask for patience, within bounds; after four attempts the alert is given up."""
    async with ScriptedServer([reply]) as server, an_office() as office:
        line = await failure(office, server.url)
        assert (pauses(server), line["attempts"]) == (waits, 4)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(200, b'{"ok":false,"error":"channel_not_found"}'), "200 OK: not taken: channel_not_found"),
        (Reply(200, b'{"ok":false}'), "200 OK: not taken: without a reason"),
        (Reply(200, b'{"success":false,"error":"Invalid payload"}'), "200 OK: not taken: Invalid payload"),
        (
            Reply(200, b"Webhook message delivery failed with error: HTTP error 413"),
            "200 OK: Webhook message delivery failed with error: HTTP error 413",
        ),
        (Reply(400, b"invalid_payload"), "400 Bad Request: invalid_payload"),
        (Reply(403, b"\x1b[31maction\r\n_prohibited"), "403 Forbidden: [31maction _prohibited"),
        (Reply(404), "404 Not Found"),
        (Reply(410, b"x" * 999), "410 Gone: " + "x" * 200 + "…"),
        (Reply(501, b"never"), "501 Not Implemented: never"),
        (
            Reply(308, headers=[("Location", "https://new.example/services/s3cret")]),
            "308 Permanent Redirect: redirects are not followed, use the final address at https://new.example",
        ),
        (
            Reply(302, headers=[("Location", "/login")]),
            "302 Found: redirects are not followed, use the final address",
        ),
        (
            Reply(302, headers=[("Location", "http://[")]),
            "302 Found: redirects are not followed, use the final address",
        ),
    ],
)
async def test_what_is_final_is_not_repeated(reply: Reply, problem: str) -> None:
    """A refusal is told once, in the receiver's words; a 200 is looked into."""
    async with ScriptedServer([reply]) as server, an_office() as office:
        line = await failure(office, server.url)
    assert (line["problem"], line["attempts"], len(server.received)) == (problem, 1, 1)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"ok"),
        Reply(200, b'{"ok":true}'),
        Reply(200, b"1"),
        Reply(200, b"[]"),
        Reply(200, b'{"ok":'),
        Reply(200, b"\xff" * 300_000),
        Reply(202),
        Reply(204),
    ],
)
async def test_taken(reply: Reply) -> None:
    """Every 2xx counts as taken unless it says otherwise; the body need not make sense."""
    async with ScriptedServer([reply]) as server, an_office() as office:
        office.provider("chat", address=server.url)
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(to("chat")), ERROR)
    assert (logs, len(server.received)) == ([], 1)


@pytest.mark.looptime
async def test_nobody_there() -> None:
    """A connection that is refused is tried again; the log names the host."""
    async with an_office() as office:
        line = await failure(office, "http://127.0.0.1:1/services/s3cret")
    assert line == {
        "log_level": "error",
        "receiver": "http://127.0.0.1:1",
        "problem": "connection refused",
        "attempts": 4,
    }


async def test_untrusted_certificates() -> None:
    """A receiver has to prove who it is."""
    async with ScriptedServer(tls=self_signed()) as server, an_office() as office:
        line = await failure(office, server.url)
    assert (line["problem"].partition(":")[0], line["attempts"]) == ("the certificate is not trusted", 1)
    assert not server.received


@pytest.mark.looptime
async def test_too_many_alerts() -> None:
    """Beyond a thousand waiting for one receiver the oldest go, but no error."""
    gate = asyncio.Event()

    def closed(_: Received) -> Reply:
        return Reply() if gate.is_set() else Reply(wait=4)

    async with ScriptedServer(closed) as server, an_office() as office:
        office.provider("chat", address=server.url)
        canary = a_canary(to("chat"))
        with structlog.testing.capture_logs():
            office.alerts.tell(canary, ERROR)
            await asyncio.sleep(0.5)  # under way
            office.alerts.tell(canary, ERROR)
            for number in range(1100):
                office.alerts.tell(canary, numbered(number))
        assert office.alerts.dropped == 101
        gate.set()
        await office.alerts.drain()
    assert texts(server)[:3] == [ERROR.text, ERROR.text, "alert 101"]
    assert len(server.received) == 1001


@pytest.mark.parametrize(
    ("proxy", "environment"),
    [
        ("http://{0}", ""),
        ("{0}", ""),
        ("http://u:p@{0}", ""),
        ("", "http://{0}"),
        ("{0}", "http://127.0.0.1:1"),
    ],
)
async def test_proxies(proxy: str, environment: str) -> None:
    """A provider's own proxy wins over the process's; host and port suffice."""
    async with ScriptedServer() as server:
        proxies = Proxies(http=environment.format(server.address), exempt=("chat.example",) if proxy else ())
        async with an_office(proxies=proxies) as office:
            office.provider("chat", address="http://chat.example/hook", proxy=proxy.format(server.address))
            await office.tell(a_canary(to("chat")), NEWS)
    (request,) = server.received
    assert request.target == "http://chat.example/hook"
    authorization = [basic("u", "p")] if "@" in proxy else []
    assert request.header("proxy-authorization") == authorization
