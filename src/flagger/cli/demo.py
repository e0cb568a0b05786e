"""`flagger demo`: one good and one bad release on the sandbox; what `make demo` calls."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import click

from flagger.demo.narrator import narrator_for
from flagger.demo.play import Options, play
from flagger.sandbox.state import default_state_dir


@click.command()
@click.option(
    "--state-dir", type=click.Path(path_type=Path), default=default_state_dir, help="kubeconfig, logs, pids"
)
@click.option(
    "--engine", type=click.Choice(["builtin", "envtest"]), default="builtin", help="whose API server"
)
@click.option("--interval", default="2s", help="time between two analysis ticks")
@click.option("--keep/--no-keep", default=None, help="leave it running at the end; default: on a terminal")
@click.option("--plain", is_flag=True, help="plain lines, also on a terminal")
def command(state_dir: Path, engine: str, interval: str, keep: bool | None, plain: bool) -> None:
    """See one good and one bad release on the sandbox."""
    if keep is None:
        keep = sys.stdout.isatty() or os.environ.get("KEEP") == "1"
    if shutil.which("kubectl") is None:
        print("kubectl not found (optional): the demo works without it", file=sys.stderr)
    options = Options(state_dir=state_dir.absolute(), engine=engine, interval=interval, keep=keep)
    plain = plain or os.environ.get("TERM") == "dumb"
    sys.exit(asyncio.run(_until_interrupted(options, plain)))


async def _until_interrupted(options: Options, plain: bool) -> int:
    """Play; SIGINT and SIGTERM stop everything first and give 130."""
    task = asyncio.create_task(play(options, narrator_for(plain=plain)))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        print("\ndemo: interrupted, everything stopped", file=sys.stderr)
        return 130
