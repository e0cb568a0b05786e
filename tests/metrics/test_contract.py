"""What every provider over HTTP promises: exact requests, all answers told apart, nothing that gets out or lasts."""

import asyncio
import copy
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProviderType
from flagger.metrics.backend import PUBLIC
from flagger.metrics.base import NoData, ProviderError, Reading, Sample, Tools
from flagger.metrics.table import PROVIDERS, provider_for
from flagger.outbound import basic
from flagger.proxies import Proxies
from tests.fakes.scripted import Received, Reply, ScriptedServer, certificate_of, self_signed
from tests.metrics.contracts import TOKEN, Contract, answering, contracts

CONTRACTS = contracts()
every = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.type)
answers = [
    pytest.param(contract, answer, id=f"{contract.type}-{number}")
    for contract in CONTRACTS
    for number, answer in enumerate(contract.golden["answers"])
]


@asynccontextmanager
async def serving(reply: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(answering(reply), tls) as server:
        yield server


def asked(server: ScriptedServer) -> list[Received]:
    """The requests but for those of tokens."""
    return [request for request in server.received if request.path != TOKEN]


async def reading(contract: Contract, tools: Tools, server: str, **changes: Any) -> Reading:
    return await contract.provider(tools, server, **changes).query(contract.query, window=contract.window)


async def failure(contract: Contract, tools: Tools, server: str, **changes: Any) -> str:
    """The problem of a query that must fail; it names address and query and no credential."""
    found = await reading(contract, tools, server, **changes)
    assert isinstance(found, ProviderError)
    where = urlsplit(server)
    address = server.replace(f"{where.username}:{where.password}@", "") if where.username else server
    assert found.problem.startswith(address + contract.golden.get("address", ""))
    assert contract.query.strip()[:20] in found.problem
    hidden = [value for key, value in contract.golden["secret"].items() if key not in PUBLIC]
    assert not [secret for secret in hidden if secret in found.problem]
    assert len(found.problem) < 1000
    assert "\n" not in found.problem
    return found.problem


def test_every_type_has_a_provider() -> None:
    """The table is complete; those with a protocol of their own are tested beside this file."""
    assert set(PROVIDERS) == set(MetricProviderType)
    by_http = {contract.type for contract in CONTRACTS}
    assert set(MetricProviderType) - by_http == {"cloudwatch", "keptn", "splunk"}


def matches(request: Received, golden: dict[str, Any]) -> None:
    assert f"{request.method} {request.target}" == golden["line"]
    for name, value in golden.get("headers", {}).items():
        assert request.header(name) == [value]


@every
async def test_request(contract: Contract, tools: Tools) -> None:
    """One request, which is exactly this; the settings stay as they were."""
    async with serving(contract.good) as server:
        spec, secret = contract.spec(server.url), contract.secret(server.url)
        before = copy.deepcopy((spec, secret))
        await provider_for(spec, secret, tools).query(contract.query, window=contract.window)
    (request,) = asked(server)
    matches(request, contract.golden["request"])
    assert request.body.decode() == contract.golden["request"].get("body", "")
    assert (spec, secret) == before


@pytest.mark.parametrize(("contract", "answer"), answers)
async def test_answers(contract: Contract, tools: Tools, answer: dict[str, Any]) -> None:
    """A number, no data and an answer that makes no sense are three different things."""
    async with serving(Reply(body=answer["body"].encode())) as server:
        if "error" in answer:
            assert answer["error"] in await failure(contract, tools, server.url)
            return
        found = await reading(contract, tools, server.url)
    value = answer["value"]
    assert isinstance(found, NoData) if value is None else found == Sample(value)


@every
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502])
async def test_refusals(contract: Contract, tools: Tools, status: int) -> None:
    """Every status but success is an error with the status and the beginning of what came back, without secrets."""
    echo = " ".join(contract.golden["secret"].values()).encode() + b" \x00\n" + b"x" * 9000
    async with serving(Reply(status, echo)) as server:
        problem = await failure(contract, tools, server.url)
    assert f": {status} " in problem
    assert "xxx…" in problem


@every
@pytest.mark.parametrize("body", [b"<html><body>Log in</body></html>", b"\xff\xfe", b"nul", b"[" * 100_000])
async def test_other_bodies(contract: Contract, tools: Tools, body: bytes) -> None:
    """What is not the backend's format at all is an error that shows how it begins."""
    async with serving(Reply(body=body)) as server:
        problem = await failure(contract, tools, server.url)
    assert "this is no answer of " in problem or "query failed" in problem


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "result",
                    "results",
                    "series",
                    "pointlist",
                    "datapoints",
                    "items",
                    "value",
                    "values",
                    "error",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@every
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JSON)
async def test_no_shape_is_fatal(contract: Contract, tools: Tools, content: Any) -> None:
    """Whatever JSON comes back, it is one of the three outcomes."""
    async with serving(Reply(body=json.dumps(content).encode())) as server:
        found = await reading(contract, tools, server.url)
    assert isinstance(found, Sample | NoData | ProviderError)
    assert not isinstance(found, Sample) or found.value == found.value


@every
@pytest.mark.looptime
@pytest.mark.parametrize("slow", [{"wait": 60.0}, {"stall": 60.0}], ids=["no head", "no end"])
async def test_slow_answers(contract: Contract, tools: Tools, slow: dict[str, float]) -> None:
    """A server that takes its time is given up at the limit, before the head as well as within the body."""
    loop = asyncio.get_running_loop()
    async with serving(replace(contract.good, **slow)) as server:
        provider = contract.provider(tools, server.url)
        began = loop.time()
        found = await provider.query(contract.query, window=contract.window)
    assert isinstance(found, ProviderError)
    assert f"no complete answer within {contract.limit:g}s" in found.problem
    assert loop.time() - began <= contract.limit + 1


@every
async def test_endless_bodies(contract: Contract, tools: Tools) -> None:
    """A body of 100 MB is cut off after one, long before it has come."""
    reply = Reply(body=b" " * 3_000_000, headers=[("Content-Length", "100000000")], stall=60)
    async with serving(reply) as server:
        assert "larger than 1048576 bytes" in await failure(contract, tools, server.url)


@every
async def test_unreachable(contract: Contract, tools: Tools) -> None:
    """Nobody listening and a name that does not resolve are errors that say so."""
    async with serving(contract.good) as server:
        gone = server.url
        provider = contract.provider(tools, gone)
        await provider.query(contract.query, window=contract.window)  # whoever needs a token has one now
    found = await provider.query(contract.query, window=contract.window)
    assert isinstance(found, ProviderError)
    assert "refused" in found.problem or "closed before an answer" in found.problem
    assert "does not resolve" in await failure(contract, tools, "http://nowhere.invalid")


@every
async def test_certificates(contract: Contract, tools: Tools) -> None:
    """A certificate that nobody vouches for is refused; the Secret can vouch for it, the template can look away."""
    async with serving(contract.good) as tokens, serving(contract.good, self_signed()) as server:
        secret = contract.secret(tokens.url)

        async def ask(more: dict[str, str], **changes: Any) -> Reading:
            provider = provider_for(contract.spec(server.url, **changes), {**secret, **more}, tools)
            return await provider.query(contract.query, window=contract.window)

        refused = await ask({})
        assert isinstance(refused, ProviderError)
        assert "the certificate is not trusted" in refused.problem
        assert isinstance(await ask({}, insecure_skip_verify=True), Sample)
        assert isinstance(await ask({"ca.crt": certificate_of(self_signed())}), Sample)
        with pytest.raises(FieldError, match=r"ca.crt holds no certificate"):
            await ask({"ca.crt": "none"})


@every
async def test_redirects(contract: Contract, tools: Tools) -> None:
    """GETs are redirected within a server with, and to another one without credentials; POSTs are not."""
    async with (
        serving(contract.good) as other,
        serving(Reply(302, headers=[("Location", f"{other.url}/elsewhere")])) as server,
    ):
        found = await reading(contract, tools, server.url)
    if asked(server)[0].method == "POST":
        assert isinstance(found, ProviderError)
        assert other.received == []
        return
    assert isinstance(found, Sample)
    secrets = [*contract.golden["secret"].values(), basic("alice", "s3cret")]
    assert not [line for line in other.received[0].headers if any(secret in line[1] for secret in secrets)]


@every
async def test_missing_keys(contract: Contract, tools: Tools) -> None:
    """Each key that the Secret must have is named, the first one first; empty ones are none, further ones welcome."""
    secret = contract.secret("http://127.0.0.1:1")
    for key in contract.golden["missing"]:
        for broken in ({**secret, key: ""}, {name: value for name, value in secret.items() if name != key}):
            with pytest.raises(FieldError) as caught:
                provider_for(contract.spec("http://127.0.0.1:1"), broken, tools)
            assert f"{contract.type} credentials does not contain a {key}" in str(caught.value)
            assert not [value for value in secret.values() if value in str(caught.value)]
    assert provider_for(contract.spec("http://127.0.0.1:1"), {**secret, "more": "x"}, tools)


@every
@pytest.mark.parametrize(
    ("prefix", "suffix", "path"), [("", "/", ""), ("u:hunter2@", "/a/b/", "/a/b"), ("", "/a?x=1", "/a")]
)
async def test_addresses(contract: Contract, tools: Tools, prefix: str, suffix: str, path: str) -> None:
    """A path in the address is a prefix with or without its last slash; messages show no user info."""
    async with serving(Reply(500)) as server:
        address = f"http://{prefix}{server.address}{suffix}"
        spec = replace_address(contract, server, address)
        found = await provider_for(spec, contract.secret(server.url), tools).query(
            "q", window=contract.window
        )
    golden = contract.golden["request"]["line"].split(" ")[1].split("?")[0]
    own = golden.removeprefix(contract.golden.get("address", ""))
    if contract.type not in (
        "graphite",
        "externalmetrics",
    ):  # their queries are part of the path or its parameters
        assert asked(server)[0].path == path + own
    assert asked(server)[0].path.startswith(path)
    assert isinstance(found, ProviderError)
    assert "hunter2" not in found.problem


def replace_address(contract: Contract, server: ScriptedServer, address: str) -> Any:
    spec = contract.spec(server.url)
    changed = {"address": address, "headers": spec.headers, "secret_ref": spec.secret_ref}
    return type(spec)(type=spec.type, **changed)


@every
@pytest.mark.parametrize("address", ["host:9090", "10.0.0.1:80", "ftp://x", "http://[x"])
def test_unusable_addresses(contract: Contract, address: str) -> None:
    """What is no URL of a web server is refused before anything is asked."""
    spec = type(contract.spec(""))(
        type=contract.type, address=address, secret_ref=contract.spec("").secret_ref
    )
    tools: Any = type("NoTools", (), {"outbound": None, "client": None, "proxies": Proxies(), "clock": None})
    if contract.type == "externalmetrics":
        tools.client = type("C", (), {"connection": type("S", (), {"server": ""})})
    with pytest.raises(FieldError, match="is not a valid URL"):
        provider_for(spec, contract.secret("http://127.0.0.1:1"), tools)


@every
async def test_check(contract: Contract, tools: Tools) -> None:
    """A backend that is well passes the check, by exactly this request; one that refuses or is gone does not."""
    golden = contract.golden["check"]
    async with serving(Reply(golden.get("status", 200), golden["body"].encode())) as server:
        provider = contract.provider(tools, server.url)
        assert await provider.check() is None
    matches(asked(server)[0], golden)
    assert isinstance(await provider.check(), ProviderError)
    async with serving(Reply(401, b"who are you?")) as server:
        refused = await contract.provider(tools, server.url).check()
    assert isinstance(refused, ProviderError)
    assert "401 Unauthorized: who are you?" in refused.problem


@every
async def test_headers_of_the_template(contract: Contract, tools: Tools) -> None:
    """Further headers are sent along, line by line; those of the credentials are not to be replaced."""
    theirs = {
        "X-Tenant": ("a", "b"),
        **dict.fromkeys(contract.golden["request"].get("headers", {}), ("mine",)),
    }
    theirs.pop("Content-Type", None)
    theirs.pop("Accept", None)
    theirs.pop("X-Scope-OrgID", None)
    async with serving(contract.good) as server:
        await reading(contract, tools, server.url, headers=theirs)
    (request,) = asked(server)
    assert request.header("x-tenant") == ["a", "b"]
    for name in set(theirs) - {"X-Tenant"}:
        assert request.header(name) == [contract.golden["request"]["headers"][name]]


@every
async def test_proxies(contract: Contract, tools: Tools) -> None:
    """The process's own proxy is used."""
    async with serving(contract.good) as proxy:
        secret = contract.secret(proxy.url)
        through = replace(tools, proxies=Proxies(http=proxy.url))
        provider = provider_for(contract.spec("http://far.example"), secret, through)
        found = await provider.query(contract.query, window=contract.window)
    assert isinstance(found, Sample)
    assert asked(proxy)[0].target.startswith("http://far.example/")


@every
async def test_connections_are_kept_and_few(contract: Contract, tools: Tools) -> None:
    """A hundred queries one after the other take one connection, whatever objects are made for them."""
    async with serving(contract.good) as server:
        provider = contract.provider(tools, server.url)
        for _ in range(100):
            assert isinstance(await provider.query(contract.query, window=contract.window), Sample)
        assert server.connections == 1
