"""The sandbox as a process of its own, in the background: started, waited for, found again."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from flagger import __version__
from flagger.sandbox.options import Options
from flagger.sandbox.state import Process, Record, read_record, record_path, running, stop_all, write_record

UP_WITHIN = {"builtin": 20.0, "envtest": 90.0}  # seconds, by engine
_POLL = 0.02  # seconds
_TAIL = 12  # lines of a log that are shown


class StartError(Exception):
    """A process did not come up; the text holds the end of its log."""


def first_record(process: Process, options: Options) -> Record:
    """What is known of a sandbox before it is ready."""
    return Record(sandbox=process, version=__version__, engine=options.engine, by_demo=options.by_demo)


async def start(options: Options) -> Record:
    """Start a sandbox and wait until it is ready; whatever used its state directory before is ended.

    Raises:
        StartError: it did not come up. Nothing of it is left running then, nor when this call is cancelled.
    """
    state_dir = options.state_dir
    await asyncio.to_thread(stop_all, state_dir)
    log = state_dir / "log" / "sandbox.log"
    process = spawn(log, ["sandbox", "serve", *options.arguments()])
    write_record(state_dir, first_record(process, options))
    record = None
    try:
        async with asyncio.timeout(UP_WITHIN[options.engine]):
            while record is None and process.alive:
                await asyncio.sleep(_POLL)
                record = running(state_dir, process)
    except TimeoutError as error:
        raise StartError(report("the sandbox", log)) from error
    finally:
        if record is None:
            await asyncio.to_thread(process.stop)
            record_path(state_dir).unlink(missing_ok=True)
    if record is None:
        raise StartError(report("the sandbox", log))
    return record


def spawn(log: Path, arguments: Sequence[str]) -> Process:
    """Run `flagger …` in a session of its own: a Ctrl-C in the terminal is not its to act on."""
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "flagger", *arguments],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Process.of(pid)


def report(what: str, log: Path) -> str:
    """That a process did not come up, with the end of its log."""
    lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
    return "\n".join([f"{what} did not come up; the end of {log}:", *(f"    {line}" for line in lines)])


def remember(state_dir: Path, **changes: object) -> Record:
    """Change the record of this directory's sandbox."""
    record = read_record(state_dir)
    if record is None:
        raise StartError(f"there is no sandbox in {state_dir}")
    record = replace(record, **changes)
    write_record(state_dir, record)
    return record
