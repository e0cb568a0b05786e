"""Rules and filters of routes, followed by real requests through a real Envoy."""

import asyncio

import pytest

from tests.sandbox.dataplane.objects import a_backend, a_gateway, a_route, a_rule, split
from tests.sandbox.dataplane.world import DEADLINE, World

pytestmark = pytest.mark.sandbox


RULES = [
    a_rule(a_backend("canary"), path="/", matches=[{"headers": [{"name": "X-Beta", "value": "yes"}]}]),
    a_rule(
        a_backend("canary"),
        matches=[{"headers": [{"type": "RegularExpression", "name": "cookie", "value": ".*beta=1.*"}]}],
    ),
    a_rule(a_backend("canary"), matches=[{"queryParams": [{"name": "beta", "value": "1"}]}]),
    a_rule(a_backend("canary"), matches=[{"method": "PUT"}]),
    a_rule(a_backend("canary"), matches=[{"path": {"type": "Exact", "value": "/exact"}}]),
    a_rule(a_backend("canary"), matches=[{"path": {"type": "RegularExpression", "value": "/v[0-9]+"}}]),
    a_rule(
        a_backend("primary"),
        path="/old",
        filters=[
            {
                "type": "URLRewrite",
                "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}},
            }
        ],
    ),
    a_rule(
        a_backend("primary"),
        path="/strip",
        filters=[
            {
                "type": "URLRewrite",
                "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
            }
        ],
    ),
    a_rule(
        a_backend("primary"),
        path="/full",
        filters=[
            {
                "type": "URLRewrite",
                "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/all\\1"}},
            }
        ],
    ),
    a_rule(a_backend("nobody"), path="/missing"),
    a_rule(*split(0, 0), path="/off"),
    a_rule(a_backend("primary"), path="/slow", timeouts={"request": "100ms"}),
    a_rule(a_backend("primary")),
]
ASKED = [
    ("GET", "/", {}, "primary-1 /"),
    ("GET", "/", {"x-beta": "yes"}, "canary-1 /"),
    ("GET", "/", {"x-beta": "no"}, "primary-1 /"),
    ("GET", "/", {"cookie": "a=1; beta=1"}, "canary-1 /"),
    ("GET", "/?beta=1", {}, "canary-1 /?beta=1"),
    ("PUT", "/", {}, "canary-1 /"),
    ("GET", "/exact", {}, "canary-1 /exact"),
    ("GET", "/exact/not", {}, "primary-1 /exact/not"),
    ("GET", "/v12", {}, "canary-1 /v12"),
    ("GET", "/v12/x", {}, "primary-1 /v12/x"),
    ("GET", "/old", {}, "primary-1 /new"),
    ("GET", "/old/a?b=1", {}, "primary-1 /new/a?b=1"),
    ("GET", "/older", {}, "primary-1 /older"),
    ("GET", "/strip/a", {}, "primary-1 /a"),
    ("GET", "/strip", {}, "primary-1 /"),
    ("GET", "/full/a?b=1", {}, "primary-1 /all\\1?b=1"),
    ("GET", "/missing", {}, "500"),
    ("GET", "/off", {}, "500"),
    ("GET", "/slow", {}, "504"),
]


async def test_follows_rules(world: World) -> None:
    """Matches, rewrites, timeouts and missing backends work as the Gateway API says."""
    await world.pod("primary-1", "primary")
    await world.pod("canary-1", "canary")
    await world.service("primary")
    await world.service("canary")
    address = await world.gateway(a_gateway())
    await world.route(a_route("checkout", *RULES))

    for method, path, headers, expected in ASKED:
        async with world.http.request(method, f"http://{address}{path}", headers=headers) as answer:
            said = await answer.text() if answer.status == 200 else str(answer.status)
            assert said == expected, (method, path, headers)


async def test_edits_headers_mirrors_redirects_and_answers_browsers(world: World) -> None:
    """The filters that are not rewrites."""
    primary = await world.pod("primary-1", "checkout-primary")
    canary = await world.pod("canary-1", "checkout")
    await world.service("checkout-primary")
    await world.service("checkout-canary", app="checkout")
    address = await world.gateway(a_gateway())
    edits = {
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {"set": [{"name": "X-Set", "value": "100%"}], "remove": ["X-Gone"]},
    }
    cookie = {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"add": [{"name": "Set-Cookie", "value": "side=primary; Path=/"}]},
    }
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": a_backend("checkout-canary")}}
    cors = {"type": "CORS", "cors": {"allowOrigins": ["https://*.a.test"], "allowMethods": ["PUT"]}}
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "b.test", "statusCode": 301}}
    await world.route(
        a_route(
            "checkout",
            a_rule(
                a_backend("checkout-primary", filters=[cookie]),
                filters=[edits, mirror, cors],
            ),
            {"matches": [{"path": {"type": "PathPrefix", "value": "/moved"}}], "filters": [redirect]},
        )
    )

    async with world.http.get(f"http://{address}/", headers={"X-Gone": "1"}) as answer:
        assert answer.headers["Set-Cookie"] == "side=primary; Path=/"
    assert primary.seen[-1].headers["X-Set"] == "100%"
    assert "X-Gone" not in primary.seen[-1].headers
    async with asyncio.timeout(DEADLINE):
        while not canary.seen:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert canary.seen[-1].host == primary.seen[-1].host
    async with world.http.get(f"http://{address}/moved/x", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, "http://b.test/moved/x")
    asked = {"Origin": "https://x.a.test", "Access-Control-Request-Method": "PUT"}
    async with world.http.options(f"http://{address}/", headers=asked) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://x.a.test"
        assert answer.headers["Access-Control-Allow-Methods"] == "PUT"
