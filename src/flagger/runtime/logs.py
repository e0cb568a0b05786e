"""Log lines: one JSON object (or a console line) each, on stderr, under upstream's keys."""

from __future__ import annotations

import logging
import sys

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40, "fatal": 50, "panic": 50}
_NAMES = {"warning": "warn", "exception": "error", "critical": "fatal"}


def configure_logs(level: str, encoding: str) -> None:
    """Set up logging for the process; an unknown level means info, as upstream has it."""
    threshold = _LEVELS.get(level, 20)
    render = _json if encoding == "json" else _console
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), stream=sys.stderr)


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """`level`, `ts`, `msg`, then the facts: users follow a rollout with `jq .msg`."""
    level = event.pop("level")
    line = {"level": _NAMES.get(level, level), "ts": event.pop("ts"), "msg": event.pop("event"), **event}
    return msgspec.json.encode(line, enc_hook=str).decode()


def _console(_: WrappedLogger, __: str, event: EventDict) -> str:
    level, moment, text = event.pop("level"), event.pop("ts"), event.pop("event")
    facts = msgspec.json.encode(event, enc_hook=str).decode() if event else ""
    return "\t".join(filter(None, (moment, _NAMES.get(level, level), text, facts)))
