"""Patches as pure functions, and the retry of conflicts."""

import asyncio
import copy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger.kube.apply import merge_patch, owned_patch, retry_on_conflict
from flagger.kube.errors import Conflict
from flagger.kube.objects import Object
from tests.kube.tiny_api import merged

LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def stored(value: Any) -> Any:
    """As an API server keeps it: members of objects are never null."""
    return merged({}, value) if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({}, {}, None),
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": {"b": 1}}, {"a": 7}, {"a": 7}),
        ({"a": 7}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
        ({}, {"a": {}}, {"a": {}}),
        ({"a": None}, {}, None),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({}, {"a": None}, None),
        ({}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"a": True}, {"a": 1}, None),
    ],
)
def test_merge_patch(old: Object, new: Object, patch: Object | None) -> None:
    """The difference and nothing else; None when there is none."""
    assert merge_patch(old, new) == patch


@given(OBJECTS, OBJECTS)
def test_merge_patch_leads_from_old_to_new(old: Object, new: Object) -> None:
    """Applied by the rules of RFC 7386, the patch gives the new object; inputs stay as they were."""
    old, new = stored(old), stored(new)
    before = copy.deepcopy((old, new))
    patch = merge_patch(old, new)
    assert (merged(old, patch) if patch is not None else old) == new
    assert (old, new) == before
    assert (patch is None) == (old == new)


@pytest.mark.parametrize(
    ("live", "desired", "patch"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, None),
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3}),
        ({"s": {"a": 1, "b": 2}}, {"s": {"a": 5}}, {"s": {"a": 5}}),
        ({"s": {"b": 2}}, {"s": {"b": None, "c": None}}, {"s": {"b": None}}),
        ({}, {"s": {"a": 1, "b": None}}, {"s": {"a": 1}}),
        ({"l": [1, 2]}, {"l": [2]}, {"l": [2]}),
    ],
)
def test_owned_patch(live: Object, desired: Object, patch: Object | None) -> None:
    """Only what is mentioned is compared; a None asks for removal; lists count as a whole."""
    assert owned_patch(live, desired) == patch


@given(OBJECTS, OBJECTS)
def test_owned_patch_is_done_after_one_application(live: Object, desired: Object) -> None:
    """Applied once there is nothing left to do, and what was not mentioned is as before."""
    live = stored(live)
    patch = owned_patch(live, desired)
    after = merged(live, patch) if patch is not None else live
    assert owned_patch(after, desired) is None
    assert {key: live[key] for key in live.keys() - desired.keys()} == {
        key: after[key] for key in after.keys() - desired.keys()
    }


@pytest.mark.looptime
@pytest.mark.parametrize(("conflicts", "attempts"), [(0, 1), (3, 4), (9, 5)])
async def test_conflicts_are_retried_a_few_times(conflicts: int, attempts: int) -> None:
    """Five attempts, ever further apart; the last conflict is the caller's."""
    calls: list[float] = []

    async def attempt() -> str:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) <= conflicts:
            raise Conflict(409, "Conflict", "modified")
        return "done"

    if conflicts < 5:
        assert await retry_on_conflict(attempt) == "done"
    else:
        with pytest.raises(Conflict):
            await retry_on_conflict(attempt)
    assert len(calls) == attempts
    assert all(after > before for before, after in pairwise(calls))
