"""`flagger sandbox`: a local cluster of processes, for trying things out; not for production."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import click

from flagger import __version__
from flagger.runtime.logs import configure_logs
from flagger.sandbox.state import (
    Record,
    default_state_dir,
    is_alive,
    read_record,
    record_path,
    stop_process,
    write_record,
)

UP_WITHIN = 60.0  # seconds
_TAIL = 15  # lines of the log that are shown when the sandbox doesn't come up

state_dir_option = click.option(
    "--state-dir", type=click.Path(path_type=Path), default=default_state_dir, help="kubeconfig, logs, pids"
)


@click.group()
def command() -> None:
    """Start, stop or ask for a local cluster of processes."""


@command.command()
@state_dir_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="keep the cluster's objects over a restart")
@click.option(
    "--engine", type=click.Choice(["builtin", "envtest"]), default="builtin", help="whose API server"
)
@click.option(
    "--metrics", type=click.Choice(["embedded", "prometheus"]), default="embedded", help="metrics store"
)
def up(state_dir: Path, data_dir: Path | None, engine: str, metrics: str) -> None:
    """Start it in the background and wait until it is ready."""
    known = read_record(state_dir)
    if known is not None and known.version == __version__:
        print(f"already up, pid {known.pid}")
        _show(known)
        return
    if known is not None:
        stop_process(known.pid)
    _show(start(state_dir, data_dir, engine, metrics))


@command.command()
@state_dir_option
def down(state_dir: Path) -> None:
    """Stop it, and the operator that was started with it."""
    known = read_record(state_dir)
    if known is None:
        print(f"no sandbox is running ({state_dir})")
        return
    for pid in filter(None, (known.operator, known.pid)):
        stop_process(pid)
    record_path(state_dir).unlink(missing_ok=True)
    print("sandbox stopped")


@command.command()
@state_dir_option
def status(state_dir: Path) -> None:
    """Print where its parts are; exit code 1 when it isn't running."""
    known = read_record(state_dir)
    if known is None:
        print(f"no sandbox is running ({state_dir}); start one:  flagger sandbox up")
        sys.exit(1)
    _show(known)


@command.command()
@state_dir_option
@click.argument("name")
@click.argument("tag")
@click.option("-n", "--namespace", default="shop")
def release(state_dir: Path, name: str, tag: str, namespace: str) -> None:
    """Give Deployment NAME's first container the image tag TAG: a new revision to be released."""
    from flagger.demo.release import set_tag

    known = read_record(state_dir)
    if known is None:
        print("no sandbox is running; start one:  flagger sandbox up", file=sys.stderr)
        sys.exit(1)
    print(asyncio.run(set_tag(Path(known.kubeconfig), namespace, name, tag)))


@command.command(hidden=True)
@state_dir_option
@click.option("--data-dir", type=click.Path(path_type=Path))
@click.option("--engine", default="builtin")
@click.option("--metrics", default="embedded")
@click.option("--scrape-interval", type=float, default=1.0)
def serve(state_dir: Path, data_dir: Path | None, engine: str, metrics: str, scrape_interval: float) -> None:
    """Run it in this process until SIGTERM or SIGINT."""
    from flagger.sandbox.cluster import Options, SandboxError, sandbox
    from flagger.sandbox.control_plane import ControlPlaneError

    async def live() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        options = Options(
            state_dir=state_dir,
            data_dir=data_dir,
            engine=engine,
            metrics=metrics,
            scrape_interval=timedelta(seconds=scrape_interval),
        )
        async with sandbox(options) as running:
            write_record(
                state_dir,
                Record(
                    pid=os.getpid(),
                    version=__version__,
                    kubeconfig=str(running.kubeconfig),
                    api=running.api,
                    metrics=running.metrics,
                ),
            )
            await stop.wait()
        record_path(state_dir).unlink(missing_ok=True)

    configure_logs("info", "json")
    try:
        asyncio.run(live())
    except (SandboxError, ControlPlaneError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        sys.exit(1)


def start(state_dir: Path, data_dir: Path | None, engine: str, metrics: str) -> Record:
    """Start a sandbox as a process of its own and wait until it is ready; ends this process if it fails."""
    (state_dir / "log").mkdir(parents=True, exist_ok=True)
    log = state_dir / "log" / "sandbox.log"
    arguments = ["--state-dir", str(state_dir), "--engine", engine, "--metrics", metrics]
    if data_dir is not None:
        arguments += ["--data-dir", str(data_dir)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "flagger", "sandbox", "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + UP_WITHIN
    while time.monotonic() < deadline and is_alive(process.pid):
        record = read_record(state_dir)
        if record is not None and record.pid == process.pid:
            return record
        time.sleep(0.05)
    stop_process(process.pid)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL:])
    print(f"the sandbox did not come up; the end of {log}:\n{tail}", file=sys.stderr)
    sys.exit(1)


def _show(record: Record) -> None:
    print(f"API          {record.api}")
    print(f"metrics      {record.metrics}")
    print(f"kubeconfig   export KUBECONFIG={record.kubeconfig}")
