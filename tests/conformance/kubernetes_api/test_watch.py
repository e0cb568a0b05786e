"""Watches: order, selectors, bookmarks, the end of streams."""

import asyncio
import time
from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map
from tests.conformance.kubernetes_api.servers import Api

Object = dict[str, Any]


def shown(event: Object | None) -> tuple[str, str, str]:
    """Type, name and data of an event."""
    assert event is not None
    obj = event["object"]
    return event["type"], obj["metadata"]["name"], obj["data"]["a"]


async def edits(api: Api, path: str, *values: str) -> None:
    """Write values one after the other."""
    for value in values:
        (await api.patch(path, {"data": {"a": value}})).ok()


async def test_nothing_is_missed_or_repeated(api: Api) -> None:
    """A watch from a list's version shows every later change once, in order, whenever it opens."""
    path = api.path("configmaps")
    version = await api.revision()
    await api.create("configmaps", config_map("w1"))
    await edits(api, api.path("configmaps", "w1"), "2", "3")

    async with api.watch(path, {"resourceVersion": version}) as stream:
        await edits(api, api.path("configmaps", "w1"), "4", "5")
        await api.delete(api.path("configmaps", "w1"))
        events = [event for event in await stream.take(6) if event]

    assert [shown(event)[::2] for event in events] == [
        ("ADDED", "1"),
        *(("MODIFIED", value) for value in "2345"),
        ("DELETED", "5"),
    ]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert all(event["object"]["kind"] == "ConfigMap" for event in events)


@pytest.mark.parametrize("params", [{}, {"resourceVersion": "0"}], ids=["no version", "version 0"])
async def test_a_watch_may_start_with_the_state(api: Api, params: dict[str, str]) -> None:
    """Without a version every existing object is ADDED first, then changes follow."""
    for name in ("a", "b"):
        await api.create("secrets", {"metadata": {"name": name}})

    async with api.watch(api.path("secrets"), params) as stream:
        state = [event for event in await stream.take(2) if event]
        await api.create("secrets", {"metadata": {"name": "c"}})
        later = await stream.next()

    assert {(event["type"], event["object"]["metadata"]["name"]) for event in state} == {
        ("ADDED", "a"),
        ("ADDED", "b"),
    }
    assert later is not None
    assert (later["type"], later["object"]["metadata"]["name"]) == ("ADDED", "c")


async def test_label_transitions(api: Api) -> None:
    """What starts to match is ADDED, what stops is DELETED with its last matching state and the new version."""
    path, item = api.path("configmaps"), api.path("configmaps", "w1")
    params = {"resourceVersion": await api.revision(), "labelSelector": "track=yes"}

    async with api.watch(path, params) as stream:
        await api.create("configmaps", config_map("w1", {"a": "0"}))
        (await api.patch(item, {"metadata": {"labels": {"track": "yes"}}})).ok()
        await edits(api, item, "1")
        left = (await api.patch(item, {"metadata": {"labels": {"track": "no"}}, "data": {"a": "2"}})).ok()
        (await api.patch(item, {"metadata": {"labels": {"track": "yes"}}})).ok()
        await api.delete(item)
        events = [event for event in await stream.take(5) if event]

    assert [shown(event)[::2] for event in events] == [
        ("ADDED", "0"),
        ("MODIFIED", "1"),
        ("DELETED", "1"),
        ("ADDED", "2"),
        ("DELETED", "2"),
    ]
    gone = events[2]["object"]["metadata"]
    assert gone["labels"] == {"track": "yes"}
    assert gone["resourceVersion"] == left["metadata"]["resourceVersion"]


async def test_one_object_by_field_selector(api: Api) -> None:
    """A watch for one name shows that object only."""
    params = {"resourceVersion": await api.revision(), "fieldSelector": "metadata.name=b"}

    async with api.watch(api.path("configmaps"), params) as stream:
        for name in "abc":
            await api.create("configmaps", config_map(name))
        event = await stream.next()

    assert shown(event) == ("ADDED", "b", "1")


async def test_the_legacy_path(api: Api) -> None:
    """/api/v1/watch/… watches, too."""
    made = await api.create("configmaps", config_map("w1"))
    path = f"/api/v1/watch/namespaces/{api.namespace}/configmaps/w1"

    async with api.watch(path, {"resourceVersion": made["metadata"]["resourceVersion"]}) as stream:
        await api.create("configmaps", config_map("w2"))
        await edits(api, api.path("configmaps", "w1"), "2")
        assert shown(await stream.next()) == ("MODIFIED", "w1", "2")


async def test_time_out(api: Api) -> None:
    """`timeoutSeconds` ends the stream cleanly."""
    started = time.monotonic()

    async with api.watch(api.path("configmaps"), {"timeoutSeconds": "1"}) as stream:
        events = await stream.rest()

    assert 0.9 <= time.monotonic() - started <= 5
    assert all(event["type"] == "ADDED" for event in events)


async def test_bookmarks(api: Api) -> None:
    """Shortly before the end a bookmark tells how far the client is, if it asked for that."""
    params = {"resourceVersion": await api.revision(), "timeoutSeconds": "3", "allowWatchBookmarks": "true"}

    async with api.watch(api.path("configmaps"), params) as stream:
        made = await api.create("configmaps", config_map("w1"))
        events = await stream.rest()

    assert events[0]["type"] == "ADDED"
    bookmarks = [event["object"] for event in events if event["type"] == "BOOKMARK"]
    assert bookmarks
    assert (bookmarks[0]["kind"], bookmarks[0]["apiVersion"]) == ("ConfigMap", "v1")
    assert set(bookmarks[0]["metadata"]) <= {"resourceVersion", "creationTimestamp"}
    assert int(bookmarks[-1]["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])


async def test_a_version_from_the_future(api: Api) -> None:
    """The stream opens, and stays silent until the counter has passed it."""
    future = str(int(await api.revision()) + 1000)

    async with api.watch(
        api.path("configmaps"), {"resourceVersion": future, "timeoutSeconds": "1"}
    ) as stream:
        await api.create("configmaps", config_map("w1"))
        assert await stream.rest() == []


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"labelSelector": "a in b"}, 400),
        ({"fieldSelector": "data.x=1"}, 400),
        ({"resourceVersion": "abc"}, 500),
        ({"timeoutSeconds": "abc"}, 400),
    ],
)
async def test_errors_before_the_stream(api: Api, params: dict[str, str], status: int) -> None:
    """A watch that cannot start is answered like any request."""
    reply = await api.get(api.path("configmaps"), params={"watch": "1", **params})

    assert reply.status in ({status} if status != 500 else {400, 500})
    assert reply.body["kind"] == "Status"


async def test_an_empty_watch(api: Api) -> None:
    """Watching a namespace that is not there is an empty stream."""
    path = api.path("configmaps", namespace="nowhere")

    async with api.watch(path, {"timeoutSeconds": "1"}) as stream:
        assert await stream.rest() == []


async def test_initial_events(api: Api) -> None:
    """`sendInitialEvents` ends with a marked bookmark, or is refused; ignoring it would hang informers."""
    await api.create("configmaps", config_map("w1"))
    params = {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "timeoutSeconds": "5",
    }
    if not api.server.since(32):
        (await api.get(api.path("configmaps"), params=params)).failed(422, "Invalid")
        return

    async with api.watch(api.path("configmaps"), params) as stream:
        events: list[Object] = []
        while not events or events[-1]["type"] != "BOOKMARK":
            events.append(await stream.next() or {"type": "BOOKMARK"})
        await api.create("configmaps", config_map("w2"))
        later = await stream.next()

    assert "w1" in [event["object"]["metadata"].get("name") for event in events]
    assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert shown(later) == ("ADDED", "w2", "1")


async def test_initial_events_need_their_match(api: Api) -> None:
    """`sendInitialEvents` without resourceVersionMatch is 422."""
    api.server.needs(27)

    reply = await api.get(api.path("configmaps"), params={"watch": "1", "sendInitialEvents": "true"})

    reply.failed(422, "Invalid")


async def test_many_watches(api: Api) -> None:
    """Forty watches on one connection pool all see the same events."""
    version = await api.revision()

    async def first(_: int) -> Object | None:
        async with api.watch(api.path("configmaps"), {"resourceVersion": version}) as stream:
            return await stream.next()

    watches = [asyncio.create_task(first(index)) for index in range(40)]
    await asyncio.sleep(0)
    await api.create("configmaps", config_map("w1"))
    events = await asyncio.gather(*watches)

    assert {shown(event) for event in events} == {("ADDED", "w1", "1")}


TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}


async def test_a_table_watch(api: Api) -> None:
    """Only the first event describes the columns."""
    params = {"resourceVersion": await api.revision()}

    async with api.watch(api.path("configmaps"), params, TABLE) as stream:
        await api.create("configmaps", config_map("w1"))
        await edits(api, api.path("configmaps", "w1"), "2")
        first, second = (event["object"] for event in await stream.take(2) if event)

    assert (first["kind"], second["kind"]) == ("Table", "Table")
    assert first["columnDefinitions"][0]["name"] == "Name"
    assert not second["columnDefinitions"]
    assert second["rows"][0]["cells"][:2] == ["w1", 1]
    assert second["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_a_metadata_watch(api: Api) -> None:
    """Events can carry metadata only."""
    params = {"resourceVersion": await api.revision()}

    async with api.watch(api.path("configmaps"), params, PARTIAL) as stream:
        await api.create("configmaps", config_map("w1"))
        event = await stream.next()

    assert event is not None
    assert set(event["object"]) == {"kind", "apiVersion", "metadata"}
    assert event["object"]["kind"] == "PartialObjectMetadata"
