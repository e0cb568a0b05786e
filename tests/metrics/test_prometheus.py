"""The Prometheus provider on the wire: requests, answers, and what goes wrong."""

import asyncio
import copy
import json
import math
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.api.references import SecretRef
from flagger.metrics.base import Backend, MetricProvider, NoData, ProviderError, Reading, Sample
from flagger.metrics.providers.prometheus import Prometheus
from flagger.metrics.table import PROVIDERS, provider_for
from flagger.outbound import Outbound, basic
from tests.fakes.scripted import Received, Reply, ScriptedServer

MINUTE = timedelta(minutes=1)
SECRET = SecretRef(name="prom")


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    async with Outbound() as out:
        yield out


def a_spec(address: str, **changes: Any) -> ProviderSpec:
    return ProviderSpec(type=MetricProviderType.PROMETHEUS, address=address, **changes)


def vector(*values: object) -> Reply:
    """An instant vector; each value is a sample's second half."""
    result = [{"metric": {"n": str(n)}, "value": [1760000000.125, value]} for n, value in enumerate(values)]
    return data({"resultType": "vector", "result": result})


def data(content: object) -> Reply:
    return Reply(body=json.dumps({"status": "success", "data": content}).encode())


def results(*series: object) -> Reply:
    return data({"resultType": "vector", "result": list(series)})


async def ask(provider: MetricProvider, query: str = "up") -> Reading:
    return await provider.query(query, window=MINUTE)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "/api/v1/query"),
        ("/", "/api/v1/query"),
        ("/prom/", "/prom/api/v1/query"),
        ("/a/b?x=1", "/a/b/api/v1/query"),
    ],
)
async def test_request(outbound: Outbound, path: str, expected: str) -> None:
    """One GET for an instant query; a path in the address is a prefix, its query string is dropped."""
    async with ScriptedServer([vector("0.0425")]) as server:
        reading = await ask(Prometheus(Backend(outbound, server.url + path)))
    request = server.received[0]
    assert (reading, request.method, request.path, request.body) == (Sample(0.0425), "GET", expected, b"")
    assert request.header("authorization") == []


async def test_query_arrives_as_written(outbound: Outbound) -> None:
    """Every character of PromQL survives the way, also line breaks and blanks inside label values."""
    query = 'sum(rate(a{b=~"x|y+z%  é#&=?"}[1m]))\n  / 2'
    async with ScriptedServer([vector("1")]) as server:
        await ask(Prometheus(Backend(outbound, server.url)), query)
    assert server.received[0].query("query") == query


@pytest.mark.parametrize(
    ("credentials", "authorization"),
    [
        pytest.param({"token": "t", "username": "u", "password": "p"}, ["Bearer t"], id="bearer wins"),
        pytest.param({"username": "alice", "password": "s3cret"}, [basic("alice", "s3cret")], id="basic"),
        pytest.param({"token": ""}, ["mine"], id="an empty token means none"),
    ],
)
async def test_credentials(outbound: Outbound, credentials: dict[str, str], authorization: list[str]) -> None:
    """The Secret's credentials replace an Authorization header of the template; others stay, line by line."""
    headers = {"X-Scope-OrgID": ("team-7", "team-8"), "authorization": ("mine",)}
    async with ScriptedServer([vector("1")]) as server:
        spec = a_spec(server.url, headers=headers, secret_ref=SECRET)
        before = copy.deepcopy(spec)
        provider = provider_for(spec, credentials, outbound)
        for _ in range(3):
            await ask(provider)
        assert spec == before
    assert [request.header("authorization") for request in server.received] == [authorization] * 3
    assert server.received[2].header("x-scope-orgid") == ["team-7", "team-8"]


async def test_credentials_without_reference(outbound: Outbound) -> None:
    """Without a secretRef nothing is authorised, except by user info in the address."""
    async with ScriptedServer([vector("1")]) as server:
        await ask(provider_for(a_spec(server.url), {"token": "t"}, outbound))
        await ask(provider_for(a_spec(f"http://u:p@{server.address}"), {}, outbound))
    assert server.received[0].header("authorization") == []
    assert server.received[1].header("authorization") == [basic("u", "p")]


@pytest.mark.parametrize(
    ("changes", "credentials", "problem"),
    [
        ({"address": ""}, {}, "address '' is not a valid URL"),
        ({"address": "10.0.0.1:9090"}, {}, "is not a valid URL"),
        ({"address": "host:9090"}, {}, "is not a valid URL"),
        ({"address": "http://u:hunter2@[x"}, {}, "is not a valid URL"),
        ({"secret_ref": SECRET}, {}, "does not contain a username"),
        ({"secret_ref": SECRET}, {"username": "u"}, "does not contain a password"),
        ({"type": MetricProviderType.DATADOG}, {}, "datadog is not supported"),
    ],
)
async def test_unusable_settings(
    outbound: Outbound, changes: dict[str, Any], credentials: dict[str, str], problem: str
) -> None:
    """Settings that cannot work are refused before anything is asked, with the field and a fix."""
    settings = {"type": MetricProviderType.PROMETHEUS, "address": "http://prometheus:9090", **changes}
    with pytest.raises(FieldError) as caught:
        provider_for(ProviderSpec(**settings), credentials, outbound)
    assert problem in caught.value.problem
    assert caught.value.field.startswith("spec.provider.")
    assert caught.value.fix
    assert "hunter2" not in str(caught.value)


def test_every_upstream_type_is_known() -> None:
    """The table's keys are among the types that upstream knows; others are refused by name."""
    assert len(MetricProviderType) == 11
    assert set(PROVIDERS) <= set(MetricProviderType)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (vector("1", "2"), 2.0),
        (vector("1e3"), 1000.0),
        (vector("+Inf"), math.inf),
        (vector("-Inf"), -math.inf),
        (vector("NaN", "3"), 3.0),
        (vector("5", 7), 5.0),
        (results({"metric": {}, "values": None, "value": [1, "4"]}), 4.0),
    ],
)
async def test_values(outbound: Outbound, reply: Reply, value: float) -> None:
    """The last text among the samples counts, with a note when there are several."""
    async with ScriptedServer([reply]) as server:
        reading = await ask(Prometheus(Backend(outbound, server.url)))
    assert isinstance(reading, Sample)
    assert reading.value == value


async def test_several_series_are_noted(outbound: Outbound) -> None:
    """A query that yields several series says so, as only one of them counts."""
    async with ScriptedServer([vector("1", "2", "3")]) as server:
        reading = await ask(Prometheus(Backend(outbound, server.url)))
    assert reading == Sample(3.0, "3 series, the last one counts")


@pytest.mark.parametrize("reply", [vector(), vector("NaN"), vector("1", "NaN"), vector(7), vector(None)])
async def test_no_data(outbound: Outbound, reply: Reply) -> None:
    """An empty vector, NaN and samples that are no text are no data, with the query and the address."""
    async with ScriptedServer([reply]) as server:
        reading = await ask(Prometheus(Backend(outbound, server.url)), "sum(x)")
        assert reading == NoData(f"{server.url}: no values found (query: sum(x))")


NO_ANSWER = "this is no answer of a Prometheus"


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (results({"metric": {}, "values": [[1, "1"], [2, "2"]]}), "query returned multiple values"),
        (results({"metric": {}, "values": []}), "query returned multiple values"),
        (data({"resultType": "scalar", "result": [1760000000, "3"]}), "scalar or a string"),
        (data({"resultType": "string", "result": [1760000000, "x"]}), "scalar or a string"),
        (results({"metric": {}, "histogram": [1, {"count": "4", "sum": "2.5"}]}), "native histogram"),
        (results({"metric": {}, "value": []}), "a series has no value"),
        (results({"metric": {}, "value": [1]}), "a series has no value"),
        (results({"metric": {}}), "a series has no value"),
        (vector("many"), NO_ANSWER),
        (Reply(body=b"<html>login</html>"), f"{NO_ANSWER}: <html>login</html>"),
        (Reply(body=b""), NO_ANSWER),
        (Reply(body=b"[]"), NO_ANSWER),
        (Reply(body=b"null"), NO_ANSWER),
        (Reply(body=b'"x"'), NO_ANSWER),
        (Reply(body=b'{"data": null}'), NO_ANSWER),
        (Reply(body=b'{"status":"error","error":"x"}'), NO_ANSWER),
        (
            Reply(422, b'{"status":"error","error":"boom"}'),
            '422 Unprocessable Entity: {"status":"error","error":"boom"}',
        ),
        *[(Reply(status, b"no"), f"{status} ") for status in (400, 401, 403, 404, 429, 500, 502)],
        (Reply(500, b"x" * 9000), "x" * 300 + "…"),
        (Reply(wait=60), "no complete answer within 5s"),
        (Reply(body=b"{}", stall=60), "no complete answer within 5s"),
        (Reply(body=b" " * (2**20 + 1)), "larger than 1048576 bytes"),
        (Reply(raw=b"junk\r\n\r\n"), "not valid HTTP"),
    ],
)
@pytest.mark.looptime
async def test_errors(outbound: Outbound, reply: Reply, problem: str) -> None:
    """Whatever comes back, it ends as one line with address, cause and query, within the time limit."""
    async with ScriptedServer([reply]) as server:
        address = f"http://u:hunter2@{server.address}"
        reading = await ask(Prometheus(Backend(outbound, address)), "sum(x)")
        assert isinstance(reading, ProviderError)
        assert reading.problem.startswith(f"{server.url}: ")
        assert reading.problem.endswith(" (query: sum(x))")
        assert problem in reading.problem
        assert "hunter2" not in reading.problem


async def test_errors_do_not_repeat_secrets(outbound: Outbound) -> None:
    """A server that echoes the token does not get it into an Event."""
    async with ScriptedServer([Reply(401, b"bad token t0ken")]) as server:
        spec = a_spec(server.url, secret_ref=SECRET)
        reading = await ask(provider_for(spec, {"token": "t0ken"}, outbound))
    assert isinstance(reading, ProviderError)
    assert "401 Unauthorized: bad token ***" in reading.problem


async def test_redirects_within_the_server_are_followed(outbound: Outbound) -> None:
    """A redirect is followed; on another server no credentials arrive."""
    async with ScriptedServer([vector("1")]) as other:
        away = Reply(302, headers=[("Location", f"{other.url}/api/v1/query?query=up")])
        async with ScriptedServer([away]) as server:
            spec = a_spec(server.url, secret_ref=SECRET)
            assert await ask(provider_for(spec, {"token": "t"}, outbound)) == Sample(1.0)
    assert other.received[0].header("authorization") == []


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (vector("1"), None),
        (vector("2"), "the result is not 1"),
        (vector(), "the result is not 1"),
        (Reply(401, b"who?"), "401 Unauthorized: who?"),
    ],
)
async def test_check(outbound: Outbound, reply: Reply, problem: str | None) -> None:
    """A server is available when `vector(1)` yields 1."""
    async with ScriptedServer([reply]) as server:
        error = await Prometheus(Backend(outbound, server.url)).check()
    assert server.received[0].query("query") == "vector(1)"
    assert (problem in error.problem) if problem and error else error is None


async def test_concurrent_queries_do_not_mix(outbound: Outbound) -> None:
    """Each query has its own credentials and answer, however many run at once."""

    def echo(request: Received) -> Reply:
        return vector(request.header("authorization")[0].removeprefix("Bearer "))

    async with ScriptedServer(echo) as server:
        spec = a_spec(server.url, secret_ref=SECRET)
        providers = [provider_for(spec, {"token": str(n)}, outbound) for n in range(50)]
        readings = await asyncio.gather(*(ask(provider) for provider in providers))
    assert readings == [Sample(float(n)) for n in range(50)]
