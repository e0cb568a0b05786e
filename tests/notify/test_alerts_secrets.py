"""Addresses and tokens of receivers are secrets: they show up nowhere but in the request."""

import json

import pytest
import structlog

from flagger.api.alert_provider import AlertProviderType
from flagger.notify.message import Receiver
from tests.fakes.scripted import Received, Reply, ScriptedServer, self_signed
from tests.notify.alerting import ERROR, NEWS, a_canary, an_office, to

PATH = "/services/T0123/B0456/pathsecret78?sig=querysecret%2B9"
TOKEN = "xoxb-tokensecret"
PASSWORD = "pw"
GIVEAWAYS = ("T0123", "B0456", "pathsecret", "querysecret", "tokensecret", "proxysecret", ":pw@", PATH)


def parrot(status: int) -> Reply:
    """Says everything it knows."""
    body = f"{PATH} {TOKEN} /services/T0123/B0456/pathsecret78 pathsecret78 sig=querysecret+9 querysecret%2B9"
    location = ("Location", f"https://elsewhere.example{PATH}")
    return Reply(status, body.encode(), [location] if 300 <= status < 400 else [])


FAILURES = {
    "refused for good": [parrot(403)],
    "server error": [parrot(500)],
    "too many requests": [parrot(429)],
    "redirect": [parrot(307)],
    "ok: false": [Reply(200, json.dumps({"ok": False, "error": f"no {PATH} for {TOKEN}"}).encode())],
    "ok: false with an object": [Reply(200, json.dumps({"ok": False, "error": {"about": TOKEN}}).encode())],
    "connector": [Reply(200, f"Webhook message delivery failed with error: {PATH}".encode())],
    "hangs": [Reply(wait=1000)],
    "garbage": [Reply(raw=f"{PATH}\r\n\r\n".encode())],
    "reason phrase": [Reply(raw=f"HTTP/1.1 404 No {PATH}\r\nContent-Length: 0\r\n\r\n".encode())],
    "secret at the edge": [Reply(404, b"x" * 195 + TOKEN.encode() + PATH.encode())],
}


@pytest.mark.parametrize("kind", sorted(AlertProviderType))
@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.looptime
async def test_failures_show_no_secret(name: str, kind: str) -> None:
    """Whatever a receiver does or says, neither log nor Events repeat what only it should know."""
    async with ScriptedServer(FAILURES[name]) as server, an_office() as office:
        office.secret("chat", address=f"http://bob:{PASSWORD}@{server.address}{PATH}", token=TOKEN)
        office.provider("chat", type=kind, secretRef={"name": "chat"})
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(to("chat")), ERROR)
    assert "pathsecret78" in server.received[0].target
    assert len(logs) == 1
    assert server.url in str(logs)
    assert [word for word in GIVEAWAYS if word in str(logs)] == []
    assert office.warnings == []


@pytest.mark.parametrize(
    ("address", "proxy"),
    [
        (f"hooks.example{PATH}", ""),
        (f"http://host:port{PATH}", ""),
        (f"http://[{PATH}", ""),
        (f"http://127.0.0.1:1{PATH}", "http://u:proxysecret@127.0.0.1:1"),
        (f"http://127.0.0.1:1{PATH}", "http://u:proxysecret@[:1"),
    ],
)
@pytest.mark.looptime
async def test_unusable_settings_show_no_secret(address: str, proxy: str) -> None:
    """What can't be used is named by its field, not by its value."""
    async with an_office() as office:
        office.secret("chat", address=address, token=TOKEN)
        office.provider("chat", secretRef={"name": "chat"}, proxy=proxy)
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(to("chat")), NEWS)
    assert logs
    shown = f"{logs} {office.warnings}"
    assert [word for word in GIVEAWAYS if word in shown] == []


@pytest.mark.looptime
async def test_untrusted_receivers_show_no_secret() -> None:
    """A failed handshake is told without the address."""
    async with ScriptedServer(tls=self_signed()) as server, an_office() as office:
        office.provider("chat", address=f"{server.url}{PATH}")
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(to("chat")), NEWS)
    assert [word for word in GIVEAWAYS if word in str(logs)] == []


@pytest.mark.looptime
async def test_a_token_that_is_no_header() -> None:
    """A token with a line break in it is refused before anything is sent, and not shown."""
    async with ScriptedServer() as server, an_office() as office:
        office.secret("chat", address=server.url, token="tokensecret\r\nX-Evil: 1")
        office.provider("chat", secretRef={"name": "chat"})
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(to("chat")), NEWS)
    assert (len(logs), server.received) == (1, [])
    assert "tokensecret" not in str(logs)


def test_receivers_print_without_secrets() -> None:
    """The printed form of a receiver, as in a traceback or a failed test, has no address, token or proxy."""
    receiver = Receiver(
        type=AlertProviderType.SLACK,
        address=f"https://hooks.example{PATH}",
        token=TOKEN,
        proxy="http://u:proxysecret@proxy",
    )
    assert [word for word in GIVEAWAYS if word in repr(receiver)] == []
    assert receiver.origin == "https://hooks.example"


async def test_parrots_are_understood_all_the_same() -> None:
    """Words that are no secrets stay readable."""

    def answer(request: Received) -> Reply:
        return Reply(404, f"no such hook: {request.path}".encode())

    async with ScriptedServer(answer) as server, an_office() as office:
        office.provider("chat", address=f"{server.url}/hook/pathsecret78")
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(to("chat")), NEWS)
    assert logs[0]["problem"] == "404 Not Found: no such hook: ***"
