"""`flagger demo`: one good and one bad release on the sandbox; what `make demo` calls."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from flagger.api.quantities import parse_duration
from flagger.cli.sandbox import engine_option, state_dir_option
from flagger.demo.acts import FAIL_EVERY
from flagger.demo.narrator import narrator_for
from flagger.demo.play import ENOUGH_CORES, Options, play

ENOUGH_MEMORY = 1 << 30  # bytes
INTERRUPTED = 130


@click.command()
@state_dir_option
@engine_option
@click.option(
    "--interval",
    callback=lambda _context, _option, text: _duration(text),
    default="2s",
    show_default=True,
    help="time between two analysis ticks, from 1s",
)
@click.option("--keep/--no-keep", default=None, help="leave it running at the end; default: on a terminal")
@click.option(
    "--fail-every",
    type=click.IntRange(min=0),
    default=FAIL_EVERY,
    show_default=True,
    help="how bad the bad release is: every so many requests fail",
)
@click.option("--plain", is_flag=True, help="plain lines, also on a terminal")
def command(
    state_dir: Path, engine: str, interval: str, keep: bool | None, fail_every: int, plain: bool
) -> None:
    """See one good and one bad release on the sandbox.

    Exit codes: 0 both ended as announced, 1 the sandbox did not come up, 3 an act ended otherwise, 130
    interrupted.
    """
    if keep is None:
        keep = sys.stdout.isatty() or os.environ.get("KEEP") == "1"
    options = Options(state_dir=state_dir, engine=engine, interval=interval, keep=keep, fail_every=fail_every)
    for remark in _remarks(state_dir):
        print(f"demo: {remark}", file=sys.stderr)
    sys.exit(asyncio.run(_until_interrupted(options, plain=plain)))


def _duration(text: str) -> str:
    """The text, if it reads as a duration."""
    try:
        parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return text


async def _until_interrupted(options: Options, *, plain: bool) -> int:
    """Play; SIGINT and SIGTERM stop everything first and give 130. Further ones change nothing."""
    task, loop = asyncio.create_task(play(options, narrator_for(plain=plain))), asyncio.get_running_loop()

    def interrupt() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        print("demo: interrupted, everything stopped", file=sys.stderr)
        return INTERRUPTED


def _remarks(state_dir: Path) -> Iterator[str]:
    """What of this machine makes the demo less than it could be."""
    if not state_dir.is_relative_to(Path.cwd()) and not os.access(Path.cwd(), os.W_OK):
        yield f"this folder can't be written, state goes to {state_dir}"
    if shutil.which("kubectl") is None:
        yield "kubectl not found (optional): the demo works without it"
    cores = os.cpu_count() or 1
    if cores < ENOUGH_CORES:
        yield f"only {cores} core: it may take minutes, and no time limits are kept to"
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if free < ENOUGH_MEMORY:
        yield f"only {free >> 20} MiB of memory are free: it may take minutes"
