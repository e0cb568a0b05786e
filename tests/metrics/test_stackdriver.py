"""Identities at Google Cloud: keys, tokens and their ends, the machine's own account, and the missing library."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.api.references import SecretRef
from flagger.metrics.base import ProviderError, Reading, Sample, Tools
from flagger.metrics.table import provider_for
from tests.fakes.scripted import Received, Reply, ScriptedServer
from tests.metrics.contracts import TOKEN, answering, service_account

MINUTE = timedelta(minutes=1)
GOOD = Reply(body=b'{"timeSeriesData":[{"pointData":[{"values":[{"doubleValue":7}]}]}]}')


def spec(address: str) -> ProviderSpec:
    return ProviderSpec(type=MetricProviderType.STACKDRIVER, address=address, secret_ref=SecretRef(name="s"))


async def ask(tools: Tools, address: str, key: str | None = None) -> Reading:
    secret = {"project": "shop"} | ({} if key is None else {"serviceAccountKey": key})
    return await provider_for(spec(address), secret, tools).query("fetch x", window=MINUTE)


async def test_a_token_is_kept(tools: Tools) -> None:
    """One token serves all queries and checks until it expires."""
    async with ScriptedServer(answering(GOOD)) as server:
        secret = {"project": "shop", "serviceAccountKey": service_account(server.url)}
        provider = provider_for(spec(server.url), secret, tools)
        for _ in range(3):
            assert await provider.query("fetch x", window=MINUTE) == Sample(7.0)
        await provider.check()
    assert [request.path for request in server.received].count(TOKEN) == 1


async def test_a_token_is_asked_for_with_the_scope(tools: Tools) -> None:
    """The key signs a request for reading metrics, and itself stays here."""
    async with ScriptedServer(answering(GOOD)) as server:
        key = service_account(server.url)
        await ask(tools, server.url, key)
    asked = server.received[0]
    assert (asked.method, asked.path) == ("POST", TOKEN)
    assert b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" in asked.body
    assert json.loads(key)["private_key"].splitlines()[1].encode() not in asked.body


def _refusing(request: Received) -> Reply:
    return Reply(401, b'{"error":"invalid_grant"}') if request.path == TOKEN else GOOD


def _rambling(request: Received) -> Reply:
    return Reply(body=b"<html>") if request.path == TOKEN else GOOD


@pytest.mark.parametrize("script", [_refusing, _rambling])
async def test_no_token(tools: Tools, script: Callable[[Received], Reply]) -> None:
    """A token that is not given is an error; the metrics are not asked for then."""
    async with ScriptedServer(script) as server:
        found = await ask(tools, server.url, service_account(server.url))
    assert isinstance(found, ProviderError)
    assert "no access token: " in found.problem
    assert {request.path for request in server.received} == {TOKEN}


@pytest.mark.looptime
async def test_a_late_token(tools: Tools) -> None:
    """The way to the token has a limit, too."""
    async with ScriptedServer([Reply(wait=600)]) as server:
        found = await ask(tools, server.url, service_account(server.url))
    assert isinstance(found, ProviderError)
    assert "no access token" in found.problem


@pytest.mark.parametrize("key", ["s3cret", "{}", '{"type":"service_account","private_key":"s3cret"}'])
async def test_no_key(tools: Tools, key: str) -> None:
    """What is no key of a service account is said to be none, and not shown."""
    found = await ask(tools, "http://127.0.0.1:1", key)
    assert isinstance(found, ProviderError)
    assert "no access token: serviceAccountKey is not a service account's key" in found.problem
    assert "s3cret" not in found.problem


async def test_the_account_of_the_pod(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the identity comes from the metadata server, as with Workload Identity."""

    def script(request: Received) -> Reply:
        flavor = [("Metadata-Flavor", "Google"), ("Content-Type", "application/json")]
        if request.path.endswith("/token"):
            return Reply(body=b'{"access_token":"from-metadata","expires_in":3600}', headers=flavor)
        if "service-accounts" in request.path:
            body = b'{"email":"pod@shop.iam.gserviceaccount.com","scopes":[]}'
            return Reply(body=body, headers=flavor)
        return GOOD if request.method == "POST" else Reply(body=b"shop", headers=flavor)

    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    async with ScriptedServer(script) as server:
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"):
            monkeypatch.setenv(name, server.address)
        for name in [name for name in sys.modules if name.startswith("google.auth.compute_engine")]:
            monkeypatch.delitem(sys.modules, name)  # they read the environment once
        assert await ask(tools, server.url) == Sample(7.0)
    assert server.received[-1].header("authorization") == ["Bearer from-metadata"]


async def test_without_the_extra(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the provider says what to install."""
    monkeypatch.setitem(sys.modules, "google.auth.exceptions", None)
    provider = provider_for(spec("http://127.0.0.1:1"), {"project": "shop"}, tools)
    for found in (await provider.query("x", window=MINUTE), await provider.check()):
        assert isinstance(found, ProviderError)
        assert "google-auth is not installed: install flagger[gcp]" in found.problem
