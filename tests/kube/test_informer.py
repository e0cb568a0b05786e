"""Informers on a server that behaves as badly as real ones do at times."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.errors import Forbidden, KindMissing, Unreachable
from flagger.kube.informer import Informer
from flagger.kube.objects import CONFIG_MAP, NODE, Object, name_of
from tests.kube.tiny_api import TinyApi, client_of, eventually, fail, refuse, running, status

Change = tuple[str | None, str | None]


class Notes:
    """Changes, as (old value, new value) of `data.v`."""

    def __init__(self) -> None:
        self.seen: list[Change] = []

    def __call__(self, old: Object | None, new: Object | None) -> None:
        self.seen.append((value(old), value(new)))


def value(obj: Object | None) -> str | None:
    return None if obj is None else obj["data"]["v"]


@asynccontextmanager
async def followed(api: TinyApi, **options: object) -> AsyncIterator[tuple[Informer, Notes]]:
    """A synced informer of config maps, with its notes."""
    notes = Notes()
    async with client_of(api) as client:
        informer = Informer(client, CONFIG_MAP, on_change=notes, **options)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(informer.run())
            await informer.wait_synced()
            yield informer, notes
            task.cancel()


def a(api: TinyApi, name: str = "a", v: str = "1", **more: object) -> Object:
    return api.put(CONFIG_MAP, name, data={"v": v}, **more)


async def test_follows_additions_changes_and_deletions() -> None:
    """Objects that were there, that come, change and go are each told once, and the cache agrees."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, notes):
            a(api, v="2")
            a(api, "b")
            api.drop(CONFIG_MAP, "a")
            await eventually(lambda: len(notes.seen) == 4)
            assert notes.seen == [(None, "1"), ("1", "2"), (None, "1"), ("2", None)]
            assert informer.get("shop", "a") is None
            assert [name_of(obj) for obj in informer.items("shop")] == ["b"]
            assert list(informer.items("elsewhere")) == []


async def test_idle_informer_sends_nothing_but_its_watch() -> None:
    """After the first list there is one open watch and no further request."""
    async with running(TinyApi()) as api, followed(api):
        await eventually(lambda: api.streams)
        assert (api.count("GET", watch=False), api.count("GET", watch=True)) == (1, 1)


async def test_lists_in_pages_and_names_the_kind() -> None:
    """A list longer than a page arrives whole; items get the kind that servers leave out."""
    async with running(TinyApi()) as api:
        for number in range(1203):
            a(api, f"n{number:04}")
        async with followed(api) as (informer, _):
            assert len(list(informer.items())) == 1203
            assert informer.get("shop", "n1202")["kind"] == "ConfigMap"
            assert api.count("GET", watch=False) == 3


async def test_drops_managed_fields() -> None:
    """What only the server needs is not kept, from lists and from the watch; the rest survives."""
    async with running(TinyApi()) as api, followed(api) as (informer, notes):
        obj = a(api)
        obj["metadata"]["managedFields"] = [{"manager": "x"}]
        api.store("configmaps", {**obj, "unknown": 1}, "MODIFIED")
        await eventually(lambda: len(notes.seen) == 2)
        cached = informer.get("shop", "a")
        assert "managedFields" not in cached["metadata"]
        assert cached["unknown"] == 1


async def test_own_slim_transform() -> None:
    """A caller decides what is worth keeping."""

    def keys_only(obj: Object) -> Object:
        return {**obj, "data": dict.fromkeys(obj["data"], "…")}

    async with running(TinyApi()) as api:
        a(api)
        async with followed(api, slim=keys_only) as (informer, notes):
            a(api, "b")
            await eventually(lambda: len(notes.seen) == 2)
            assert {value(obj) for obj in informer.items()} == {"…"}


async def test_namespace_scope() -> None:
    """A scoped informer asks for its namespace only, and learns nothing about others."""
    async with running(TinyApi()) as api:
        a(api)
        other = api.put(CONFIG_MAP, "x", namespace="other", data={"v": "9"})
        async with followed(api, namespace="shop") as (informer, _):
            informer.learn(other)
            assert [name_of(obj) for obj in informer.items()] == ["a"]
            assert api.seen[0].path == "/api/v1/namespaces/shop/configmaps"


async def test_cluster_wide_kinds_ignore_namespaces() -> None:
    """A kind without namespaces is listed as a whole even in a scoped installation."""
    async with running(TinyApi()) as api, client_of(api) as client:
        api.put(NODE, "sandbox", namespace="", data={"v": "1"})
        informer = Informer(client, NODE, namespace="shop")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(informer.run())
            await informer.wait_synced()
            assert informer.get(None, "sandbox") is not None
            task.cancel()


@pytest.mark.looptime
async def test_expired_version_in_the_stream_leads_to_a_list_with_differences() -> None:
    """410 inside the stream: list again; what vanished is told as deleted, the unchanged not at all."""
    async with running(TinyApi()) as api:
        a(api, "kept")
        a(api, "changed")
        a(api, "gone")
        async with followed(api) as (informer, notes):
            await eventually(lambda: api.streams)
            notes.seen.clear()
            stream = api.streams[0]
            api.streams.clear()  # nothing of what follows reaches the watch
            a(api, "changed", v="2")
            api.drop(CONFIG_MAP, "gone")
            a(api, "new", v="3")
            api.streams.append(stream)
            stream.send("ERROR", status(410, "Expired", "too old resource version: 1 (9)"))
            await eventually(lambda: len(notes.seen) == 3)
            assert sorted(notes.seen, key=str) == [("1", "2"), ("1", None), (None, "3")]
            assert len(list(informer.items())) == 3


@pytest.mark.looptime
async def test_expired_version_on_every_watch_is_no_hot_loop(looptime: float) -> None:
    """A server that calls every version too old is asked ever more slowly, and nothing crashes."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, _):
            api.oldest = 10**9
            api.streams and api.streams[0].end()
            before = len(api.seen)
            await asyncio.sleep(120)
            assert 4 <= len(api.seen) - before <= 60
            assert informer.synced
            api.oldest = 0
            a(api, v="2")
            await eventually(lambda: value(informer.get("shop", "a")) == "2", within=60)


@pytest.mark.looptime
@pytest.mark.parametrize(
    "answer",
    [lambda: refuse(410, "Gone", "too old"), lambda: refuse(410, "Expired", "too old")],
    ids=["Gone", "Expired"],
)
async def test_expired_version_as_http_answer(answer: Callable[[], object]) -> None:
    """410 as the answer to the watch itself means the same as in the stream."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, notes):
            await eventually(lambda: api.streams)
            api.faults.append(fail(1, answer, only=lambda r: "watch" in r.query))
            api.streams[0].end()
            await eventually(lambda: api.count("GET", watch=False) == 2)
            a(api, v="2")
            await eventually(lambda: value(informer.get("shop", "a")) == "2")
            assert notes.seen == [(None, "1"), ("1", "2")]


@pytest.mark.looptime
async def test_bookmarks_move_the_place_to_resume_from() -> None:
    """A bookmark, which is no object at all, is where the next watch starts."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (_, notes):
            await eventually(lambda: api.streams)
            api.streams[0].bookmark(4711)
            api.streams[0].end()
            await eventually(lambda: api.count("GET", watch=True) == 2)
            assert api.seen[-1].query["resourceVersion"] == "4711"
            assert api.seen[-1].query["allowWatchBookmarks"] == "true"
            assert notes.seen == [(None, "1")]


@pytest.mark.looptime
@pytest.mark.parametrize("how", ["end", "reset"])
async def test_resumes_after_a_broken_stream(how: str) -> None:
    """End of stream and TCP reset: watch again from the last version seen, without a list, losing nothing."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, notes):
            await eventually(lambda: api.streams)
            a(api, v="2")
            await eventually(lambda: len(notes.seen) == 2)
            stream = api.streams.pop()
            a(api, v="3")  # while nobody watches
            api.streams.append(stream)
            getattr(stream, how)()
            await eventually(lambda: value(informer.get("shop", "a")) == "3")
            assert api.count("GET", watch=False) == 1
            assert notes.seen == [(None, "1"), ("1", "2"), ("2", "3")]


@pytest.mark.looptime
async def test_rewatching_is_never_immediate(looptime: float) -> None:
    """Streams that end at once are reopened after at least 0.1 s, then ever later, up to some ten seconds."""
    async with running(TinyApi()) as api, followed(api):
        await eventually(lambda: api.streams)
        times: list[float] = []

        def hang_up(request: object) -> None:
            times.append(float(looptime))

        api.faults += [hang_up, fail(8, lambda: refuse(200, "", ""))]
        api.streams[0].end()
        times.append(float(looptime))
        await eventually(lambda: len(times) == 8, within=120)
        gaps = [after - before for before, after in pairwise(times)]
        assert all(gap >= 0.1 for gap in gaps)
        assert gaps[-1] > 2


@pytest.mark.looptime
async def test_silent_stream_is_replaced(looptime: float) -> None:
    """A half-open connection, on which nothing comes any more, is given up after 70 s and resumed."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, _):
            await eventually(lambda: api.streams)
            dead = api.streams.pop()
            a(api, v="2")  # the change that a dead connection swallows
            await eventually(lambda: value(informer.get("shop", "a")) == "2", within=100)
            assert 70 <= float(looptime) <= 75
            assert api.count("GET", watch=False) == 1
            api.streams.append(dead)


@pytest.mark.looptime
async def test_odd_chunks_and_huge_lines() -> None:
    """Chunks cut anywhere, several events in one, empty lines, and lines beyond a megabyte are all read."""

    def line(name: str, version: int, v: str) -> bytes:
        obj = {"metadata": {"name": name, "resourceVersion": str(version)}, "data": {"v": v}}
        return json.dumps({"type": "ADDED", "object": obj}).encode() + b"\n"

    big = "x" * 3_000_000
    data = b"\n" + line("a", 900, "1") + line("b", 901, big) + line("c", 902, "3")
    async with running(TinyApi()) as api, followed(api) as (informer, notes):
        await eventually(lambda: api.streams)
        api.streams[0].raw(data[:7], data[7:60], data[60:1_000_000], data[1_000_000:])
        await eventually(lambda: len(notes.seen) == 3)
        assert value(informer.get("", "b")) == big


@pytest.mark.looptime
async def test_something_else_than_events_is_survived() -> None:
    """A proxy's page in the middle of a stream, or an event without an object, is like a broken stream."""
    async with running(TinyApi()) as api, followed(api) as (informer, _):
        for rubbish in (b"<html>504</html>\n", b'{"type":"ADDED"}\n', b'{"type":"ADDED","object":[]}\n'):
            await eventually(lambda: api.streams)
            api.streams[0].raw(rubbish)
            await eventually(lambda: not api.streams)
        a(api, v="5")
        await eventually(lambda: value(informer.get("shop", "a")) == "5", within=30)


@pytest.mark.looptime
async def test_server_that_takes_connections_and_says_nothing() -> None:
    """A frozen server is a problem that is told, and over when it wakes up."""

    async def freeze() -> web.StreamResponse:
        await asyncio.sleep(10**6)
        return web.Response()

    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, _):
            await eventually(lambda: api.streams)
            api.faults.append(lambda request: freeze())
            api.streams[0].reset()
            await eventually(lambda: isinstance(informer.problem, Unreachable), within=100)
            api.faults.clear()
            a(api, v="2")
            await eventually(lambda: value(informer.get("shop", "a")) == "2", within=100)
            await eventually(lambda: informer.problem is None)


@pytest.mark.looptime
@pytest.mark.parametrize("code", [500, 503, 429, 403])
async def test_errors_of_the_watch(code: int) -> None:
    """Refused watches are repeated with patience until they work; the cache stays readable."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, _):
            await eventually(lambda: api.streams)
            api.faults.append(fail(6, lambda: refuse(code, "", "no"), only=lambda r: "watch" in r.query))
            api.streams[0].end()
            await eventually(lambda: informer.problem is not None, within=30)
            assert value(informer.get("shop", "a")) == "1"
            a(api, v="2")
            await eventually(lambda: value(informer.get("shop", "a")) == "2", within=60)
            await eventually(lambda: informer.problem is None, within=60)


async def test_server_outage() -> None:
    """While the server is away the cache is kept and the log says so once; what changed is found after it."""
    api = TinyApi()
    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(AsyncExitStack())
            await first.enter_async_context(running(api))
            port = int(api.url.rpartition(":")[2])
            a(api)
            a(api, "gone")
            informer, notes = await stack.enter_async_context(followed(api))
            await eventually(lambda: api.streams)
            await first.aclose()
            await eventually(lambda: isinstance(informer.problem, Unreachable))
            assert value(informer.get("shop", "a")) == "1"
            api.drop(CONFIG_MAP, "gone")
            a(api, v="2")
            await stack.enter_async_context(running(api, port=port))
            await eventually(lambda: value(informer.get("shop", "a")) == "2", within=10)
            assert notes.seen[-2:] == [("1", None), ("1", "2")]
            await eventually(lambda: informer.problem is None)
    assert [entry["event"] for entry in logs] == ["cannot follow a kind; retrying", "following a kind again"]
    assert "Connection refused" in logs[0]["problem"]


async def test_server_that_lost_its_memory() -> None:
    """A server that comes back with a shorter history is believed: nothing of the old cache survives."""
    first, second = TinyApi(version=5000), TinyApi(version=10)
    async with running(first):
        port = int(first.url.rpartition(":")[2])
        a(first, "old")
        client = Client(Connection(first.url))
        informer = Informer(client, CONFIG_MAP)
        task = asyncio.create_task(informer.run())
        await informer.wait_synced()
        await eventually(lambda: first.streams)
    await eventually(lambda: informer.problem is not None)
    async with running(second, port=port):
        a(second, "young", v="7")
        await eventually(lambda: informer.get("shop", "young") is not None, within=10)
        assert informer.get("shop", "old") is None
        await eventually(lambda: second.streams)
        a(second, "young", v="8")
        await eventually(lambda: value(informer.get("shop", "young")) == "8")
        task.cancel()
        await asyncio.wait({task})
        await client.close()


@pytest.mark.looptime
async def test_missing_kind_is_named_and_picked_up_when_it_comes() -> None:
    """A kind without CRD is a clear error, costs a request now and then, and works once it is installed."""
    async with running(TinyApi(missing={"configmaps"})) as api, client_of(api) as client:
        informer = Informer(client, CONFIG_MAP)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(informer.run())
            with pytest.raises(
                KindMissing, match=r"configmaps in v1; is its CustomResourceDefinition installed"
            ):
                await informer.wait_synced()
            await asyncio.sleep(600)
            assert len(api.seen) < 60
            a(api)
            api.missing.clear()
            await eventually(lambda: informer.synced, within=90)
            assert value(informer.get("shop", "a")) == "1"
            task.cancel()


@pytest.mark.looptime
async def test_kind_that_is_removed_takes_its_objects_along() -> None:
    """When a CRD is deleted its objects are told as deleted, half a minute later."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, notes):
            await eventually(lambda: api.streams)
            api.missing.add("configmaps")
            api.streams[0].end()
            await eventually(lambda: informer.problem is not None, within=30)
            assert informer.synced
            await eventually(lambda: not informer.synced, within=90)
            assert notes.seen == [(None, "1"), ("1", None)]


@pytest.mark.looptime
async def test_kind_that_is_unknown_for_a_moment() -> None:
    """A server that starts and does not know its custom kinds yet costs nobody an object."""
    async with running(TinyApi()) as api:
        a(api)
        async with followed(api) as (informer, notes):
            await eventually(lambda: api.streams)
            api.missing.add("configmaps")
            api.streams[0].end()
            await asyncio.sleep(10)
            api.missing.clear()
            a(api, v="2")
            await eventually(lambda: value(informer.get("shop", "a")) == "2", within=60)
            assert notes.seen == [(None, "1"), ("1", "2")]


@pytest.mark.looptime
async def test_forbidden_kind_is_an_error_of_the_first_read() -> None:
    """Without the right to list there is a clear error instead of a wait without end."""
    async with running(TinyApi()) as api, client_of(api) as client:
        api.faults.append(fail(99, lambda: refuse(403, "Forbidden", "configmaps is forbidden")))
        informer = Informer(client, CONFIG_MAP)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(informer.run())
            with pytest.raises(Forbidden, match="list ConfigMap: configmaps is forbidden"):
                await informer.wait_synced()
            task.cancel()


async def test_listener_bug_does_not_stop_the_cache() -> None:
    """An exception in a change notice is logged; the next change arrives."""

    def broken(old: Object | None, new: Object | None) -> None:
        raise ZeroDivisionError

    async with running(TinyApi()) as api, client_of(api) as client:
        with capture_logs() as logs:
            a(api)
            informer = Informer(client, CONFIG_MAP, on_change=broken)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(informer.run())
                await informer.wait_synced()
                a(api, v="2")
                await eventually(lambda: value(informer.get("shop", "a")) == "2")
                task.cancel()
    assert [entry["event"] for entry in logs] == ["a change could not be handled"] * 2
