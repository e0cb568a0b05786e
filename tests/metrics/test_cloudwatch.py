"""CloudWatch through the SDK, against moto's server, and against one that answers badly."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.metrics.aws import Aws
from flagger.metrics.base import MetricProvider, NoData, ProviderError, Reading, Sample, Tools
from flagger.metrics.providers.cloudwatch import CloudWatch, queries
from flagger.metrics.table import provider_for
from tests.fakes.scripted import Reply, ScriptedServer

REGION = "eu-west-1"
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:botocore", "ignore::DeprecationWarning:moto"
)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK finds these, looks nowhere else, and does not wait between attempts for long."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-key")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def a_provider(tools: Tools, address: str) -> MetricProvider:
    return provider_for(
        ProviderSpec(type=MetricProviderType.CLOUDWATCH, region=REGION, address=address), {}, tools
    )


def stat(name: str, **more: Any) -> dict[str, Any]:
    dimensions = [{"Name": "app", "Value": "checkout.shop"}]
    metric = {"Namespace": "Shop", "MetricName": name, "Dimensions": dimensions}
    return {"Id": name.lower(), "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}, **more}


async def ask(tools: Tools, address: str, query: Any) -> Reading:
    text = query if isinstance(query, str) else json.dumps(query)
    return await a_provider(tools, address).query(text, window=MINUTE)


@pytest.fixture
async def errors(moto: str, tools: Tools) -> str:
    """Errors of the last minutes before the tests' clock, the newest 5."""
    async with Aws(REGION, moto, {}).client("cloudwatch") as client:
        points = [
            {
                "MetricName": "Errors",
                "Dimensions": [{"Name": "app", "Value": "checkout.shop"}],
                "Value": value,
                "Timestamp": datetime.fromtimestamp(tools.clock(), UTC) - timedelta(minutes=minutes),
            }
            for minutes, value in ((1, 5.0), (2, 80.0), (30, 900.0))
        ]
        await client.put_metric_data(Namespace="Shop", MetricData=points)
    return moto


async def test_the_newest_value_counts(errors: str, tools: Tools) -> None:
    """Of the points in ten windows up to now, the newest one of the first result."""
    assert await ask(tools, errors, [stat("Errors")]) == Sample(5.0)


async def test_keys_in_any_case(errors: str, tools: Tools) -> None:
    """Letter case, unknown keys and whole numbers with a fraction are no mistakes, as upstream has it."""
    query = (
        json.dumps([stat("Errors", Comment="x")]).replace("MetricStat", "metricstat").replace("60", "60.0")
    )
    assert await ask(tools, errors, query) == Sample(5.0)


async def test_no_data(errors: str, tools: Tools) -> None:
    """A metric without points has no data, and no query has no result."""
    found = await ask(tools, errors, [stat("Nothing")])
    assert isinstance(found, NoData)
    assert errors in found.detail


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("sum(x)", "error unmarshaling query"),
        ("{}", "error unmarshaling query"),
        ('[{"Id": 7}]', "error requesting cloudwatch: Parameter validation failed"),
        ('[{"Id": "a", "MetricStat": []}]', "error requesting cloudwatch: Parameter validation failed"),
    ],
)
async def test_unusable_queries(errors: str, tools: Tools, query: str, problem: str) -> None:
    """What is no list of queries is an error that says so."""
    found = await ask(tools, errors, query)
    assert isinstance(found, ProviderError)
    assert problem in found.problem
    assert "\n" not in found.problem


def denied(code: str, status: int = 400) -> Reply:
    """An answer in the service's JSON protocol, with the header that its older protocols read."""
    body = json.dumps({"__type": code, "message": "no"}).encode()
    headers = [("Content-Type", "application/x-amz-json-1.0"), ("x-amzn-query-error", f"{code};Sender")]
    return Reply(status, body, headers)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(403, b"<html>no</html>"), "error requesting cloudwatch"),
        (Reply(200, b"<html>login</html>"), "error requesting cloudwatch"),
        (denied("AccessDenied", 403), "AccessDenied"),
    ],
)
async def test_refusals(tools: Tools, reply: Reply, problem: str) -> None:
    """A service that refuses or makes no sense is an error, without the key."""
    async with ScriptedServer([reply]) as server:
        found = await ask(tools, server.url, [stat("Errors")])
    assert isinstance(found, ProviderError)
    assert problem in found.problem
    assert "s3cret-key" not in found.problem


async def test_unreachable(tools: Tools) -> None:
    """Nobody there is an error, after the SDK's attempts."""
    async with ScriptedServer([Reply()]) as server:
        gone = server.url
    found = await ask(tools, gone, [stat("Errors")])
    assert isinstance(found, ProviderError)
    assert "error requesting cloudwatch: Could not connect" in found.problem


async def test_no_credentials(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the SDK finds no credentials, it says so."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    async with ScriptedServer([Reply()]) as server:
        found = await ask(tools, server.url, [stat("Errors")])
    assert isinstance(found, ProviderError)
    assert "Unable to locate credentials" in found.problem


async def test_check(moto: str, tools: Tools) -> None:
    """A service that rejects an empty request is well; one that rejects the credentials is not."""
    assert await a_provider(tools, moto).check() is None
    async with ScriptedServer([denied("UnrecognizedClientException")]) as server:
        assert isinstance(await a_provider(tools, server.url).check(), ProviderError)


def test_region_is_required(tools: Tools) -> None:
    """Without a region nothing is made."""
    with pytest.raises(FieldError, match="region not specified; name the AWS region"):
        provider_for(ProviderSpec(type=MetricProviderType.CLOUDWATCH), {}, tools)


async def test_without_the_extra(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the SDK the provider says what to install."""
    monkeypatch.setitem(sys.modules, "aiobotocore.session", None)
    provider = CloudWatch.from_spec(
        ProviderSpec(type=MetricProviderType.CLOUDWATCH, region=REGION), {}, tools
    )
    for found in (await provider.query("[]", window=MINUTE), await provider.check()):
        assert isinstance(found, ProviderError)
        assert "cloudwatch in eu-west-1: aiobotocore is not installed: install flagger[aws]" in found.problem


def test_queries_in_the_spelling_of_the_sdk() -> None:
    """Nested members, too; null is absent."""
    text = '[{"id":"a","returndata":false,"label":null,"METRICSTAT":{"metric":{"dimensions":[{"name":"n","x":1}]}}}]'
    assert queries(text) == [
        {"Id": "a", "ReturnData": False, "MetricStat": {"Metric": {"Dimensions": [{"Name": "n"}]}}}
    ]
