"""Log lines: one JSON object (or a console line) each, on stderr, under upstream's keys.

`level`, `ts`, `caller`, `msg`, then the facts, then `stacktrace`: users follow a rollout with `jq .msg`.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import PurePath

import msgspec
import structlog
from structlog.processors import CallsiteParameter, CallsiteParameterAdder
from structlog.typing import EventDict, WrappedLogger

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "fatal": 50, "panic": 50}
_NAMES = {"warning": "warn", "exception": "error", "critical": "fatal"}


def configure_logs(level: str, encoding: str) -> None:
    """Set up logging for the process, that of libraries too; an unknown level means info."""
    threshold = _LEVELS.get(level, 20)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            CallsiteParameterAdder({CallsiteParameter.PATHNAME, CallsiteParameter.LINENO}),
            _arranged,
            _json if encoding == "json" else _console,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[_Forward()], force=True)


class _Forward(logging.Handler):
    """Sends what libraries log the same way as our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def _arranged(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The parts of a line in their order, under upstream's names."""
    level, text = event.pop("level"), event.pop("event")
    path, line = PurePath(event.pop("pathname")), event.pop("lineno")
    stack = event.pop("exception", None)
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "level": _NAMES.get(level, level),
        "ts": moment,
        **({"logger": event.pop("logger")} if "logger" in event else {}),
        "caller": f"{path.parent.name}/{path.name}:{line}",
        "msg": text,
        **event,
        **({"stacktrace": stack} if stack else {}),
    }


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _console(_: WrappedLogger, __: str, event: EventDict) -> str:
    """The same parts, separated by tabs; the facts as JSON."""
    heads = [str(event.pop(name)) for name in ("ts", "level", "logger", "caller", "msg") if name in event]
    stack = event.pop("stacktrace", "")
    facts = msgspec.json.encode(event, enc_hook=str).decode() if event else ""
    return "\t".join(filter(None, (*heads, facts))) + (f"\n{stack}" if stack else "")
