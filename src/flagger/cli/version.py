"""`flagger version`."""

import click

from flagger import __version__


@click.command()
def command() -> None:
    """Print the version."""
    print(f"flagger {__version__}")
