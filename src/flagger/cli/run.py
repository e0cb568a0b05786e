"""`flagger run`: the operator, with upstream's flags."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import click
import structlog

from flagger import __version__
from flagger.kube.errors import KubeError
from flagger.kube.lease import LeaseLost
from flagger.runtime.logs import configure_logs
from flagger.runtime.main import operate
from flagger.runtime.settings import HelpRequested, UsageError, read_settings, usage


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the operator."""
    try:
        settings = read_settings(arguments, os.environ)
    except HelpRequested:
        print(usage())
        return
    except UsageError as error:
        print(f"{error}\n{usage()}", file=sys.stderr)
        sys.exit(2)
    if settings.version:
        print(f"Flagger version {__version__} revision  ")
        return
    configure_logs(settings.log_level, settings.zap_encoding)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(operate(settings))
    except (KubeError, LeaseLost, OSError) as error:
        structlog.get_logger(__name__).critical(str(error))
        sys.exit(1)
    sys.exit(1 if settings.enable_leader_election else 0)  # as upstream: the pod is to be started again


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The faster event loop, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
