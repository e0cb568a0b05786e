"""The command `flagger`: finds the verb; each verb is a module of its own, imported when called."""

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Progressive delivery for Kubernetes."""
