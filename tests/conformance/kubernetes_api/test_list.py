"""Lists: selectors, pages, revisions."""

import asyncio
from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map, pod, widget
from tests.conformance.kubernetes_api.servers import Api

Object = dict[str, Any]
OBJECTS: dict[str, dict[str, str]] = {
    "a": {"tier": "web", "n": "1"},
    "b": {"tier": "db", "n": "5"},
    "c": {"tier": "web", "env": "prod"},
    "d": {},
}


@pytest.fixture
async def labelled(api: Api) -> str:
    """The path of a collection with the objects above, besides whatever the server puts there."""
    for name, labels in OBJECTS.items():
        await api.create("configmaps", config_map(name, labels=labels))
    return api.path("configmaps")


def names(body: Object) -> list[str]:
    """The names of a list, without what belongs to every namespace."""
    found = [item["metadata"]["name"] for item in body["items"]]
    return [name for name in found if name != "kube-root-ca.crt"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("tier=web", "ac"),
        ("tier==web", "ac"),
        ("tier!=web", "bd"),
        ("tier in (web, db)", "abc"),
        ("tier notin (web)", "bd"),
        ("tier", "abc"),
        ("!tier", "d"),
        ("n>2", "b"),
        ("n<2", "a"),
        ("tier=web,env", "c"),
        ("tier = web , !env", "a"),
        ("tier in (db),n=5", "b"),
        ("tier=", ""),
        ("", "abcd"),
    ],
)
async def test_label_selectors(api: Api, labelled: str, selector: str, expected: str) -> None:
    """What a label selector selects."""
    body = (await api.get(labelled, params={"labelSelector": selector})).ok()

    assert "".join(names(body)) == expected


@pytest.mark.parametrize(
    "selector", ["n in 1", "a=b=c", "tier=web,", "tier in (a", "=x", "a=-x", "n>x", "a b"]
)
async def test_bad_label_selectors(api: Api, selector: str) -> None:
    """What cannot be parsed is 400."""
    (await api.get(api.path("configmaps"), params={"labelSelector": selector})).failed(400, "BadRequest")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=a", "a"),
        ("metadata.name==a,metadata.name=a", "a"),
        ("metadata.name=a,metadata.name=b", ""),
        ("metadata.name!=a,metadata.name!=b", "cd"),
    ],
)
async def test_field_selectors(api: Api, labelled: str, selector: str, expected: str) -> None:
    """Every kind can be selected by name."""
    assert "".join(names((await api.get(labelled, params={"fieldSelector": selector})).ok())) == expected


async def test_field_selectors_with_labels_and_namespace(api: Api, labelled: str) -> None:
    """Selectors add up, and work over all namespaces."""
    params = {"fieldSelector": f"metadata.namespace={api.namespace}", "labelSelector": "tier=web"}

    assert names((await api.get("/api/v1/configmaps", params=params)).ok()) == ["a", "c"]


@pytest.mark.parametrize("selector", ["data.a=1", "status.replicas=0", "metadata.name>a"])
async def test_bad_field_selectors(api: Api, selector: str) -> None:
    """A field that the kind cannot be selected by is 400."""
    (await api.get(api.path("configmaps"), params={"fieldSelector": selector})).failed(400, "BadRequest")


async def test_pods_by_node_and_phase(api: Api) -> None:
    """Pods can be selected by where they run and how they are."""
    for name in ("p", "q"):
        await api.create("pods", pod(name))
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "node-a"}}
    await api.post(api.path("pods", "p/binding"), binding)
    await api.patch(api.path("pods", "p/status"), {"status": {"phase": "Running"}})

    for selector, expected in (
        ("spec.nodeName=node-a", ["p"]),
        ("spec.nodeName=", ["q"]),
        ("status.phase=Running", ["p"]),
        ("status.phase!=Succeeded,status.phase!=Running", ["q"]),
    ):
        found = (await api.get(api.path("pods"), params={"fieldSelector": selector})).ok()
        assert names(found) == expected, selector


async def test_events_by_what_they_are_about(api: Api) -> None:
    """Events can be selected by the object involved and the reason."""
    involved = {"kind": "Pod", "name": "p", "namespace": api.namespace, "uid": "u-1", "apiVersion": "v1"}
    for name, reason in (("e1", "Started"), ("e2", "Killed")):
        event = {"metadata": {"name": name}, "involvedObject": involved, "reason": reason, "type": "Normal"}
        await api.create("events", event)

    for selector, expected in (
        ("involvedObject.kind=Pod,involvedObject.name=p,involvedObject.uid=u-1", ["e1", "e2"]),
        (f"involvedObject.namespace={api.namespace},reason=Killed", ["e2"]),
        ("type=Warning", []),
    ):
        assert names((await api.get(api.path("events"), params={"fieldSelector": selector})).ok()) == expected


async def test_events_in_both_groups(api: Api) -> None:
    """An event of one group is the same event in the other."""
    api.server.needs(19)
    involved = {"kind": "Pod", "name": "p", "namespace": api.namespace}
    event = {"metadata": {"name": "e"}, "involvedObject": involved, "message": "hello", "type": "Normal"}
    await api.create("events", event)
    new = "events.k8s.io/v1"

    shown = (await api.get(api.path("events", "e", group=new))).ok()
    assert (shown["note"], shown["regarding"]["name"]) == ("hello", "p")
    params = {"fieldSelector": "regarding.name=p"}
    assert names((await api.get(api.path("events", group=new), params=params)).ok()) == ["e"]
    (await api.delete(api.path("events", "e", group=new))).ok()
    assert (await api.get(api.path("events", "e"))).status == 404

    reported = {"reportingController": "c", "reportingInstance": "c-1", "action": "Act", "reason": "Why"}
    times = {"eventTime": "2026-01-02T03:04:05.000000Z", "type": "Normal"}
    newer = {"metadata": {"name": "n"}, "regarding": involved, "note": "hi", **reported, **times}
    await api.create("events", newer, group=new)
    shown = (await api.get(api.path("events", "n"))).ok()
    assert (shown["message"], shown["involvedObject"]["name"]) == ("hi", "p")
    assert shown["reportingComponent"] == "c"


async def test_list_items_of_built_in_kinds(api: Api, labelled: str) -> None:
    """Their kind is that of the list, and is not repeated."""
    body = (await api.get(labelled)).ok()

    assert (body["kind"], body["apiVersion"]) == ("ConfigMapList", "v1")
    assert not any("kind" in item or "apiVersion" in item for item in body["items"])
    revision = int(body["metadata"]["resourceVersion"])
    assert all(int(item["metadata"]["resourceVersion"]) <= revision for item in body["items"])


async def test_list_items_of_custom_resources(api: Api, widgets: str) -> None:
    """They carry kind and apiVersion."""
    await api.create("widgets", widget(widgets.removesuffix("/v1")), group=widgets)

    [item] = (await api.get(api.path("widgets", group=widgets))).ok()["items"]

    assert (item["kind"], item["apiVersion"]) == ("Widget", widgets)


async def test_pages(api: Api) -> None:
    """Pages show each object once, in the state of the first page, and count what remains."""
    for index in range(7):
        await api.create("secrets", {"metadata": {"name": f"s{index}"}})
    path, seen, params = api.path("secrets"), [], {"limit": "3"}
    first = (await api.get(path, params=params)).ok()["metadata"]
    assert first["remainingItemCount"] == 4
    versions = set()

    while True:
        body = (await api.get(path, params=params)).ok()
        seen += names(body)
        versions.add(body["metadata"]["resourceVersion"])
        token = body["metadata"].get("continue")
        if not token:
            break
        await api.create("secrets", {"metadata": {"name": f"s1{len(seen)}"}})
        await api.delete(api.path("secrets", "s6"))
        params = {"limit": "3", "continue": token}

    assert seen == [f"s{index}" for index in range(7)]
    assert len(versions) == 1


async def test_pages_with_a_selector(api: Api, labelled: str) -> None:
    """With a selector nobody counts what remains."""
    metadata = (await api.get(labelled, params={"limit": "1", "labelSelector": "tier"})).ok()["metadata"]

    assert metadata["continue"]
    assert "remainingItemCount" not in metadata


async def test_version_zero_is_not_paged(api: Api, labelled: str) -> None:
    """resourceVersion=0 with a limit returns everything: informers start that way."""
    async with asyncio.timeout(10):  # version 0 may be answered from a cache that is a moment behind
        while True:
            body = (await api.get(labelled, params={"limit": "1", "resourceVersion": "0"})).ok()
            if len(body["items"]) in (1, 4):
                break

    if api.server.since(31) and len(body["items"]) == 1:
        pytest.skip("newer servers page from their cache")
    assert sorted(names(body)) == ["a", "b", "c", "d"]
    assert not body["metadata"].get("continue")


async def test_bad_tokens(api: Api) -> None:
    """A malformed continue token is 400, and so is one together with a version."""
    path = api.path("configmaps")

    (await api.get(path, params={"limit": "3", "continue": "garbage"})).failed(400, "BadRequest")
    for name in "ab":
        await api.create("configmaps", config_map(name))
    token = (await api.get(path, params={"limit": "1"})).ok()["metadata"]["continue"]
    params = {"limit": "3", "continue": token, "resourceVersion": "5"}
    (await api.get(path, params=params)).failed(400, "BadRequest")


async def test_exact_versions(api: Api) -> None:
    """Exact shows the past; NotOlderThan at least that version."""
    first = await api.create("configmaps", config_map("a"))
    await api.create("configmaps", config_map("b"))
    version = first["metadata"]["resourceVersion"]
    path = api.path("configmaps")

    params = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
    body = (await api.get(path, params=params)).ok()
    assert names(body) == ["a"]
    assert body["metadata"]["resourceVersion"] == version
    params = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
    assert sorted(names((await api.get(path, params=params)).ok())) == ["a", "b"]


@pytest.mark.parametrize(
    "params",
    [{"resourceVersionMatch": "Exact", "resourceVersion": "0"}, {"resourceVersionMatch": "NotOlderThan"}],
    ids=["exactly zero", "no version"],
)
async def test_contradictory_versions(api: Api, params: dict[str, str]) -> None:
    """`resourceVersionMatch` needs a version, and Exact one other than 0."""
    (await api.get(api.path("configmaps"), params=params)).failed(422, "Invalid")


async def test_versions_from_the_future(api: Api) -> None:
    """A list that cannot be fresh enough is 504 with Retry-After."""
    future = str(int(await api.revision()) + 100_000)

    reply = await api.get(api.path("configmaps"), params={"resourceVersion": future})

    body = reply.failed(504, "Timeout")
    assert "Too large resource version" in body["message"]
    assert reply.headers["Retry-After"] == "1"
    assert reply.causes[0]["reason"] == "ResourceVersionTooLarge"


async def test_one_counter_for_all_kinds(api: Api) -> None:
    """Versions grow strictly over all kinds."""
    versions = []
    for index in range(3):
        for plural in ("configmaps", "secrets"):
            made = await api.create(plural, {"metadata": {"name": f"x{index}"}})
            versions.append(int(made["metadata"]["resourceVersion"]))

    assert versions == sorted(set(versions))


async def test_get_is_not_a_watch(api: Api) -> None:
    """watch=1 on a single object returns the object."""
    made = await api.create("configmaps", config_map())

    assert (await api.get(api.path("configmaps", "settings"), params={"watch": "1"})).ok() == made
