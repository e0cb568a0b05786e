"""Outgoing calls: limits, failures, redirects, proxies, and messages that give nothing away."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from flagger.outbound import (
    Call,
    Failure,
    Outbound,
    OutboundError,
    Proxies,
    basic,
    excerpt,
    shown_address,
)
from tests.fakes.scripted import Reply, ScriptedServer, self_signed

SECOND = timedelta(seconds=1)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    async with Outbound() as out:
        yield out


class Names(AbstractResolver):
    """Knows the names it is given, all of them on loopback."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.known:
            raise OSError(socket.EAI_NONAME, "unknown")
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


async def failure(outbound: Outbound, call: Call) -> OutboundError:
    """The error that a call ends in."""
    with pytest.raises(OutboundError) as caught:
        await outbound.send(call)
    return caught.value


async def test_sends_what_it_is_given_and_returns_the_answer(outbound: Outbound) -> None:
    """Method, target, repeated headers and body go out as given; status, headers and body come back."""
    reply = Reply(503, b"busy", [("Retry-After", "7")])
    async with ScriptedServer([reply]) as server:
        call = Call(
            url=f"{server.url}/a%2Fb?x=1&y=a+b",
            method="POST",
            headers=[("X-Tenant", "a"), ("X-Tenant", "b")],
            body=b"{}",
        )
        answer = await outbound.send(call)

    request = server.received[0]
    assert (request.method, request.target, request.body) == ("POST", "/a%2Fb?x=1&y=a+b", b"{}")
    assert request.header("x-tenant") == ["a", "b"]
    assert (answer.status, answer.body, answer.status_line) == (503, b"busy", "503 Service Unavailable")
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("/a%2Fb?sp=%2Frun&sig=a%2Bb%3D+c&e=&f", "/a%2Fb?sp=%2Frun&sig=a%2Bb%3D+c&e=&f"),
        ("?q=1#part", "/?q=1"),
        ("/é?q=a b", "/%C3%A9?q=a+b"),
        ("/100%?q=%zz", "/100%25?q=%25zz"),
    ],
)
async def test_a_url_is_sent_as_it_is_written(outbound: Outbound, given: str, sent: str) -> None:
    """Nothing is quoted or unquoted that needs it not: a signature may cover every character."""
    async with ScriptedServer() as server:
        await outbound.send(Call(url=f"{server.url}{given}"))
    assert server.received[0].target == sent


async def test_unpacks_gzip(outbound: Outbound) -> None:
    """A compressed body is returned as it was before."""
    reply = Reply(200, gzip.compress(b"plain"), [("Content-Encoding", "gzip")])
    async with ScriptedServer([reply]) as server:
        answer = await outbound.send(Call(url=server.url))
    assert answer.body == b"plain"


@pytest.mark.parametrize(
    ("reply", "kind", "problem"),
    [
        pytest.param(Reply(wait=60), Failure.TIMEOUT, "no complete answer within 1s", id="no headers"),
        pytest.param(
            Reply(body=b"ab", stall=60), Failure.TIMEOUT, "no complete answer", id="stalls in the body"
        ),
        pytest.param(Reply(raw=b""), Failure.PROTOCOL, "connection was closed", id="hangs up"),
        pytest.param(Reply(raw=b"SSH-2.0-x\r\n\r\n"), Failure.PROTOCOL, "not valid HTTP", id="not HTTP"),
        pytest.param(
            Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
            Failure.PROTOCOL,
            "broke off",
            id="half a body",
        ),
        pytest.param(
            Reply(body=b"no gzip", headers=[("Content-Encoding", "gzip")]),
            Failure.PROTOCOL,
            "not valid HTTP",
            id="bad compression",
        ),
        pytest.param(Reply(body=b"x" * 4097), Failure.TOO_LARGE, "larger than 4096 bytes", id="too large"),
        pytest.param(
            Reply(body=gzip.compress(b"x" * 100_000), headers=[("Content-Encoding", "gzip")]),
            Failure.TOO_LARGE,
            "larger than 4096 bytes",
            id="too large unpacked",
        ),
    ],
)
@pytest.mark.looptime
async def test_bad_receivers(outbound: Outbound, reply: Reply, kind: Failure, problem: str) -> None:
    """Whatever a receiver does, the call ends within its limits with an error of a known kind."""
    async with ScriptedServer([reply]) as server:
        error = await failure(outbound, Call(url=f"{server.url}/q", within=SECOND, max_body=4096))
        assert (error.kind, error.address) == (kind, f"{server.url}/q")
        assert problem in error.problem


async def test_cuts_a_large_body_when_asked_to(outbound: Outbound) -> None:
    """With `cut`, the beginning is kept and the rest is not waited for."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 20_000
    async with ScriptedServer([Reply(raw=endless)]) as server:
        answer = await outbound.send(Call(url=server.url, max_body=10, cut=True))
    assert (answer.body, answer.cut) == (b"x" * 10, True)


async def test_connection_refused(outbound: Outbound) -> None:
    """Nobody listening is `refused`."""
    with socket.socket() as taken:  # bound but not listening, so that nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        error = await failure(outbound, Call(url=f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert (error.kind, error.problem) == (Failure.REFUSED, "connection refused")


async def test_names_come_from_the_given_resolver() -> None:
    """A resolver that is passed in answers for every name, and an unknown one is `dns`."""
    names = Names("prometheus.monitoring")
    async with Outbound(resolver=names) as outbound, ScriptedServer() as server:
        await outbound.send(Call(url=f"http://prometheus.monitoring:{server.port}/"))
        error = await failure(outbound, Call(url="http://nowhere.shop/"))
    assert server.received[0].header("host") == [f"prometheus.monitoring:{server.port}"]
    assert (error.kind, error.problem) == (Failure.DNS, "the name nowhere.shop does not resolve")


async def test_certificates_are_verified_unless_told_otherwise(outbound: Outbound) -> None:
    """An untrusted certificate is refused before anything is sent; `verify=False` accepts it."""
    async with ScriptedServer(tls=self_signed()) as server:
        error = await failure(outbound, Call(url=server.url))
        assert (error.kind, len(server.received)) == (Failure.TLS, 0)
        assert "self-signed certificate" in error.problem
        assert (await outbound.send(Call(url=server.url, verify=False))).status == 200


async def test_plain_http_where_tls_is_expected(outbound: Outbound) -> None:
    """A server that does not speak TLS is a TLS failure."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(outbound, Call(url=f"https://127.0.0.1:{port}/"))
    assert error.kind is Failure.TLS


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:9090",
        "ftp://host/",
        "http://",
        "http://host:99999/",
        "http://[::1/",
        "/relative",
        "http://user:p@s@:x/",
    ],
)
async def test_unusable_addresses(outbound: Outbound, url: str) -> None:
    """What is no absolute http or https URL is refused before anything is sent."""
    error = await failure(outbound, Call(url=url))
    assert error.kind is Failure.ADDRESS
    assert "p@s" not in str(error)


async def test_header_injection_is_refused(outbound: Outbound) -> None:
    """A line break in a header value sends nothing."""
    async with ScriptedServer() as server:
        error = await failure(outbound, Call(url=server.url, headers=[("X-A", "a\r\nX-B: b")]))
        assert (error.kind, server.received) == (Failure.ADDRESS, [])


async def test_user_info_becomes_basic_authentication(outbound: Outbound) -> None:
    """Credentials in the URL are sent as a header, unless the call brings its own."""
    async with ScriptedServer() as server:
        url = f"http://ali%40ce:p%3Aw@{server.address}/"
        await outbound.send(Call(url=url))
        await outbound.send(Call(url=url, headers=[("authorization", "Bearer t")]))
    assert server.received[0].header("authorization") == [basic("ali@ce", "p:w")]
    assert server.received[1].header("authorization") == ["Bearer t"]


async def test_messages_show_no_credentials(outbound: Outbound) -> None:
    """User info, query and fragment of a URL stay out of errors; `address` hides the path as well."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        error = await failure(outbound, Call(url=f"http://u:hunter2@{address}/p?token=t0ken#x"))
        named = await failure(outbound, Call(url=f"http://{address}/T0/B0/secret", address="Slack"))
    assert str(error) == f"http://{address}/p: connection refused"
    assert str(named) == "Slack: connection refused"
    assert "hunter2" not in repr(error.__context__)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@h:1/p?q=1#f", "https://h:1/p"),
        ("http://u:p@s@h/", "http://h/"),
        ("not a url", "not a url"),
        ("http://h/a\nb", "http://h/a b"),
    ],
)
def test_shown_address(url: str, shown: str) -> None:
    """What is shown of a URL has no user info, no query, no control characters."""
    assert shown_address(url) == shown


def test_excerpt() -> None:
    """An excerpt is one bounded line without control characters and known secrets."""
    assert excerpt(b"a\r\n\tb\x00c\xff") == "a b c\ufffd"
    assert excerpt("token t0ken!", secrets=["", "t0ken"]) == "token ***!"
    assert excerpt("x" * 600) == "x" * 512 + "…"
    assert excerpt("x" * 510 + "hunter2", secrets=["hunter2"]) == "x" * 510 + "**…"  # cut only then


def away(location: str, status: int = 302) -> Reply:
    return Reply(status, headers=[("Location", location)])


async def test_redirects_are_not_followed_by_default(outbound: Outbound) -> None:
    """A redirect is an answer like any other."""
    async with ScriptedServer([away("/b")]) as server:
        assert (await outbound.send(Call(url=server.url))).status == 302
    assert len(server.received) == 1


async def test_redirects_on_the_same_server_keep_the_headers(outbound: Outbound) -> None:
    """A followed redirect to the same origin is asked with the same credentials."""
    async with ScriptedServer([away("/b?c=1", 307), Reply(body=b"there")]) as server:
        call = Call(url=f"http://u:p@{server.address}/a", headers=[("X-Key", "k")], redirects=1)
        answer = await outbound.send(call)
    assert answer.body == b"there"
    assert server.received[1].target == "/b?c=1"
    assert server.received[1].header("x-key") == ["k"]
    assert server.received[1].header("authorization") == [basic("u", "p")]


async def test_redirects_to_another_server_leave_the_headers_behind(outbound: Outbound) -> None:
    """Neither keys nor credentials follow a redirect to another origin."""
    async with ScriptedServer() as other, ScriptedServer([away(f"{other.url}/x")]) as server:
        call = Call(url=f"http://u:p@{server.address}/a", headers=[("X-Key", "k")], redirects=1)
        await outbound.send(call)
    assert other.received[0].header("x-key") == other.received[0].header("authorization") == []


@pytest.mark.parametrize("location", ["/again", "ftp://h/", "http://[", "https://"])
async def test_redirects_that_lead_nowhere(outbound: Outbound, location: str) -> None:
    """A loop and an unusable target are protocol errors."""
    async with ScriptedServer([away(location)]) as server:
        error = await failure(outbound, Call(url=server.url, redirects=3))
        assert error.kind is Failure.PROTOCOL
        assert len(server.received) == (4 if location == "/again" else 1)


async def test_posts_do_not_follow_redirects(outbound: Outbound) -> None:
    """A POST is never repeated somewhere else, even when redirects are allowed."""
    async with ScriptedServer([away("/b", 307)]) as server:
        answer = await outbound.send(Call(url=server.url, method="POST", body=b"{}", redirects=5))
    assert (answer.status, len(server.received)) == (307, 1)


async def test_proxy_of_a_call() -> None:
    """A proxy named by the call gets the request with the absolute URL."""
    async with Outbound() as outbound, ScriptedServer() as proxy:
        await outbound.send(Call(url="http://nowhere.invalid/p", proxy=proxy.url))
    assert proxy.received[0].target == "http://nowhere.invalid/p"


async def test_proxy_of_the_environment() -> None:
    """The environment's proxy serves every call, except to loopback."""
    async with ScriptedServer() as proxy, ScriptedServer() as server:
        proxies = Proxies.from_environment({"HTTP_PROXY": proxy.address})
        async with Outbound(proxies=proxies) as outbound:
            await outbound.send(Call(url="http://nowhere.invalid/p"))
            await outbound.send(Call(url=server.url))
    assert (len(proxy.received), len(server.received)) == (1, 1)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://hooks.example/x", "http://plain:3128"),
        ("https://hooks.example/x", "https://secure:3128"),
        ("http://internal/x", None),
        ("http://a.internal/x", None),
        ("http://notinternal/x", "http://plain:3128"),
        ("http://corp.test/x", "http://plain:3128"),
        ("http://a.corp.test/x", None),
        ("http://10.1.2.3/x", None),
        ("http://11.1.2.3/x", "http://plain:3128"),
        ("http://ported/x", "http://plain:3128"),
        ("http://ported:8080/x", None),
        ("http://localhost:80/x", None),
        ("http://127.3.2.1/x", None),
        ("http://[::1]/x", None),
    ],
)
def test_proxy_rules(url: str, proxy: str | None) -> None:
    """Which proxy serves which URL follows Go's reading of the three variables."""
    proxies = Proxies.from_environment(
        {
            "http_proxy": "plain:3128",
            "HTTPS_PROXY": "https://secure:3128",
            "https_proxy": "ignored:1",
            "NO_PROXY": "internal, .corp.test,10.0.0.0/8,ported:8080,",
        }
    )
    assert proxies.for_url(URL(url)) == proxy


def test_no_proxy_for_anything() -> None:
    """A star exempts every host; no variable means no proxy."""
    assert Proxies("http://p", "http://p", ("*",)).for_url(URL("http://h/")) is None
    assert Proxies.from_environment({}).for_url(URL("http://h/")) is None


@pytest.mark.looptime
async def test_calls_to_one_host_are_bounded() -> None:
    """More calls than allowed wait for their turn; other hosts are not held up."""
    async with (
        Outbound(per_host=2) as outbound,
        ScriptedServer([Reply(wait=1.0)]) as slow,
        ScriptedServer() as quick,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(5):
            group.create_task(outbound.send(Call(url=slow.url)))
        await outbound.send(Call(url=quick.url))
        assert quick.received[0].at < 0.5
    assert [round(request.at) for request in slow.received] == [0, 0, 1, 1, 2]


async def test_connections_are_reused_and_closed() -> None:
    """A hundred calls in a row use one connection, and none stays open."""
    async with ScriptedServer() as server:
        async with Outbound() as outbound:
            for _ in range(100):
                await outbound.send(Call(url=server.url))
        assert server.connections == 1
        with pytest.raises(RuntimeError, match="before it was entered or after it was closed"):
            await outbound.send(Call(url=server.url))
