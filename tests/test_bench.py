"""The benchmarks' report: what is written down, what is marked, what stays; the measuring itself is not tested here."""

from __future__ import annotations

import importlib
import os
from dataclasses import replace

import pytest
from bench import machine
from bench.__main__ import BENCHMARKS, purpose
from bench.figures import Figure, Target, at_least, at_most, quantile, shown
from bench.processes import cpu_seconds, family, proportional, resident
from bench.report import Result, document, section, sections, table

FAST = Figure("tick", "ms", (3.0, 1.0, 2.0), at_most(2), "how")
SLOW = Figure("import", "ms", (400.0,), at_most(350))
RESULT = Result(name="core", text="The core.", when="today", seconds=1.0, others=0.0, figures=(FAST, SLOW))
ORDER = ("core", "demo")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_run(name: str) -> None:
    """Each has a `run` and a line that says what it measures."""
    assert callable(importlib.import_module(f"bench.{name}").run)
    assert purpose(name).endswith(".")


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        pytest.param(at_most(2), 2.0, True, id="at the ceiling"),
        pytest.param(at_most(2), 2.1, False, id="over the ceiling"),
        pytest.param(at_least(2), 2.0, True, id="at the floor"),
        pytest.param(at_least(2), 1.9, False, id="under the floor"),
    ],
)
def test_targets(target: Target, value: float, met: bool) -> None:
    """A figure is on the right side of its limit, or missed."""
    assert Figure("x", "s", (value,), target).missed is not met


def test_the_median_counts() -> None:
    """One bad run of three is no miss; the span shows it."""
    assert not FAST.missed
    assert FAST.span == "1 – 3"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.0313, "0.031"), (0.5, "0.50"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    """As many digits as matter."""
    assert shown(value) == text


def test_quantile_is_a_value_that_occurred() -> None:
    """The nearest value, also at the ends."""
    assert [quantile([3, 1, 2, 4], share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 3, 4, 4]


def test_missed_targets_are_marked() -> None:
    """In the table, in the section, and in the summary on top."""
    assert "<-- missed" in table(RESULT)
    assert "**400 ms, missed**" in section(RESULT)
    assert "1 of 2 targets are met. Missed: import." in document("", "a box", [RESULT], ORDER)


def test_other_sections_stay() -> None:
    """Measuring one thing anew leaves the others as they were, in the table's order."""
    before = document("", "a box", [replace(RESULT, name="demo"), RESULT], ORDER)

    after = document(before, "a box", [replace(RESULT, figures=(FAST,))], ORDER)

    assert list(sections(after)) == list(ORDER)
    assert sections(after)["demo"] == sections(before)["demo"]
    assert "import" not in sections(after)["core"]


def test_sections_of_another_machine_go() -> None:
    """Figures of two machines do not stand side by side."""
    before = document("", "a box", [replace(RESULT, name="demo")], ORDER)

    assert list(sections(document(before, "a faster box", [RESULT], ORDER))) == ["core"]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (replace(RESULT, figures=(), absent="no prometheus on PATH"), "not measured: no prometheus on PATH"),
        (replace(RESULT, figures=(), problem="ValueError: x"), "failed: ValueError: x"),
    ],
)
def test_what_is_missing_is_said(result: Result, text: str) -> None:
    """A benchmark without figures says why."""
    assert text in table(result)
    assert text in section(result)


def test_processes_are_read() -> None:
    """Memory, CPU time and the family of a process come from the system."""
    me = os.getpid()
    assert me in family(me)
    assert resident(me) >= proportional(me) > 1
    assert cpu_seconds(me) >= 0


def test_the_machine_has_no_name() -> None:
    """The description tells what compares, not whose machine it is."""
    text = machine.describe()
    assert f"{machine.cores()} cores" in text
    assert os.uname().nodename not in text
