"""Log lines, from a process of their own: logging is set up once per process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = """
import logging, sys
from pathlib import PurePosixPath
import structlog
from flagger.runtime.logs import configure_logs

configure_logs({level!r}, {encoding!r})
log = structlog.get_logger()
log.debug("a detail")
log.info("Advance checkout.shop canary weight 10", canary="checkout.shop", odd=PurePosixPath("/a"))
log.warning("hm")
try:
    raise ValueError("broken")
except ValueError:
    log.exception("tick failed", canary="checkout.shop")
log.critical("the end")
logging.getLogger("aiohttp.client").warning("%s connections left", 3)
logging.getLogger("aiohttp.client").info("not worth a line")
"""


def lines(level: str = "debug", encoding: str = "json") -> list[str]:
    """What a process with these settings writes to stderr."""
    script = SCRIPT.format(level=level, encoding=encoding)
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert answer.stdout == ""
    return answer.stderr.splitlines()


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    """The lines in JSON, with everything shown."""
    return [json.loads(line) for line in lines()]


def test_levels_and_messages(entries: list[dict[str, Any]]) -> None:
    """Under upstream's names of levels; libraries' warnings come the same way, their chatter doesn't."""
    assert [(entry["level"], entry["msg"]) for entry in entries] == [
        ("debug", "a detail"),
        ("info", "Advance checkout.shop canary weight 10"),
        ("warn", "hm"),
        ("error", "tick failed"),
        ("fatal", "the end"),
        ("warn", "3 connections left"),
    ]


def test_order_of_keys(entries: list[dict[str, Any]]) -> None:
    """The fixed ones first, then the facts, the stack trace last."""
    assert list(entries[1]) == ["level", "ts", "caller", "msg", "canary", "odd"]
    assert list(entries[3]) == ["level", "ts", "caller", "msg", "canary", "stacktrace"]
    assert list(entries[5]) == ["level", "ts", "logger", "caller", "msg"]
    assert entries[5]["logger"] == "aiohttp.client"


def test_stack_trace(entries: list[dict[str, Any]]) -> None:
    """Of what was not expected, in one line of the log."""
    assert entries[3]["stacktrace"].endswith("ValueError: broken")


def test_any_value_can_be_shown(entries: list[dict[str, Any]]) -> None:
    """What JSON doesn't know is written as text."""
    assert entries[1]["odd"] == "/a"


@pytest.mark.parametrize(
    ("level", "count"),
    [
        ("debug", 6),
        ("info", 5),
        ("warn", 4),
        ("warning", 4),
        ("error", 2),
        ("fatal", 1),
        ("panic", 1),
        ("odd", 5),
    ],
)
def test_threshold(level: str, count: int) -> None:
    """What is below it is not written; an unknown level means info."""
    assert len(lines(level)) == count


def test_console() -> None:
    """For people: the same parts with tabs between them, and stack traces as they are."""
    text = lines(encoding="console")

    moment, level, caller, message, facts = text[1].split("\t")
    assert (moment[-1], level, message) == ("Z", "info", "Advance checkout.shop canary weight 10")
    assert caller.rpartition(":")[2].isdecimal()
    assert json.loads(facts) == {"canary": "checkout.shop", "odd": "/a"}
    assert "ValueError: broken" in text
