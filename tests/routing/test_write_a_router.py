"""The page about writing a router: its router keeps the promises that all routers keep."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from flagger.rollout.state import Split
from flagger.routing.base import RouteError
from flagger.routing.table import ROUTERS
from tests.fakes.cluster import Lab, a_lab, the_definitions
from tests.routing import test_conformance as suite
from tests.routing.examples import basket, live_of

PAGE = (Path(__file__).parents[2] / "docs/write-a-router.md").read_text()
MODULE = ModuleType("emissary")


def block(language: str) -> str:
    """The one block of code in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


exec(compile(block("python"), "docs/write-a-router.md", "exec"), MODULE.__dict__)


@pytest.fixture
async def lab(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    """A server with the page's definition, and a table with the page's router."""
    monkeypatch.setitem(ROUTERS, "emissary", MODULE.Emissary)  # type: ignore[arg-type]
    async with a_lab([*the_definitions(), yaml.safe_load(block("yaml"))]) as found:
        yield found


Promise = Callable[[Lab, str], Awaitable[None]]
PROMISES: list[Promise] = [
    suite.test_nothing_is_written_when_nothing_differs,
    suite.test_a_move_is_one_write,
    suite.test_drift_is_corrected_at_the_live_split,
    suite.test_metadata_of_others_survives,
    suite.test_an_object_that_was_there_is_used_but_not_adopted,
    suite.test_a_missing_object_is_said_and_made_again,
    suite.test_a_conflict_is_tried_again,
    suite.test_owner,
]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
async def test_keeps_the_promises(lab: Lab, promise: Promise) -> None:
    """The common suite passes."""
    await promise(lab, "emissary")


@pytest.mark.parametrize("split", suite.SPLITS, ids=str)
async def test_reads_back_what_it_wrote(lab: Lab, split: Split) -> None:
    """Every split is found again."""
    await suite.test_reads_back_what_it_wrote(lab, "emissary", split)


async def test_declares_what_it_makes(lab: Lab) -> None:
    """Kinds and places are complete, which is what wakes a Canary."""
    suite.test_declares_its_kinds("emissary")
    suite.test_places_of_all_it_makes("emissary")


def test_a_weight_that_is_missing() -> None:
    """It is no split of 100/0, and the message says why."""
    router, canary = MODULE.Emissary(), basket("emissary")
    (mapping, _) = router.desired(canary, Split(10), {})
    mapping["spec"]["weight"] = None

    with pytest.raises(RouteError, match=r"Mapping basket-canary\.shop has no spec\.weight"):
        router.split_of(canary, live_of(router, mapping))


def test_the_page_is_short() -> None:
    """A router is small enough to be read at once, and so is what there is to say about it."""
    assert len(PAGE.splitlines()) <= 120
