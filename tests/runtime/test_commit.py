"""The only writer of the status: what it sends, and what it does when somebody else writes too."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from flagger.api.canary import Canary
from flagger.api.phases import Phase
from flagger.api.status import RunRecord
from flagger.kube.errors import Conflict
from flagger.kube.objects import Object, annotations_of
from flagger.runtime.commit import RUN_ANNOTATION, CanaryGone, commit, run_of
from flagger.runtime.kinds import CANARY
from flagger.runtime.snapshot import read
from tests.fakes.cluster import Lab, a_canary, a_lab, the_definitions

NOW = datetime(2030, 1, 5, 10, 0, tzinfo=UTC)
RUN = RunRecord(number=3, revision="v1-abc", started=NOW, approved=True)


async def stored(lab: Lab, **status: Any) -> Object:
    """A stored Canary in mid-run."""
    await lab.add(a_canary())
    body = {
        "status": {"phase": "Progressing", "canaryWeight": 10, "failedChecks": 0, "iterations": 0, **status}
    }
    return await lab.change(CANARY, body, subresource="status")


async def written(lab: Lab, base: Object, **changes: Any) -> Object:
    """Commit some changes of the status; returns the bodies that were sent."""
    lab.sent.clear()
    canary = read(base)
    await commit(lab.cluster, base, canary, replace(canary.status, **changes))
    return [msgspec.json.decode(request.body) for request in lab.sent if request.body]


async def test_only_what_changed_is_sent(lab: Lab) -> None:
    """One patch with the fields that differ, at the version that was read."""
    base = await stored(lab)

    assert await written(lab, base, canary_weight=20, last_transition_time=NOW) == [
        {
            "metadata": {"resourceVersion": base["metadata"]["resourceVersion"]},
            "status": {"canaryWeight": 20, "lastTransitionTime": "2030-01-05T10:00:00Z"},
        }
    ]


async def test_nothing_is_sent_when_nothing_changed(lab: Lab) -> None:
    """An idle tick writes nothing."""
    assert await written(lab, await stored(lab)) == []


async def test_the_first_status_is_complete(lab: Lab) -> None:
    """Counters are there from the beginning, even at zero: printed columns and scripts read them."""
    base = await lab.add(a_canary())

    (body,) = await written(lab, base, phase=Phase.INITIALIZING)

    assert body["status"] == {"phase": "Initializing", "canaryWeight": 0, "failedChecks": 0, "iterations": 0}


async def test_no_phase_is_no_empty_phase(lab: Lab) -> None:
    """A Canary that is refused at first sight has conditions and no phase; an empty one is null to some servers."""
    base = await lab.add(a_canary())

    (body,) = await written(lab, base, last_applied_spec="x")

    assert "phase" not in body["status"]


async def test_what_is_gone_is_removed(lab: Lab) -> None:
    """A map loses entries, a text that says nothing any more goes."""
    base = await stored(lab, trackedConfigs={"configmap/a": "1", "configmap/b": "2"}, lastAppliedSpec="x")

    (body,) = await written(lab, base, tracked_configs={"configmap/b": "3"}, last_applied_spec="")

    assert body["status"] == {
        "trackedConfigs": {"configmap/a": None, "configmap/b": "3"},
        "lastAppliedSpec": None,
    }


async def test_somebody_changes_the_spec_meanwhile(lab: Lab) -> None:
    """The tick began on older settings, which is no reason to lose what it did."""
    base = await stored(lab)
    await lab.change(CANARY, {"spec": {"analysis": {"threshold": 7}}})

    await written(lab, base, canary_weight=20)

    after = await lab.get(CANARY)
    assert (after["status"]["canaryWeight"], after["spec"]["analysis"]["threshold"]) == (20, 7)
    assert lab.reads() == ["GET canaries/checkout"]


async def test_somebody_writes_the_status_meanwhile(lab: Lab) -> None:
    """Two writers of one status: what was decided rests on something that is no longer so."""
    base = await stored(lab)
    await lab.change(CANARY, {"status": {"phase": "Failed"}}, subresource="status")

    with pytest.raises(Conflict, match="the status of shop/checkout was written by somebody else"):
        await written(lab, base, canary_weight=20)

    assert (await lab.get(CANARY))["status"]["canaryWeight"] == 10


async def test_the_canary_is_deleted_meanwhile(lab: Lab) -> None:
    """There is nobody left to tell."""
    base = await stored(lab)
    await lab.remove(CANARY)

    with pytest.raises(CanaryGone, match="shop/checkout was deleted during its tick"):
        await written(lab, base, canary_weight=20)


async def test_the_canary_is_made_again_meanwhile(lab: Lab) -> None:
    """A namesake begins its own life, with a status of its own."""
    base = await lab.add(a_canary())
    await lab.remove(CANARY)
    await lab.add(a_canary())

    with pytest.raises(CanaryGone, match="made again"):
        await written(lab, base, phase=Phase.INITIALIZED)

    assert "status" not in await lab.get(CANARY)


async def test_the_record_of_a_run(lab: Lab) -> None:
    """It is part of the status, and read from there."""
    base = await stored(lab)

    bodies = await written(lab, base, run=RUN)

    after = await lab.get(CANARY)
    assert len(bodies) == 1
    assert read(after).status.run == RUN
    assert RUN_ANNOTATION not in annotations_of(after)


@pytest.fixture
async def old_lab() -> AsyncIterator[Lab]:
    """A cluster whose Canary CRD is upstream's: it knows no `status.run` and drops it."""
    definitions = copy.deepcopy(the_definitions())
    for definition in definitions:
        for version in definition["spec"]["versions"]:
            status = version["schema"]["openAPIV3Schema"]["properties"].get("status", {})
            status.get("properties", {}).pop("run", None)
    async with a_lab(definitions) as found:
        yield found


async def test_the_record_where_the_crd_drops_it(old_lab: Lab) -> None:
    """Then it is kept in an annotation, by one more write, and only when it changed."""
    base = await stored(old_lab)

    assert len(await written(old_lab, base, run=RUN)) == 2

    after = await old_lab.get(CANARY)
    assert "run" not in after["status"]
    assert read(after).status.run == RUN
    assert await written(old_lab, after) == []
    assert len(await written(old_lab, after, canary_weight=30)) == 1
    again = await old_lab.get(CANARY)
    assert len(await written(old_lab, again, run=replace(RUN, number=4))) == 2
    assert json.loads(annotations_of(await old_lab.get(CANARY))[RUN_ANNOTATION])["number"] == 4


@pytest.mark.parametrize("text", ["", "{", "[]", '{"number": "three"}', "null"])
def test_a_damaged_record_is_as_good_as_none(text: str) -> None:
    """Somebody edited the annotation: the Canary goes on without it."""
    obj = a_canary()
    obj["metadata"]["annotations"] = {RUN_ANNOTATION: text}

    assert run_of(obj) is None
    assert isinstance(read(obj), Canary)
