"""The cache against news that comes twice, late, and from two sides."""

import random
from itertools import pairwise

import pytest

from flagger.kube.cache import Cache
from flagger.kube.objects import Object, is_newer, resource_version_of
from flagger.kube.watch import WatchEvent


def obj(version: object, *, name: str = "a", uid: str = "u1") -> Object:
    """A state of an object, told by its version."""
    return {"metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version)}}


def a_cache(*objects: Object, at: int = 100) -> tuple[Cache, list[tuple[str, str]]]:
    """A cache after a list at version `at`, and the changes told from then on, as versions."""
    told: list[tuple[str, str]] = []
    cache = Cache(lambda old, new: told.append((seen(old), seen(new))))
    cache.replace(objects, str(at))
    told.clear()
    return cache, told


def seen(state: Object | None) -> str:
    return "-" if state is None else resource_version_of(state)


def event(change: str, version: object, **more: str) -> WatchEvent:
    return WatchEvent(change, obj(version, **more))


def cached(cache: Cache) -> str:
    return seen(cache.get("shop", "a"))


@pytest.mark.parametrize(
    ("version", "than", "newer", "newer_if_sure"),
    [
        pytest.param("10", "9", True, True, id="numbers, not text"),
        pytest.param("9", "10", False, False, id="older"),
        pytest.param("9", "9", False, False, id="same"),
        pytest.param("1", "", True, False, id="nothing known yet"),
        pytest.param("b7", "a1", True, False, id="opaque versions cannot be ordered"),
        pytest.param("a1", "a1", False, False, id="same opaque version"),
    ],
)
def test_order_of_versions(version: str, than: str, newer: bool, newer_if_sure: bool) -> None:
    """Decimal versions are ordered as integers; others are told apart only."""
    assert is_newer(version, than) is newer
    assert is_newer(version, than, unsure=False) is newer_if_sure


def test_own_write_is_read_at_once() -> None:
    """What a write returned is what a read gives, before the watch says so; and it is told once."""
    cache, told = a_cache(obj(90))
    cache.learn(obj(105))
    assert cached(cache) == "105"
    cache.observe(event("MODIFIED", 105))
    assert told == [("90", "105")]


def test_stale_watch_events_do_not_undo_an_own_write() -> None:
    """Changes made before ours, arriving after it, are ignored."""
    cache, told = a_cache(obj(90))
    cache.learn(obj(105))
    for version in (101, 103):
        cache.observe(event("MODIFIED", version))
    assert cached(cache) == "105"
    cache.observe(event("MODIFIED", 106))
    assert told == [("90", "105"), ("105", "106")]


def test_late_answer_to_a_write_is_ignored() -> None:
    """An answer that arrives after the watch has gone past it changes nothing."""
    cache, told = a_cache(obj(90))
    cache.observe(event("MODIFIED", 106))
    cache.learn(obj(105))
    assert told == [("90", "106")]


def test_late_answer_does_not_raise_the_dead() -> None:
    """The watch told of our object's deletion before the answer to our last write came."""
    cache, told = a_cache(obj(90))
    cache.observe(event("DELETED", 107))
    cache.learn(obj(105))
    assert cached(cache) == "-"
    assert told == [("90", "-")]


def test_bookmark_counts_as_knowing_better() -> None:
    """An answer older than a bookmark for an object that is not there: it has been deleted since."""
    cache, told = a_cache()
    cache.observe(WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "200"}}))
    cache.learn(obj(150))
    assert told == []


def test_own_deletion_is_not_undone_by_older_events() -> None:
    """After our deletion, older changes of the object are ignored; the deletion is told once."""
    cache, told = a_cache(obj(90))
    cache.forget("shop", "a", "u1")
    cache.observe(event("MODIFIED", 101))
    assert cached(cache) == "-"
    cache.observe(event("DELETED", 102))
    assert told == [("90", "-")]


def test_new_object_under_a_deleted_name() -> None:
    """A successor with the same name is another object, whoever made it and whatever comes first."""
    cache, told = a_cache(obj(90))
    cache.forget("shop", "a", "u1")
    cache.learn(obj(103, uid="u2"))
    cache.observe(event("MODIFIED", 101))
    cache.observe(event("DELETED", 102))
    assert cached(cache) == "103"
    assert told == [("90", "-"), ("-", "103")]


def test_deletion_of_another_than_meant() -> None:
    """A deletion learned late does not hit the successor."""
    cache, told = a_cache(obj(95, uid="u2"))
    cache.forget("shop", "a", "u1")
    assert told == []


def test_list_that_is_older_than_an_own_write() -> None:
    """A list under way during our writes does not undo them, hide what we made or revive what we deleted."""
    cache, told = a_cache(obj(90), obj(91, name="dead", uid="u9"))
    cache.learn(obj(105))
    cache.learn(obj(106, name="new", uid="u3"))
    cache.forget("shop", "dead", "u9")
    told.clear()
    cache.replace([obj(90), obj(91, name="dead", uid="u9")], "104")
    assert cached(cache) == "105"
    assert seen(cache.get("shop", "new")) == "106"
    assert cache.get("shop", "dead") is None
    assert told == []
    cache.observe(event("DELETED", 107, name="dead", uid="u9"))
    cache.replace([obj(105)], "110")
    assert told == [("106", "-")]


def test_list_from_a_younger_history() -> None:
    """When versions went backwards the server is another: only its list counts."""
    cache, told = a_cache(obj(5000), obj(4000, name="b"), at=6000)
    cache.learn(obj(7000))
    told.clear()
    cache.replace([obj(12, uid="u7")], "20")
    assert sorted(told) == [("4000", "-"), ("7000", "12")]


def test_changing_the_cache_while_reading_it() -> None:
    """A loop over the items is not disturbed by changes made in it."""
    cache, _ = a_cache(obj(1), obj(2, name="b", uid="u2"))
    for item in cache.items():
        cache.forget("shop", item["metadata"]["name"], item["metadata"]["uid"])
    assert list(cache.items()) == []


@pytest.mark.parametrize("seed", range(200))
def test_every_order_of_news_ends_in_the_truth(seed: int) -> None:
    """Watch events in order, answers to writes at any moment: in the end the cache is what the server has."""
    rng = random.Random(seed)
    state: Object | None = None
    events: list[WatchEvent] = []
    answers: list[Object] = []
    for version in range(101, 113):
        if state is not None and rng.random() < 0.3:
            gone = {**state["metadata"], "resourceVersion": str(version)}
            events.append(WatchEvent("DELETED", {"metadata": gone}))
            state = None
            continue
        uid = state["metadata"]["uid"] if state else f"u{version}"
        events.append(WatchEvent("MODIFIED" if state else "ADDED", obj(version, uid=uid)))
        state = obj(version, uid=uid)
        if rng.random() < 0.5:
            answers.append(state)
    cache, told = a_cache()
    while events or answers:
        source = rng.choice([queue for queue in (events, answers) if queue])
        news = source.pop(0)
        cache.observe(news) if isinstance(news, WatchEvent) else cache.learn(news)
    assert cached(cache) == seen(state)
    for (_, before), (after, _) in pairwise(told):
        assert before == after, "each change starts where the last one ended"
