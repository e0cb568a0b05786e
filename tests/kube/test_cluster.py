"""What adapters see of the cluster: cached reads, own writes at once, trouble as clear errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from flagger.kube.apply import ensure
from flagger.kube.cluster import Cluster
from flagger.kube.errors import Conflict, Forbidden, KindMissing, KubeError, NotFound, Unreachable
from flagger.kube.objects import CONFIG_MAP, LEASE, NODE, SERVICE, Object, has_labels, name_of
from tests.kube.tiny_api import TinyApi, client_of, eventually, fail, refuse, running


@asynccontextmanager
async def a_cluster(api: TinyApi, **options: Any) -> AsyncIterator[Cluster]:
    async with running(api), client_of(api) as client, Cluster(client, **options) as cluster:
        yield cluster


def config(name: str, v: str = "1", **metadata: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "shop", **metadata}, "data": {"v": v}}


async def test_a_kind_is_listed_once_and_then_read_from_memory() -> None:
    """The first read lists the kind and opens its watch; a thousand more cost no request."""
    api = TinyApi()
    async with a_cluster(api) as cluster:
        api.put(CONFIG_MAP, "a", data={"v": "1"})
        await asyncio.gather(*(cluster.get(CONFIG_MAP, "shop", "a") for _ in range(1000)))
        assert name_of((await cluster.list(CONFIG_MAP))[0]) == "a"
        assert await cluster.get(CONFIG_MAP, "shop", "b") is None
        await eventually(lambda: api.streams)
        assert len(api.seen) == 2


async def test_list_by_namespace_and_labels() -> None:
    """Lists select by namespace and by equality of labels."""
    api = TinyApi()
    async with a_cluster(api) as cluster:
        for name, namespace, labels in (
            ("a", "shop", {"x": "1"}),
            ("b", "shop", {}),
            ("c", "ops", {"x": "1", "y": "2"}),
        ):
            made = api.put(CONFIG_MAP, name, namespace)
            api.store("configmaps", {**made, "metadata": {**made["metadata"], "labels": labels}}, "MODIFIED")

        async def names(*where: str | None, **labels: str) -> list[str]:
            return sorted(name_of(obj) for obj in await cluster.list(CONFIG_MAP, *where, labels=labels))

        assert await names() == ["a", "b", "c"]
        assert await names("shop") == ["a", "b"]
        assert await names(None, x="1") == ["a", "c"]
        assert await names("ops", x="1", y="3") == []


async def test_own_writes_are_read_at_once() -> None:
    """Create, patch, apply and delete are visible to the next read, before the watch repeats them."""
    api = TinyApi()
    async with a_cluster(api) as cluster:

        async def read() -> str | None:
            found = await cluster.get(CONFIG_MAP, "shop", "a")
            return found and found["data"]["v"]

        assert await read() is None
        await eventually(lambda: api.streams)
        mute = api.streams.pop()  # from here on the watch says nothing
        await cluster.create(CONFIG_MAP, config("a"))
        assert await read() == "1"
        await cluster.patch(CONFIG_MAP, "a", "shop", {"data": {"v": "2"}})
        assert await read() == "2"
        await cluster.apply(CONFIG_MAP, config("a", "3"), manager="me")
        assert await read() == "3"
        await cluster.delete(CONFIG_MAP, "a", "shop")
        assert await read() is None
        api.streams.append(mute)


async def test_answer_of_another_kind_stays_out_of_the_cache() -> None:
    """A Scale, as some subresources answer, does not replace the object."""
    api = TinyApi()
    async with a_cluster(api) as cluster:
        api.put(CONFIG_MAP, "a", data={"v": "1"})
        scale = {"kind": "Scale", "metadata": {"name": "a", "namespace": "shop", "resourceVersion": "999"}}
        api.faults.append(fail(1, lambda: web.json_response(scale), only=lambda r: r.method == "PATCH"))
        await cluster.get(CONFIG_MAP, "shop", "a")
        answer = await cluster.patch(CONFIG_MAP, "a", "shop", {"spec": {"replicas": 1}}, subresource="scale")
        assert answer == scale
        assert "data" in await cluster.get(CONFIG_MAP, "shop", "a")


async def test_subscribers_hear_of_what_is_and_what_comes() -> None:
    """Every subscriber is told of existing objects and of changes, our own included, once each."""
    api = TinyApi()
    heard: list[tuple[str, str]] = []

    def listen(who: str) -> Any:
        return lambda old, new: heard.append((who, name_of(new or old)))

    api.put(CONFIG_MAP, "a", data={})
    async with running(api), client_of(api) as client:
        cluster = Cluster(client)
        cluster.subscribe(CONFIG_MAP, listen("early"))
        async with cluster:
            await eventually(lambda: cluster.is_synced(CONFIG_MAP))
            cluster.subscribe(CONFIG_MAP, listen("late"))
            await cluster.create(CONFIG_MAP, config("b"))
            api.put(CONFIG_MAP, "c", data={})
            await eventually(lambda: ("late", "c") in heard)
    assert [name for who, name in heard if who == "early"] == ["a", "b", "c"]
    assert [name for who, name in heard if who == "late"] == ["a", "b", "c"]


async def test_one_namespace() -> None:
    """A cluster limited to a namespace watches nothing cluster-wide but what has no namespace."""
    api = TinyApi()
    async with a_cluster(api, namespace="shop") as cluster:
        await cluster.list(CONFIG_MAP)
        await cluster.get(CONFIG_MAP, "shop", "a")
        await cluster.get(CONFIG_MAP, "ops", "a")
        await cluster.get(NODE, None, "sandbox")
        await cluster.create(CONFIG_MAP, {"metadata": {"name": "x", "namespace": "ops"}})
        assert await cluster.get(CONFIG_MAP, "ops", "x") is not None
        lists = {seen.path for seen in api.seen if seen.method == "GET" and not seen.is_watch}
    assert lists == {
        "/api/v1/namespaces/shop/configmaps",
        "/api/v1/namespaces/ops/configmaps",
        "/api/v1/nodes",
    }


async def test_slim_by_kind() -> None:
    """For a kind, only the part that matters is kept."""
    api = TinyApi()
    slim = {CONFIG_MAP: lambda obj: {"metadata": obj["metadata"]}}
    async with a_cluster(api, slim=slim) as cluster:
        api.put(CONFIG_MAP, "a", data={"v": "big"})
        api.put(SERVICE, "s", data={"v": "kept"})
        assert "data" not in await cluster.get(CONFIG_MAP, "shop", "a")
        assert "data" in await cluster.get(SERVICE, "shop", "s")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: refuse(404, "NotFound", "the server could not find the requested resource"), KindMissing),
        (lambda: refuse(403, "Forbidden", "no"), Forbidden),
    ],
)
@pytest.mark.looptime
async def test_kinds_that_cannot_be_read(answer: Any, error: type[KubeError], looptime: float) -> None:
    """A kind without CRD, or without permission, is an error of every read, at once; other kinds go on."""
    api = TinyApi()
    async with a_cluster(api) as cluster:
        api.faults.append(fail(10**6, answer, only=lambda r: "leases" in r.path))
        for _ in range(3):
            with pytest.raises(error, match="list Lease"):
                await cluster.get(LEASE, "shop", "a")
        assert await cluster.get(CONFIG_MAP, "shop", "a") is None
        assert float(looptime) < 1


@pytest.mark.looptime
async def test_server_that_is_away_at_the_start(looptime: float) -> None:
    """A read that cannot be answered for half a minute ends with the reason; a later one works."""
    api = TinyApi()
    async with a_cluster(api) as cluster:
        fault = fail(10**6, lambda: refuse(500, "", "etcd is away"))
        api.faults.append(fault)
        with pytest.raises(KubeError, match="list ConfigMap: etcd is away"):
            await cluster.get(CONFIG_MAP, "shop", "a")
        assert 30 <= float(looptime) < 31
        api.faults.clear()
        assert await cluster.get(CONFIG_MAP, "shop", "a") is None


@pytest.mark.looptime
async def test_server_that_never_answers_at_the_start() -> None:
    """Even without any answer a first read ends."""
    api = TinyApi()

    async def hang() -> Any:
        await asyncio.sleep(10**6)

    async with a_cluster(api) as cluster:
        api.faults.append(lambda request: hang())
        with pytest.raises(Unreachable):
            await cluster.get(CONFIG_MAP, "shop", "a")


async def test_leaving_ends_all_watches() -> None:
    """After the block no task and no watch is left."""
    api = TinyApi()
    async with running(api), client_of(api) as client:
        async with Cluster(client) as cluster:
            await cluster.get(CONFIG_MAP, "shop", "a")
            await cluster.get(SERVICE, "shop", "a")
            await eventually(lambda: len(api.streams) == 2)
        await eventually(lambda: not api.streams)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("informer")]


async def test_error_of_the_block_comes_through() -> None:
    """An exception inside the block is what the caller sees."""

    async def owner() -> None:
        async with a_cluster(TinyApi()) as cluster:
            await cluster.get(CONFIG_MAP, "shop", "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await owner()


async def test_cancellation_of_the_block_comes_through() -> None:
    """A cancelled owner ends its informers and stays cancelled."""
    api = TinyApi()

    async def owner() -> None:
        async with a_cluster(api) as cluster:
            await cluster.get(CONFIG_MAP, "shop", "a")
            await asyncio.Event().wait()

    task = asyncio.create_task(owner())
    await eventually(lambda: api.streams)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_problems_by_kind() -> None:
    """Which caches cannot be trusted just now, and why."""
    async with a_cluster(TinyApi(missing={"leases"})) as cluster:
        await cluster.get(CONFIG_MAP, "shop", "a")
        with pytest.raises(KindMissing):
            await cluster.get(LEASE, "shop", "a")
        assert list(cluster.problems()) == ["leases.coordination.k8s.io"]


async def test_ensure_creates_changes_and_leaves_alone() -> None:
    """Create what is missing, patch what differs, send nothing otherwise, keep what others wrote."""
    api = TinyApi()
    async with a_cluster(api) as cluster:
        await ensure(cluster, CONFIG_MAP, config("a", labels={"app": "x"}))
        await cluster.patch(CONFIG_MAP, "a", "shop", {"metadata": {"labels": {"theirs": "1"}}})
        writes = len([seen for seen in api.seen if seen.method != "GET"])
        await ensure(cluster, CONFIG_MAP, config("a", labels={"app": "x"}))
        assert len([seen for seen in api.seen if seen.method != "GET"]) == writes
        changed = await ensure(cluster, CONFIG_MAP, config("a", "2"))
        assert has_labels(changed, {"app": "x", "theirs": "1"})
        assert api.seen[-1].body == b'{"data":{"v":"2"}}'


@pytest.mark.parametrize("race", ["created", "deleted"])
async def test_ensure_when_somebody_was_faster(race: str) -> None:
    """An object that came or went without the cache knowing is no error."""
    api = TinyApi()
    async with a_cluster(api) as cluster:
        if race == "deleted":
            api.put(CONFIG_MAP, "a", data={"v": "0"})
        await cluster.get(CONFIG_MAP, "shop", "a")
        await eventually(lambda: api.streams)
        mute = api.streams.pop()
        if race == "created":
            api.put(CONFIG_MAP, "a", data={"v": "0"})
        else:
            api.drop(CONFIG_MAP, "a")
        assert (await ensure(cluster, CONFIG_MAP, config("a", "2")))["data"] == {"v": "2"}
        api.streams.append(mute)


async def test_refusals_pass_through() -> None:
    """Writes raise what the client raises, and leave the cache alone."""
    api = TinyApi()
    async with a_cluster(api) as cluster:
        await cluster.create(CONFIG_MAP, config("a"))
        with pytest.raises(Conflict):
            await cluster.patch(CONFIG_MAP, "a", "shop", {"metadata": {"resourceVersion": "1"}})
        with pytest.raises(NotFound):
            await cluster.delete(CONFIG_MAP, "b", "shop")
        assert (await cluster.get(CONFIG_MAP, "shop", "a"))["data"] == {"v": "1"}
