"""External metrics: the grammar of queries, and who is asked with whose credentials."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.api.references import SecretRef
from flagger.kube.auth import Credential, Static, bearer
from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.metrics.base import NoData, ProviderError, Reading, Sample, Tools
from flagger.metrics.selectors import canonical
from flagger.metrics.table import provider_for
from tests.fakes.scripted import Reply, ScriptedServer, certificate_of, self_signed

GROUP = "/apis/external.metrics.k8s.io/v1beta1"
MINUTE = timedelta(minutes=1)
SEVEN = Reply(body=b'{"items":[{"value":"7"}]}')
OWN = "operators-own-t0ken"


@pytest.fixture
async def cluster() -> AsyncIterator[ScriptedServer]:
    """An API server that answers 7."""
    async with ScriptedServer([SEVEN]) as server:
        yield server


@pytest.fixture
async def inside(cluster: ScriptedServer, tools: Tools) -> AsyncIterator[Tools]:
    """The tools of an operator with an account of that server."""
    connection = Connection(cluster.url, credentials=Static(Credential(bearer(OWN))))
    async with Client(connection) as client:
        yield replace(tools, client=client)


async def ask(tools: Tools, query: str, secret: dict[str, str] | None = None, address: str = "") -> Reading:
    ref = None if secret is None else SecretRef(name="s")
    spec = ProviderSpec(type=MetricProviderType.EXTERNAL_METRICS, address=address, secret_ref=ref)
    return await provider_for(spec, secret or {}, tools).query(query, window=MINUTE)


@pytest.mark.parametrize(
    ("query", "path", "selector"),
    [
        ("shop/queue-depth", "shop/queue-depth", None),
        ("/shop/queue-depth", "shop/queue-depth", None),
        ("queue-depth", "default/queue-depth", None),
        ("/queue-depth\n", "default/queue-depth", None),
        ("shop/Queue_Depth", "shop/queue_depth", None),
        ("shop/a%20b", "shop/a%20b", None),
        ("shop/m?labelSelector=", "shop/m", None),
        ("shop/m?other=1&labelSelector=b%3D2,a%3D1&labelSelector=c", "shop/m", "a=1,b=2"),
        ("shop/m?labelSelector=a#b", "shop/m", "a"),
    ],
)
async def test_queries(
    inside: Tools, cluster: ScriptedServer, query: str, path: str, selector: str | None
) -> None:
    """A metric, perhaps with a namespace and a selector; the cluster is asked with the operator's own account."""
    assert await ask(inside, query) == Sample(7.0)
    (request,) = cluster.received
    where = urlsplit(request.target)
    assert where.path == f"{GROUP}/namespaces/{path}"
    params = {"timeout": ["5s"], **({"labelSelector": [selector]} if selector else {})}
    assert parse_qs(where.query) == params
    assert request.header("authorization") == [f"Bearer {OWN}"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("", "the query is not [namespace/]metric"),
        ("shop/", "the query is not [namespace/]metric"),
        ("a/b/c", "the query is not [namespace/]metric"),
        ("shop/a%25b", "the query is not [namespace/]metric"),
        ("shop/a\nb", "a line break or another control character"),
        ("shop/m?labelSelector=a%20b", "'a b' is no requirement of a label selector"),
        ("shop/m?labelSelector=a%20in%20(%25)", "is no requirement of a label selector"),
    ],
)
async def test_unusable_queries(inside: Tools, cluster: ScriptedServer, query: str, problem: str) -> None:
    """A query that cannot be meant is an error, and nothing is asked."""
    found = await ask(inside, query)
    assert isinstance(found, ProviderError)
    assert problem in found.problem
    assert cluster.received == []


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("tier in (b, a),env=prod", "env=prod,tier in (a,b)"),
        ("b!=2,a==1", "a==1,b!=2"),
        ("z,!a", "!a,z"),
        ("x notin (b,a)", "x notin (a,b)"),
        ("n>1,m < 2", "m<2,n>1"),
        ("example.com/app=x,e=", "e=,example.com/app=x"),
        ("  ", ""),
    ],
)
def test_selectors(given: str, sent: str) -> None:
    """Requirements are sorted by key and spelled in one way."""
    assert canonical(given) == sent


@pytest.mark.parametrize("selector", ["=a", "a=b c", "a in b", "a in (b", "-a=1", "a=1,,b=2", "a>x", "a=%"])
def test_no_selectors(selector: str) -> None:
    """What is no selector is refused."""
    with pytest.raises(ValueError, match="is no requirement of a label selector"):
        canonical(selector)


async def test_the_operators_token_never_leaves_the_cluster(inside: Tools, cluster: ScriptedServer) -> None:
    """An address gets the Secret's token or none; with a token alone the cluster gets that one."""
    async with ScriptedServer([SEVEN]) as other:
        assert await ask(inside, "m", address=other.url) == Sample(7.0)
        assert await ask(inside, "m", {}, other.url) == Sample(7.0)
        assert await ask(inside, "m", {"token": "theirs"}, other.url) == Sample(7.0)
    assert [request.header("authorization") for request in other.received] == [[], [], ["Bearer theirs"]]
    assert await ask(inside, "m", {"token": "theirs"}) == Sample(7.0)
    assert cluster.received[0].header("authorization") == ["Bearer theirs"]


async def test_the_clusters_own_authority(tools: Tools) -> None:
    """A token for the cluster itself is sent to whoever the operator trusts as its API server, and nobody else."""
    async with ScriptedServer([SEVEN], self_signed()) as server:
        for ca, well in ((certificate_of(self_signed()).encode(), True), (None, False)):
            async with Client(Connection(server.url, ca=ca)) as client:
                found = await ask(replace(tools, client=client), "m", {"token": "theirs"})
            assert (found == Sample(7.0)) is well
    assert [request.header("authorization") for request in server.received] == [["Bearer theirs"]]


def status(code: int, reason: str) -> Reply:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": "no such thing",
    }
    return Reply(code, json.dumps(body).encode(), [("Content-Type", "application/json")])


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (status(404, "NotFound"), "no such thing"),
        (status(403, "Forbidden"), "no such thing"),
        (Reply(body=b"<html>"), "this is no answer of the External Metrics API: <html>"),
    ],
)
async def test_errors_of_the_cluster(tools: Tools, reply: Reply, problem: str) -> None:
    """Refusals of the API server are errors with its own words."""
    async with ScriptedServer([reply]) as server, Client(Connection(server.url)) as client:
        found = await ask(replace(tools, client=client), "shop/m")
    assert isinstance(found, ProviderError)
    assert problem in found.problem
    assert found.problem.startswith(server.url)


async def test_no_items(tools: Tools) -> None:
    """An empty list is no data."""
    async with (
        ScriptedServer([Reply(body=b'{"items":[]}')]) as server,
        Client(Connection(server.url)) as client,
    ):
        assert isinstance(await ask(replace(tools, client=client), "shop/m"), NoData)


@pytest.mark.parametrize(
    ("reply", "well"),
    [
        (Reply(body=b'{"kind":"APIResourceList"}'), True),
        (status(403, "Forbidden"), True),
        (status(404, "NotFound"), False),
        (status(500, "InternalError"), False),
    ],
)
async def test_check(tools: Tools, reply: Reply, well: bool) -> None:
    """The API group is there; who may not list it may still read metrics."""
    spec = ProviderSpec(type=MetricProviderType.EXTERNAL_METRICS)
    async with ScriptedServer([reply]) as server, Client(Connection(server.url)) as client:
        problem = await provider_for(spec, {}, replace(tools, client=client)).check()
    assert (problem is None) is well
    assert server.received[0].target == GROUP


@pytest.mark.looptime
async def test_a_silent_cluster(tools: Tools) -> None:
    """An API server that does not answer is given up after five seconds, in queries and in checks."""
    spec = ProviderSpec(type=MetricProviderType.EXTERNAL_METRICS)
    async with ScriptedServer([Reply(wait=60)]) as server, Client(Connection(server.url)) as client:
        provider = provider_for(spec, {}, replace(tools, client=client))
        for found in (await provider.check(), await provider.query("m", window=MINUTE)):
            assert isinstance(found, ProviderError)
            assert "no complete answer within 5s" in found.problem
