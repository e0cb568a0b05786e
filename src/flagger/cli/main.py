"""The command `flagger`: finds the verb; each verb is a module of its own, imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping

import click

VERBS: Mapping[str, str] = {
    "run": "run the operator",
    "sandbox": "start, stop or ask for a local cluster of processes",
    "demo": "see one good and one bad release on the sandbox",
    "version": "print the version",
}
"""Each verb `x` is the command `x` of the module `flagger.cli.x`."""


class Verbs(click.Group):
    """Imports a verb's module only when the verb is used, so that `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or None."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"flagger.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def flagger() -> None:
    """Progressive delivery for Kubernetes: releases that promote themselves or come back."""


def main() -> None:
    """Entry point of `flagger` and `kubectl-flagger`.

    Flags only, or nothing inside a cluster, mean the operator, as in upstream's container arguments.
    """
    words = sys.argv[1:]
    asks_for_help = bool(words) and words[0] in {"-h", "--help", "-help"}
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    if (words and words[0].startswith("-") and not asks_for_help) or (not words and in_cluster):
        words = ["run", *words]
    flagger.main(args=words, prog_name="flagger")
