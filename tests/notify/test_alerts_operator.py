"""Alerts of an operator: the receiver that its flags name, and what people hear of whole runs."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from flagger.api.alert_provider import AlertProviderType
from flagger.notify.message import Receiver
from flagger.outbound import Proxies
from flagger.runtime.notifier import default_receiver
from flagger.runtime.settings import read_settings
from tests.fakes.cluster import Lab, a_canary, a_lab, a_target
from tests.fakes.scripted import Reply, ScriptedServer
from tests.runtime.operating import METRICS, Bench, a_bench

SLACK = "https://hooks.slack.com/services/T/B/x"
BOT = "https://slack.com/api/chat.postMessage"
TEAMS = "https://acme.webhook.office.com/webhookb2/x"


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with a_lab() as found:
        yield found


def slack(address: str = SLACK, **fields: Any) -> Receiver:
    return Receiver(type=AlertProviderType.SLACK, address=address, **{"channel": "", **fields})


@pytest.mark.parametrize(
    ("flags", "environment", "receiver"),
    [
        ([], {}, None),
        ([f"-slack-url={SLACK}"], {}, slack()),
        (
            [f"-slack-url={SLACK}", "-slack-channel=ops", "-slack-user=bot", "-slack-proxy-url=proxy:3128"],
            {},
            slack(channel="ops", username="bot", proxy="http://proxy:3128"),
        ),
        (["-slack-url=https://x", "-slack-user="], {"SLACK_URL": f"{SLACK}\n"}, slack()),
        (
            ["-slack-channel=ops"],
            {"SLACK_URL": BOT, "SLACK_TOKEN": "xoxb\n", "SLACK_PROXY_URL": "http://p:1"},
            slack(BOT, token="xoxb", channel="ops", proxy="http://p:1"),
        ),
        (
            [f"-slack-url={SLACK}", f"-msteams-url={TEAMS}"],
            {"MSTEAMS_PROXY_URL": "http://p:1"},
            Receiver(type=AlertProviderType.MSTEAMS, address=TEAMS, proxy="http://p:1"),
        ),
        (["-slack-url=x"], {"MSTEAMS_URL": TEAMS}, Receiver(type=AlertProviderType.MSTEAMS, address=TEAMS)),
    ],
)
def test_the_operators_receiver(
    flags: list[str], environment: dict[str, str], receiver: Receiver | None
) -> None:
    """Teams before Slack, the environment before flags; a webhook of Slack needs no channel."""
    with structlog.testing.capture_logs() as logs:
        assert default_receiver(read_settings(flags, environment)) == receiver
    assert [line["log_level"] for line in logs] == (["info"] if receiver else [])
    assert "services" not in str(logs)
    assert "webhookb2" not in str(logs)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["-slack-url=hooks/s3cret"], "-slack-url: the address is not a valid http or https URL"),
        (["-msteams-url=ftp://s3cret"], "-msteams-url: the address is not a valid http or https URL"),
        ([f"-slack-url={BOT}"], "-slack-channel: is empty, and a bot has no channel of its own"),
        ([f"-slack-url={SLACK}", "-slack-token=s3cret"], "-slack-channel: is empty"),
        ([f"-slack-url={SLACK}", "-slack-proxy-url=s3cret:x"], "-slack-proxy-url: the address is not"),
        ([f"-msteams-url={TEAMS}", "-msteams-proxy-url=socks5://s3cret"], "-msteams-proxy-url: the address"),
    ],
)
def test_unusable_flags(flags: list[str], problem: str) -> None:
    """One line at the start names the flag, not its value; the operator goes on without a receiver."""
    with structlog.testing.capture_logs() as logs:
        assert default_receiver(read_settings(flags, {})) is None
    (line,) = logs
    assert (line["log_level"], line["event"]) == ("error", "notifier can't be used, its alerts are dropped")
    assert line["problem"].startswith(problem)
    assert "s3cret" not in str(logs)


def test_the_process_has_proxies() -> None:
    """Those of the environment serve receivers that name none."""
    environment = {"HTTPS_PROXY": "http://p:1", "no_proxy": "chat.example"}
    assert read_settings([], environment).proxies == Proxies(https="http://p:1", exempt=("chat.example",))


@asynccontextmanager
async def telling(bench: Bench) -> AsyncIterator[None]:
    """Have alerts delivered meanwhile."""
    task = asyncio.create_task(bench.world.alerts.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def run(bench: Bench, image: str, ticks: int) -> str:
    """Push a revision and tick; returns the phase it ends in."""
    await bench.push(image)
    for _ in range(ticks):
        await bench.tick()
        for name in ("checkout", "checkout-primary"):
            await bench.lab.rolled_out(name)
    return (await bench.status())["phase"]


async def test_what_people_hear_of_releases(lab: Lab) -> None:
    """A good and a bad run, told in order to the operator's receiver with upstream's words and facts."""
    analysis = {"stepWeight": 50, "maxWeight": 50, "threshold": 1, "metrics": METRICS}
    async with ScriptedServer([Reply(200, b"ok")]) as server:
        options = {"slack_url": server.url, "slack_channel": "ops", "cluster_name": "eu-1"}
        async with a_bench(lab, **options) as bench, telling(bench):
            await bench.initialized(a_target(), a_canary(analysis=analysis))
            assert await run(bench, "podinfo:2", 6) == "Succeeded"
            bench.metrics.rate = 50.0
            assert await run(bench, "podinfo:3", 4) == "Failed"
            await bench.world.alerts.drain()
    told = [json.loads(request.body)["attachments"][0] for request in server.received]
    cluster = {"title": "Cluster", "value": "eu-1", "short": False}
    assert [(item["color"], item["text"], len(item["fields"])) for item in told] == [
        ("good", "New Deployment detected, initialization completed", 5),
        ("good", "New revision detected, progressing canary analysis", 5),
        ("good", "Canary analysis completed successfully, promotion finished", 1),
        ("good", "New revision detected, progressing canary analysis", 5),
        ("danger", "Failed checks threshold reached 1", 1),
    ]
    assert [item["author_name"] for item in told] == ["checkout.shop"] * 5
    assert [item["fields"][0] for item in told] == [cluster] * 5


async def test_a_receiver_that_hangs_delays_no_tick(lab: Lab) -> None:
    """Ticks take as long as ever while a receiver keeps everybody waiting."""
    async with ScriptedServer([Reply(wait=1000)]) as server, a_bench(lab, slack_url=server.url) as bench:
        async with telling(bench):
            await bench.initialized(a_target(), a_canary(analysis={"stepWeight": 50, "metrics": METRICS}))
            started = time.monotonic()
            assert await run(bench, "podinfo:2", 6) == "Succeeded"
            assert time.monotonic() - started < 4.0
        assert len(server.received) == 1


async def test_blocked_references_reach_nobody(lab: Lab) -> None:
    """With -no-cross-namespace-refs a Canary that names a provider elsewhere waits, and nothing is sent."""
    entry = {"name": "chat", "providerRef": {"name": "chat", "namespace": "ops"}}
    async with a_bench(lab, no_cross_namespace_refs=True) as bench, telling(bench):
        await lab.add(a_target(), a_canary(analysis={"stepWeight": 50, "alerts": [entry]}))
        await bench.tick()
        (event,) = await bench.told()
        assert "spec.analysis.alerts[0].providerRef.namespace: refers to namespace 'ops'" in event
        assert bench.world.alerts.dropped == 0
