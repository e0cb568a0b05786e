"""The store: order, history, snapshots of the past."""

from typing import Any

import pytest

from flagger.sandbox.apiserver.store import Change, ForgottenError, Store

Object = dict[str, Any]


def an_object(name: str, namespace: str = "shop", **content: Any) -> Object:
    """An object of no kind in particular."""
    return {
        "kind": "Thing",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace},
        **content,
    }


def a_store(history: int = 100) -> Store:
    """An empty store that keeps one field for selection."""
    return Store(lambda storage: ("spec.node",), history=history)


def names(store: Store, *arguments: Any) -> list[str]:
    """The names of the things in a store."""
    return ["/".join(entry.key) for entry in store.entries("things", *arguments)]


def test_order_and_namespaces() -> None:
    """Objects come in the order of namespace and name; a namespace is exactly that one."""
    store = a_store()
    for namespace, name in (("b", "z"), ("a", "b"), ("a-b", "a"), ("a", "a")):
        store.put("things", an_object(name, namespace))

    assert names(store) == ["a/a", "a/b", "a-b/a", "b/z"]
    assert names(store, "a") == ["a/a", "a/b"]
    assert names(store, "none") == []
    assert store.entries("others") == []


def test_every_write_has_its_revision() -> None:
    """Each write, of whatever storage, is one revision further, and is told to the listeners in order."""
    store, seen = a_store(), list[Change]()
    store.listeners.append(seen.append)

    first = store.put("things", an_object("x", spec={"node": "n1"}))
    second = store.put("others", an_object("x"))
    last = store.remove("things", first.key)

    assert [first.revision, second.revision, last.revision] == [1, 2, 3] == [one.revision for one in seen]
    assert first.fields == {"spec.node": "n1"}
    assert [(one.before is None, one.gone) for one in seen] == [(True, False), (True, False), (False, True)]
    assert last.load()["metadata"]["resourceVersion"] == "3"
    assert seen[-1].before == first


def test_changes_since() -> None:
    """The changes of one storage after a revision, oldest first."""
    store = a_store()
    for index in range(6):
        store.put("things" if index % 2 else "others", an_object(f"x{index}"))

    assert [change.revision for change in store.since(2, "things")] == [4, 6]
    assert store.since(6, "things") == []


def test_history_is_bounded() -> None:
    """What is older than the history is forgotten, not guessed."""
    store = a_store(history=3)
    for index in range(5):
        store.put("things", an_object(f"x{index}"))

    assert [change.revision for change in store.since(2, "things")] == [3, 4, 5]
    with pytest.raises(ForgottenError):
        store.since(1, "things")


def test_the_past_can_be_read() -> None:
    """A list as of a revision has what was there then, in the state of then."""
    store = a_store()
    store.put("things", an_object("a", n=1))
    store.put("things", an_object("b", n=1))
    then = store.revision
    store.put("things", an_object("a", n=2))
    store.put("things", an_object("c", n=1))
    store.remove("things", ("shop", "b"))
    store.put("things", an_object("b", n=3))

    past = store.entries_at(then, "things", "shop")

    assert [(entry.key[1], entry.load()["n"]) for entry in past] == [("a", 1), ("b", 1)]
    assert names(store, "shop") == ["shop/a", "shop/b", "shop/c"]


def test_reading_anew_is_no_write() -> None:
    """A changed schema changes what is read, without a revision or a change."""
    store = a_store()
    entry = store.put("things", an_object("a", n=1))

    store.reread("things", lambda obj: obj | {"n": 2})

    assert store.revision == entry.revision
    found = store.get("things", entry.key)
    assert found is not None
    assert (found.load()["n"], found.revision) == (2, entry.revision)


def test_a_restored_state_has_no_past() -> None:
    """After a restart nothing before it is remembered."""
    store, other = a_store(), a_store()
    store.put("things", an_object("a"))

    other.restore(1001, (("things", entry) for entry in store.entries("things")))

    assert names(other) == ["shop/a"]
    assert other.put("things", an_object("b")).revision == 1002
    with pytest.raises(ForgottenError):
        other.since(1000, "things")
