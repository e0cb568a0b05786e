"""The command `flagger`: finds the verb; each verb is a module of its own, imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping

import click
from click.exceptions import Abort, NoSuchCommand

VERBS: Mapping[str, str] = {
    "run": "run the operator",
    "sandbox": "start, stop or ask for a local cluster of processes",
    "demo": "see one good and one bad release on the sandbox",
    "version": "print the version",
}
"""Each verb `x` is the command `x` of the module `flagger.cli.x`."""

HELP = frozenset({"help", "-h", "-help", "--help"})
INTERRUPTED = 130


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is meant; the error for a word that is none suggests the nearest verbs."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(error.command_name, possibilities=VERBS, ctx=ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="operator flags: flagger run --help",
)
def flagger() -> None:
    """Progressive delivery for Kubernetes: releases that promote themselves or come back."""


def main() -> None:
    """Entry point of `flagger` and `kubectl-flagger`.

    Flags only, or nothing inside a cluster, mean the operator, as in upstream's container arguments.
    """
    try:
        flagger.main(args=meaning(sys.argv[1:]), prog_name="flagger", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)


def meaning(words: list[str]) -> list[str]:
    """The words of the command line with what goes without saying."""
    if not words:
        return ["run"] if "KUBERNETES_SERVICE_HOST" in os.environ else ["--help"]
    if words[0] in HELP:
        return ["--help"]
    return ["run", *words] if words[0].startswith("-") else words
