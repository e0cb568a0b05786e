"""Who gets which alert, what it says, and what happens when a provider is not usable."""

import asyncio
import json
from typing import Any

import pytest
import structlog

from flagger.api.alert_provider import AlertProviderType
from flagger.kube.objects import SECRET
from flagger.notify.alerts import message_about
from flagger.notify.message import Receiver
from flagger.notify.receivers import ALERT_PROVIDER
from flagger.rollout.state import Alert, Severity
from tests.fakes.scripted import Reply, ScriptedServer
from tests.kube.tiny_api import eventually, fail, refuse
from tests.notify.alerting import ERROR, NEWS, WARNING, a_canary, an_office, to


def texts(server: ScriptedServer) -> list[str]:
    return [json.loads(request.body)["attachments"][0]["text"] for request in server.received]


@pytest.mark.parametrize(
    ("severity", "sent"),
    [
        ("info", [NEWS, WARNING, ERROR]),
        ("warn", [WARNING, ERROR]),
        ("error", [ERROR]),
        ("", [NEWS, WARNING, ERROR]),
    ],
)
async def test_severity(severity: str, sent: list[Alert]) -> None:
    """An entry gets its own severity and worse; info unless it says otherwise."""
    async with ScriptedServer() as server, an_office() as office:
        office.provider("chat", address=server.url)
        await office.tell(a_canary(to("chat", severity)), NEWS, WARNING, ERROR)
    assert texts(server) == [alert.text for alert in sent]


async def test_all_entries_are_served() -> None:
    """Every entry gets the alert, also behind one that fails; the operator's own receiver does not."""
    async with ScriptedServer([Reply(404)]) as bad, ScriptedServer() as good, ScriptedServer() as own:
        default = Receiver(type=AlertProviderType.SLACK, address=own.url)
        async with an_office(default=default) as office:
            office.provider("bad", address=bad.url)
            office.provider("good", address=good.url)
            await office.tell(
                a_canary(to("bad"), to("missing"), to("good"), to("good", "error")), NEWS, ERROR
            )
    assert (texts(bad), texts(own)) == ([NEWS.text, ERROR.text], [])
    assert texts(good) == [NEWS.text, ERROR.text, ERROR.text]


async def test_the_operators_own_receiver() -> None:
    """A Canary without entries uses it, for every severity."""
    async with ScriptedServer() as server:
        default = Receiver(type=AlertProviderType.SLACK, address=server.url)
        async with an_office(default=default) as office:
            await office.tell(a_canary(), NEWS, WARNING, ERROR)
    assert texts(server) == [NEWS.text, WARNING.text, ERROR.text]


async def test_nobody_to_tell() -> None:
    """Without entries and without a receiver of its own, the operator sends nothing and says nothing."""
    async with an_office() as office:
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(), ERROR)
        assert (logs, office.warnings) == ([], [])


async def test_providers_in_other_namespaces() -> None:
    """A provider is found where the entry says, with the Secret beside it."""
    async with ScriptedServer() as server, an_office() as office:
        office.provider("chat", namespace="ops", secretRef={"name": "chat"})
        office.secret("chat", namespace="ops", address=server.url, token="t")
        await office.tell(a_canary(to("chat", namespace="ops")), NEWS)
    assert server.received[0].header("authorization") == ["Bearer t"]


async def test_a_secret_wins_over_the_address() -> None:
    """The address comes from the Secret where there is one; without one there is no token."""
    async with ScriptedServer() as secret, ScriptedServer() as plain, an_office() as office:
        office.provider("secret", address=plain.url, secretRef={"name": "chat"})
        office.secret("chat", address=secret.url)
        office.provider("plain", address=plain.url)
        await office.tell(a_canary(to("secret"), to("plain")), NEWS)
    assert (len(secret.received), len(plain.received)) == (1, 1)
    assert plain.received[0].header("authorization") == []


async def test_a_corrected_secret_counts_at_once() -> None:
    """Providers and Secrets are looked up for each alert."""
    async with ScriptedServer() as old, ScriptedServer() as new, an_office() as office:
        office.provider("chat", secretRef={"name": "chat"})
        office.secret("chat", address=old.url)
        await office.tell(a_canary(to("chat")), NEWS)
        office.secret("chat", address=new.url)

        async def told() -> bool:
            await office.tell(a_canary(to("chat")), ERROR)
            return bool(new.received)

        async with asyncio.timeout(5):
            while not await told():
                pass
    assert texts(old)[0] == NEWS.text


FAULTS = [
    pytest.param({}, {}, "not found; create it or correct the name", id="no provider"),
    pytest.param(
        {"spec": {"type": "pager", "address": "https://x"}},
        {},
        "spec.type: invalid enum value 'pager'; ",
        id="unknown type",
    ),
    pytest.param({"spec": {"address": "https://x"}}, {}, "spec.type: ", id="no type"),
    pytest.param({"spec": {"type": "slack"}}, {}, "spec.address: there is no address; ", id="no address"),
    pytest.param(
        {"spec": {"type": "slack", "address": "chat.example/x"}},
        {},
        "spec.address: the address is not a valid http or https URL; ",
        id="no scheme",
    ),
    pytest.param(
        {"spec": {"type": "slack", "address": "https://chat.example", "proxy": "socks5://proxy"}},
        {},
        "spec.proxy: the address is not a valid http or https URL; ",
        id="unusable proxy",
    ),
    pytest.param(
        {"spec": {"type": "slack", "secretRef": {"name": "chat"}}},
        {},
        "spec.secretRef.name: Secret shop/chat not found; create it or correct the name",
        id="no Secret",
    ),
    pytest.param(
        {"spec": {"type": "slack", "secretRef": {"name": "chat"}}},
        {"data": {"url": "aHR0cHM6Ly94"}},
        "spec.secretRef: there is no address; name the URL, in a Secret under the key address",
        id="Secret without address",
    ),
    pytest.param(
        {"spec": {"type": "slack", "secretRef": {"name": "chat"}}},
        {"data": {"address": "https://not-base64"}},
        "spec.secretRef: the key address is not base64; ",
        id="garbled Secret",
    ),
]


@pytest.mark.parametrize(("provider", "secret", "problem"), FAULTS)
async def test_faulty_providers(provider: dict[str, Any], secret: dict[str, Any], problem: str) -> None:
    """One Warning per generation of the Canary names object and field; each alert that is lost is logged."""
    async with an_office() as office:
        if provider:
            office.api.put(ALERT_PROVIDER, "chat", **provider)
        if secret:
            office.api.put(SECRET, "chat", **secret)
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(to("chat", "warn")), NEWS, WARNING, ERROR)
            await office.tell(a_canary(to("chat"), generation=2), NEWS)
        lost = [line for line in logs if line["event"] == "alert could not be sent"]
        told = [line["event"] for line in logs if line not in lost]
    assert [line["text"] for line in lost] == [WARNING.text, ERROR.text, NEWS.text]
    assert told[0].startswith(f"Alert chat can't be sent, AlertProvider shop/chat: {problem}")
    assert told == [told[0]] * 2  # one for each generation
    assert office.warnings == told[:1]


async def test_a_provider_for_errors_is_looked_at_before_there_are_any() -> None:
    """What is wrong with it is told at the first alert of any severity, and nothing counts as lost."""
    async with an_office() as office:
        with structlog.testing.capture_logs() as logs:
            await office.tell(a_canary(to("on-call", "error")), NEWS)
    text = "Alert on-call can't be sent, AlertProvider shop/on-call: not found; create it or correct the name"
    assert [line["event"] for line in logs] == [text]


async def test_providers_that_may_not_be_read() -> None:
    """A refusal of the API server is told like any other fault."""
    async with an_office() as office:
        forbidden = fail(
            9,
            lambda: refuse(403, "Forbidden", "secrets is forbidden"),
            only=lambda request: "secrets" in request.path,
        )
        office.api.faults.append(forbidden)
        office.provider("chat", secretRef={"name": "chat"})
        await office.tell(a_canary(to("chat")), NEWS)
        await eventually(lambda: office.warnings)
        assert "secrets is forbidden" in office.warnings[0]


@pytest.mark.parametrize(
    ("analysis", "routing"),
    [
        ({"stepWeight": 10, "maxWeight": 50}, "Weight step: 10 max: 50"),
        ({"stepWeight": 10}, "Weight step: 10 max: 0"),
        ({"stepWeights": [5, 25, 60], "maxWeight": 60}, "Weight steps: 5,25,60 max: 60"),
        ({"stepWeight": 20, "stepWeights": [5, 25]}, "Weight step: 20 max: 0"),
        ({"iterations": 3, "match": [{"headers": {"x": {"exact": "y"}}}], "stepWeight": 5}, "A/B Testing"),
        ({"iterations": 3, "stepWeight": 5}, "Blue/Green"),
        ({"threshold": 3}, None),
    ],
)
def test_traffic_routing(analysis: dict[str, Any], routing: str | None) -> None:
    """The strategy in upstream's words, with the numbers as the user wrote them."""
    message = message_about(a_canary(**analysis), Alert("text", Severity.INFO, facts=True))
    assert dict(message.facts).get("Traffic routing") == routing


def test_facts() -> None:
    """Names and order of the facts, with upstream's defaults; only the cluster without being asked for."""
    canary = a_canary(stepWeight=10)
    full = message_about(canary, Alert("text", Severity.INFO, facts=True), cluster_name="eu-1")
    assert full.facts == (
        ("Cluster", "eu-1"),
        ("Target", "Deployment/checkout.shop"),
        ("Failed checks threshold", "1"),
        ("Progress deadline", "600s"),
        ("Traffic routing", "Weight step: 10 max: 0"),
    )
    assert message_about(canary, ERROR, cluster_name="eu-1").facts == (("Cluster", "eu-1"),)
    assert message_about(canary, ERROR).facts == ()


def test_texts_are_cut() -> None:
    """A service that limits the length of a message still takes it; control characters go."""
    message = message_about(a_canary(), Alert("a\r\n\x1b" + "x" * 9000, Severity.ERROR))
    assert message.text == "a " + "x" * 1998 + "…"
