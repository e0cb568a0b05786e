"""`flagger sandbox`: a local cluster of processes, for trying things out; not for production."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click
from msgspec.structs import replace as with_fields

from flagger import __version__
from flagger.sandbox.options import ENGINES, METRICS, Options
from flagger.sandbox.state import (
    BusyError,
    Process,
    Record,
    claim,
    default_state_dir,
    read_record,
    record_path,
    running,
    stop_all,
    write_record,
)

state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, resolve_path=True),
    default=default_state_dir,
    show_default=".sandbox",
    help="kubeconfig, logs, pids",
)
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, resolve_path=True),
    help="keep the cluster's objects there over a restart",
)
engine_option = click.option(
    "--engine", type=click.Choice(ENGINES), default=ENGINES[0], show_default=True, help="whose API server"
)
metrics_option = click.option(
    "--metrics", type=click.Choice(METRICS), default=METRICS[0], show_default=True, help="metrics server"
)
scrape_option = click.option(
    "--scrape-interval", type=float, default=1.0, show_default=True, help="seconds between two scrapes"
)


@click.group()
def command() -> None:
    """Start, stop or ask for a local cluster of processes.

    For example:  flagger sandbox up; export KUBECONFIG=$PWD/.sandbox/kubeconfig; flagger sandbox down
    """


@command.command()
@state_dir_option
@data_dir_option
@engine_option
@metrics_option
@scrape_option
def up(state_dir: Path, data_dir: Path | None, engine: str, metrics: str, scrape_interval: float) -> None:
    """Start it in the background and wait until it is ready."""
    from flagger.sandbox.daemon import StartError, start

    options = _options(state_dir, data_dir, engine, metrics, scrape_interval)
    known = running(state_dir)
    if known is not None and (known.version, known.engine) == (__version__, engine):
        print(f"already up, pid {known.sandbox.pid}")
        _show(known)
        return
    if known is not None:
        print(f"replacing the sandbox of flagger {known.version} ({known.engine})")
    try:
        _show(asyncio.run(start(options)))
    except StartError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


@command.command()
@state_dir_option
def down(state_dir: Path) -> None:
    """Stop it, and the operator that was started with it."""
    print("sandbox stopped" if stop_all(state_dir) else f"no sandbox is running ({state_dir})")


@command.command()
@state_dir_option
def status(state_dir: Path) -> None:
    """Print where its parts are; exit code 1 when it isn't running."""
    _show(_running_or_exit(state_dir))


@command.command()
@state_dir_option
@click.argument("name")
@click.argument("tag")
@click.option("-n", "--namespace", default="shop", show_default=True)
@click.option("--fail-every", type=int, default=0, help="make it a bad one: fail every so many requests")
def release(state_dir: Path, name: str, tag: str, namespace: str, fail_every: int) -> None:
    """Ship something: give Deployment NAME the image tag TAG, send users to it, and follow the release.

    Exit code 3 when it was not promoted.
    """
    from flagger.demo.scene import Reference
    from flagger.demo.shipping import ship
    from flagger.kube.errors import KubeError

    known = _running_or_exit(state_dir)
    deployment = Reference(namespace, name)
    try:
        phase = asyncio.run(ship(Path(known.kubeconfig), deployment, tag, click.echo, fail_every=fail_every))
    except KubeError as error:
        print(f"nothing was released: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0 if phase == "Succeeded" else 3)


@command.command(hidden=True)
@state_dir_option
@data_dir_option
@engine_option
@metrics_option
@scrape_option
@click.option("--by-demo", is_flag=True)
def serve(
    state_dir: Path, data_dir: Path | None, engine: str, metrics: str, scrape_interval: float, by_demo: bool
) -> None:
    """Run it in this process until SIGTERM or SIGINT."""
    from flagger.runtime.logs import configure_logs
    from flagger.sandbox.cluster import SandboxError

    options = replace(_options(state_dir, data_dir, engine, metrics, scrape_interval), by_demo=by_demo)
    configure_logs("info", "json")
    try:
        with claim(state_dir):
            asyncio.run(_live(options))
    except (BusyError, SandboxError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        sys.exit(1)


async def _live(options: Options) -> None:
    """Be a sandbox, with a record in its state directory, until told to stop."""
    from flagger.sandbox.cluster import sandbox
    from flagger.sandbox.daemon import first_record

    stop, me = asyncio.Event(), Process.of(os.getpid())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with sandbox(options) as here:
        record = read_record(options.state_dir)
        if record is None or record.sandbox != me:
            record = first_record(me, options)
        where = {"kubeconfig": str(here.kubeconfig), "api": here.api, "metrics": here.metrics}
        write_record(options.state_dir, with_fields(record, ready=True, **where))
        await stop.wait()
    record = read_record(options.state_dir)
    if record is not None and record.sandbox == me and record.operator is None:
        record_path(options.state_dir).unlink()


def _options(
    state_dir: Path, data_dir: Path | None, engine: str, metrics: str, scrape_interval: float
) -> Options:
    if engine != ENGINES[0] and data_dir is not None:
        raise click.UsageError(f"--data-dir needs the engine {ENGINES[0]}")
    return Options(
        state_dir=state_dir,
        data_dir=data_dir,
        engine=engine,
        metrics=metrics,
        scrape_interval=timedelta(seconds=scrape_interval),
    )


def _running_or_exit(state_dir: Path) -> Record:
    known = running(state_dir)
    if known is None:
        print(f"no sandbox is running ({state_dir}); start one:  flagger sandbox up", file=sys.stderr)
        sys.exit(1)
    return known


def _show(record: Record) -> None:
    print(f"API          {record.api}")
    print(f"metrics      {record.metrics}")
    print(f"kubeconfig   export KUBECONFIG={record.kubeconfig}")
