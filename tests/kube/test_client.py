"""The verbs: what they send, what they make of answers, what is tried again and what is not."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from flagger.kube.client import Client, PatchType
from flagger.kube.connection import Connection
from flagger.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KindMissing,
    KubeError,
    NotFound,
    ServerTimeout,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from flagger.kube.objects import CONFIG_MAP, DEPLOYMENT, NAMESPACE, POD, Kind, Object
from tests.kube.tiny_api import TinyApi, client_of, eventually, fail, refuse, running, status


async def ask(client: Client, verb: str) -> None:
    """A read or a write."""
    await (client.get(CONFIG_MAP, "x", "shop") if verb == "get" else client.create(CONFIG_MAP, X))


WIDGET = Kind("example.com", "v1alpha1", "Widget", "widgets")


def echo(api: TinyApi, answer: Object | None = None) -> None:
    """Let the server take every request and answer with an empty object."""

    async def answered() -> web.Response:
        return web.json_response(answer or {"metadata": {}})

    api.faults.append(lambda request: answered())


X = {"metadata": {"name": "x", "namespace": "shop"}}
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
WIDGETS = "/apis/example.com/v1alpha1/namespaces/shop/widgets"
SELECTED = {"limit": "500", "labelSelector": "app in (a,b)", "fieldSelector": "status.phase=Running"}
APPLIED = {"fieldManager": "flagger", "force": "true"}
Call = Callable[[Client], Awaitable[object]]
REQUESTS: dict[str, tuple[Call, str, dict[str, str], str]] = {
    "get": (lambda c: c.get(POD, "p", "shop"), "GET /api/v1/namespaces/shop/pods/p", {}, ""),
    "cluster-wide": (lambda c: c.get(NAMESPACE, "shop"), "GET /api/v1/namespaces/shop", {}, ""),
    "create": (
        lambda c: c.create(DEPLOYMENT, X, dry_run=True),
        f"POST {DEPLOYMENTS}",
        {"dryRun": "All"},
        "json",
    ),
    "update": (lambda c: c.update(WIDGET, X, subresource="status"), f"PUT {WIDGETS}/x/status", {}, "json"),
    "merge": (lambda c: c.patch(WIDGET, "x", "shop", {}), f"PATCH {WIDGETS}/x", {}, "merge-patch+json"),
    "json patch": (
        lambda c: c.patch(DEPLOYMENT, "x", "shop", [{}], subresource="scale", content=PatchType.JSON),
        f"PATCH {DEPLOYMENTS}/x/scale",
        {},
        "json-patch+json",
    ),
    "apply": (
        lambda c: c.apply(DEPLOYMENT, X, manager="flagger"),
        f"PATCH {DEPLOYMENTS}/x",
        APPLIED,
        "apply-patch+yaml",
    ),
    "delete": (lambda c: c.delete(POD, "p", "shop"), "DELETE /api/v1/namespaces/shop/pods/p", {}, "json"),
    "list": (
        lambda c: c.list(POD, labels="app in (a,b)", fields="status.phase=Running"),
        "GET /api/v1/pods",
        SELECTED,
        "",
    ),
}


@pytest.mark.parametrize(("call", "line", "query", "content"), REQUESTS.values(), ids=REQUESTS)
async def test_requests(call: Call, line: str, query: dict[str, str], content: str) -> None:
    """Each verb sends the method, path, parameters and content type that the API wants."""
    async with running(TinyApi()) as api, client_of(api) as client:
        echo(api)
        await call(client)
        seen = api.seen[0]
        assert (f"{seen.method} {seen.path}", seen.query) == (line, query)
        assert seen.headers.get("Content-Type", "").removeprefix("application/") == content


def test_slash_in_a_name_is_no_path() -> None:
    """A name with slashes arrives as one escaped segment."""
    assert CONFIG_MAP.path("shop", "../secrets/x") == "/api/v1/namespaces/shop/configmaps/..%2Fsecrets%2Fx"


@pytest.mark.parametrize(("namespace", "name"), [("shop", ""), ("shop", ".."), (None, "x"), ("", "x")])
def test_no_path_for_a_half_named_object(namespace: str | None, name: str) -> None:
    """An empty name or a missing namespace is refused here: the path would be that of a collection."""
    with pytest.raises(Invalid):
        CONFIG_MAP.path(namespace, name)


async def test_bodies_say_what_they_are() -> None:
    """ApiVersion and kind are filled in for writes; delete carries its options."""
    async with running(TinyApi()) as api, client_of(api) as client:
        echo(api)
        await client.create(DEPLOYMENT, X)
        await client.delete(POD, "p", "shop", propagation="Foreground", uid="u1")
        create, delete = (json.loads(seen.body) for seen in api.seen)
        assert (create["apiVersion"], create["kind"]) == ("apps/v1", "Deployment")
        assert (delete["propagationPolicy"], delete["preconditions"]) == ("Foreground", {"uid": "u1"})


@pytest.mark.parametrize(
    ("answer", "lives_on"),
    [
        pytest.param({"kind": "Status", "status": "Success"}, False, id="status"),
        pytest.param({"kind": "Service", "metadata": {"name": "x"}}, False, id="last state"),
        pytest.param(
            {"kind": "Pod", "metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}}, True, id="still there"
        ),
    ],
)
async def test_deletion_answers(answer: Object, lives_on: bool) -> None:
    """A deletion tells an object that is kept for now from one that is gone, in every form servers answer."""
    async with running(TinyApi()) as api, client_of(api) as client:
        echo(api, answer)
        assert (await client.delete(POD, "x", "shop") is not None) is lives_on


@pytest.mark.parametrize(
    ("code", "reason", "details", "error"),
    [
        (404, "NotFound", {"name": "x"}, NotFound),
        (404, "NotFound", {}, KindMissing),
        (409, "AlreadyExists", {"name": "x"}, AlreadyExists),
        (409, "Conflict", {"name": "x"}, Conflict),
        (410, "Expired", {}, Gone),
        (401, "Unauthorized", {}, Unauthorized),
        (403, "Forbidden", {}, Forbidden),
        (400, "BadRequest", {}, Invalid),
        (422, "Invalid", {"name": "x"}, Invalid),
        (429, "TooManyRequests", {}, TooManyRequests),
        (504, "Timeout", {}, ServerTimeout),
        (500, "InternalError", {}, KubeError),
        (302, "", {}, KubeError),
    ],
)
@pytest.mark.looptime
async def test_errors_by_code(code: int, reason: str, details: Object, error: type[KubeError]) -> None:
    """Every refusal becomes its exception, which names the verb, the kind and the object."""
    body = status(code, reason, "the reason why") | {"details": details}
    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(
            fail(99, lambda: web.json_response(body, status=code, headers={"Location": "/elsewhere"}))
        )
        with pytest.raises(error) as caught:
            await client.patch(CONFIG_MAP, "x", "shop", {})
        assert type(caught.value) is error
        assert caught.value.status == code
        assert str(caught.value).startswith("patch ConfigMap shop/x: ")


async def test_error_without_a_status_object() -> None:
    """An unknown group answers in plain text; a proxy may answer anything. Long texts are cut."""
    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(fail(1, lambda: web.Response(status=404, text="404 page not found")))
        with pytest.raises(KindMissing, match=r"list Widget: the server does not serve widgets.example.com"):
            await client.list(WIDGET)
        api.faults.append(fail(1, lambda: refuse(422, "Invalid", "x" * 5000)))
        with pytest.raises(Invalid) as caught:
            await client.get(WIDGET, "w", "shop")
        assert len(str(caught.value)) < 700


async def test_missing_subresource_is_no_missing_kind() -> None:
    """404 for a subresource says nothing about the kind."""
    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(
            fail(1, lambda: refuse(404, "NotFound", "the server could not find the requested resource"))
        )
        with pytest.raises(NotFound) as caught:
            await client.patch(CONFIG_MAP, "x", "shop", {}, subresource="scale")
        assert not isinstance(caught.value, KindMissing)


async def test_answer_that_is_no_json() -> None:
    """A login page with code 200 is an error that does not quote the page."""
    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(fail(1, lambda: web.Response(text="<html>secret</html>", content_type="text/html")))
        with pytest.raises(KubeError, match="not what a Kubernetes API sends") as caught:
            await client.get(CONFIG_MAP, "x", "shop")
        assert "secret" not in str(caught.value)


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("code", "headers", "verb", "attempts", "seconds"),
    [
        pytest.param(500, {}, "get", 4, (0.3, 1.1), id="reads: 500"),
        pytest.param(503, {}, "get", 4, (0.3, 1.1), id="reads: 503"),
        pytest.param(429, {"Retry-After": "2"}, "get", 4, (6, 7), id="reads: as long as the server says"),
        pytest.param(429, {"Retry-After": "4000"}, "get", 4, (90, 91), id="reads: not for ever"),
        pytest.param(404, {}, "get", 1, (0, 0.1), id="reads: not what is definite"),
        pytest.param(429, {"Retry-After": "1"}, "create", 4, (3, 4), id="writes: turned away"),
        pytest.param(429, {}, "create", 4, (0.3, 1.1), id="writes: turned away without a time"),
        pytest.param(
            503, {"Retry-After": "1"}, "create", 4, (3, 4), id="writes: turned away, server stopping"
        ),
        pytest.param(503, {}, "create", 1, (0, 0.1), id="writes: not when unsure"),
        pytest.param(500, {}, "create", 1, (0, 0.1), id="writes: not after 500"),
        pytest.param(504, {}, "create", 1, (0, 0.1), id="writes: not after 504"),
    ],
)
async def test_retries(
    code: int,
    headers: dict[str, str],
    verb: str,
    attempts: int,
    seconds: tuple[float, float],
    looptime: float,
) -> None:
    """At most four attempts, as far apart as the server asks; writes only if they cannot have happened."""
    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(fail(99, lambda: refuse(code, "", "no", **headers)))
        with pytest.raises(KubeError):
            await ask(client, verb)
        assert len(api.seen) == attempts
        assert seconds[0] <= float(looptime) <= seconds[1]


@pytest.mark.looptime
async def test_retry_after_as_a_date(looptime: float) -> None:
    """The other form of the header is understood as well."""
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=8), usegmt=True)
    async with running(TinyApi()) as api, client_of(api) as client:
        a = api.put(CONFIG_MAP, "x", data={})
        api.faults.append(fail(1, lambda: refuse(429, "", "later", **{"Retry-After": then})))
        assert await client.get(CONFIG_MAP, "x", "shop") == a
        assert 5 <= float(looptime) <= 9


@pytest.mark.parametrize(("verb", "sent"), [("get", 4), ("create", 1)])
@pytest.mark.looptime
async def test_broken_connections(verb: str, sent: int) -> None:
    """A connection that breaks after the request was sent: reads are repeated, writes are not."""

    async def cut(request: web.Request) -> web.StreamResponse:
        request.transport.abort()
        return web.Response()

    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(cut)
        with pytest.raises(Unreachable) as caught:
            await ask(client, verb)
        assert caught.value.sent
        # aiohttp itself repeats an idempotent request once per attempt on a pooled connection.
        assert sent <= len(api.seen) <= 2 * sent


@pytest.mark.looptime
async def test_server_that_is_not_there(looptime: float) -> None:
    """A refused connection is tried again a few times, for writes too, and then named with the address."""
    async with Client(Connection("http://127.0.0.1:9")) as client:
        with pytest.raises(
            Unreachable, match=r"create ConfigMap shop: API server http://127\.0\.0\.1:9: Connection refused"
        ):
            await client.create(CONFIG_MAP, X)
        assert 0.3 <= float(looptime) <= 1.1


@pytest.mark.looptime
async def test_server_that_does_not_answer(looptime: float) -> None:
    """A request without an answer ends after 30 s, once: well before a lost lease has a new holder."""

    async def hang() -> web.StreamResponse:
        await asyncio.sleep(10_000)
        return web.Response()

    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(lambda request: hang())
        with pytest.raises(Unreachable, match="no answer in time"):
            await client.get(CONFIG_MAP, "x", "shop")
        assert 30 <= float(looptime) <= 31


async def test_guard_runs_before_every_attempt_of_a_write() -> None:
    """A guard that raises lets reads pass and stops writes, also in the middle of retries."""
    passes = iter([True, False])

    class StopError(Exception):
        pass

    def guard() -> None:
        if not next(passes):
            raise StopError

    async with running(TinyApi()) as api, client_of(api) as plain:
        client = plain.guarded(guard)
        api.put(CONFIG_MAP, "x", data={})
        await client.get(CONFIG_MAP, "x", "shop")
        api.faults.append(fail(1, lambda: refuse(429, "", "later")))
        with pytest.raises(StopError):
            await client.patch(CONFIG_MAP, "x", "shop", {"data": {"v": "1"}})
        assert api.count("PATCH") == 1


@pytest.mark.looptime
async def test_list_whose_pages_come_too_late() -> None:
    """410 for a later page: the list is fetched anew in one go, with nothing twice."""
    async with running(TinyApi()) as api, client_of(api) as client:
        for number in range(700):
            api.put(CONFIG_MAP, f"n{number}", data={})
        api.faults.append(
            fail(1, lambda: refuse(410, "Expired", "too old"), only=lambda r: "continue" in r.query)
        )
        found = await client.list(CONFIG_MAP, "shop")
        assert len(found.items) == 700
        assert len({obj["metadata"]["name"] for obj in found.items}) == 700
        assert "limit" not in api.seen[-1].query
        assert found.resource_version == str(api.version)


async def test_watch_gives_bookmarks_and_errors() -> None:
    """The stream as such: events in order, bookmarks included, an ERROR event as an exception."""
    async with running(TinyApi()) as api, client_of(api) as client:
        api.put(CONFIG_MAP, "x", data={})
        types = []

        async def follow() -> None:
            async for event in client.watch(CONFIG_MAP, "shop", resource_version="1"):
                types.append(event.type)
                api.streams[0].bookmark(200)
                if event.type == "BOOKMARK":
                    api.streams[0].send("ERROR", status(410, "Expired", "too old"))

        with pytest.raises(Gone, match="watch ConfigMap shop: too old"):
            await follow()
        assert types[:2] == ["ADDED", "BOOKMARK"]


async def test_hundred_watches_do_not_starve_requests() -> None:
    """Watches have their own connections: any number of them leaves requests alone."""
    async with running(TinyApi()) as api, client_of(api) as client:
        api.put(CONFIG_MAP, "x", data={})

        async def watch() -> None:
            async for _ in client.watch(CONFIG_MAP, resource_version="500"):
                pass

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(watch()) for _ in range(150)]
            await eventually(lambda: len(api.streams) == 150)
            await asyncio.gather(*(client.get(CONFIG_MAP, "x", "shop") for _ in range(50)))
            for task in tasks:
                task.cancel()
        await eventually(lambda: not api.streams)


async def test_raw_and_stream() -> None:
    """Paths that are no objects: as bytes at once, or in chunks as they come."""

    async def chunks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for word in (b"one", b"two"):
            await response.write(word)
        return response

    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(chunks)
        assert await client.raw("GET", "/version", params={"x": "1"}) == b"onetwo"
        assert b"".join([chunk async for chunk in client.stream("/log", {"follow": "true"})]) == b"onetwo"
        assert [seen.query for seen in api.seen] == [{"x": "1"}, {"follow": "true"}]


async def test_closed_client() -> None:
    """After closing, requests are errors and nothing is opened again; closing twice is fine."""
    async with running(TinyApi()) as api:
        client = Client(Connection(api.url))
        await client.list(CONFIG_MAP)
        await client.close()
        await client.close()
        with pytest.raises(Unreachable, match="is closed"):
            await client.list(CONFIG_MAP)


async def test_impersonation_headers() -> None:
    """Impersonation reaches the server, one header per group."""
    headers = (("Impersonate-User", "eve"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b"))
    async with running(TinyApi()) as api, client_of(api, impersonate=headers) as client:
        echo(api)
        await client.get(CONFIG_MAP, "x", "shop")
        assert api.seen[0].headers.getall("Impersonate-Group") == ["a", "b"]
        assert api.seen[0].headers["User-Agent"] == "flagger-py"


async def test_server_under_a_path() -> None:
    """A server URL with a path prefix, as gateways of hosted clusters have it, is kept."""
    async with running(TinyApi()) as api, Client(Connection(f"{api.url}/k8s/clusters/c-1")) as client:
        echo(api)
        await client.get(CONFIG_MAP, "x", "shop")
        assert api.seen[0].path == "/k8s/clusters/c-1/api/v1/namespaces/shop/configmaps/x"
