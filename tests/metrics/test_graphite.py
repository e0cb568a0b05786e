"""Graphite: how a query becomes parameters of the render API."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.metrics.base import NoData, ProviderError, Tools
from flagger.metrics.table import provider_for
from tests.fakes.scripted import Reply, ScriptedServer


async def render(tools: Tools, query: str) -> tuple[object, list[tuple[str, str]]]:
    """What is found, and the parameters that are asked with."""
    async with ScriptedServer([Reply(body=b"[]")]) as server:
        provider = provider_for(ProviderSpec(type=MetricProviderType.GRAPHITE, address=server.url), {}, tools)
        found = await provider.query(query, window=timedelta())
    targets = [request.target for request in server.received]
    return found, parse_qsl(urlsplit(targets[0]).query, keep_blank_values=True) if targets else []


JSON = ("format", "json")


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("target=a.b", [JSON, ("target", "a.b")]),
        (
            "target=b&target=a&from=-1min&format=csv",
            [JSON, ("from", "-1min"), ("target", "b"), ("target", "a")],
        ),
        ("target=a+b%2Bc", [JSON, ("target", "a b+c")]),
        ("target=sum(a,\n    b)\n", [JSON, ("target", "sum(a, b)")]),
        (
            "target=alias(a,'x%3By')&maxDataPoints",
            [JSON, ("maxDataPoints", ""), ("target", "alias(a,'x;y')")],
        ),
    ],
)
async def test_parameters(tools: Tools, query: str, params: list[tuple[str, str]]) -> None:
    """Decoded, sorted by name, in the order of each name, and always as JSON."""
    found, sent = await render(tools, query)
    assert isinstance(found, NoData)
    assert sent == params


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("target=a;b&from=-1min", "holds # or ;, which end a parameter: write %23 or %3B"),
        ("target=a#&from=-1min", "holds # or ;"),
        ("target=a%&from=-1min", "'%&f' is no escape: write %25"),
        ("target=a%zz", "'%zz' is no escape"),
    ],
)
async def test_what_would_get_lost(tools: Tools, query: str, problem: str) -> None:
    """A parameter that servers would drop is an error, rather than a query over a day."""
    found, sent = await render(tools, query)
    assert isinstance(found, ProviderError)
    assert problem in found.problem
    assert sent == []
