"""Write docs/providers.md from what the end-to-end runs counted: `make providers` runs both.

provider_matrix.py MATRIX.json docs/providers.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

STRATEGIES = ("canary", "A/B", "blue/green", "mirror", "affinity")
INTRODUCTION = """# Providers

Written by `make providers` from end-to-end runs on the sandbox: for each provider and strategy a release is held at
every step while {requests} users ask, each once, through a real Envoy that was configured from the objects which the
operator wrote. The new version's share must be the weight within the binomial error (5 σ), and no request may fail.

"""
REQUESTS = 300


def main() -> None:
    """Read the counts, write the page."""
    source, target = map(Path, sys.argv[1:])
    found: dict[str, dict[str, dict[str, str]]] = json.loads(source.read_text())
    lines = [INTRODUCTION.format(requests=REQUESTS).rstrip("\n"), "", *_overview(found), "", *_counts(found)]
    target.write_text("\n".join(lines) + "\n")


def _overview(found: dict[str, dict[str, dict[str, str]]]) -> Iterator[str]:
    yield "| provider | " + " | ".join(STRATEGIES) + " |"
    yield "|---" * (1 + len(STRATEGIES)) + "|"
    for provider, runs in sorted(found.items()):
        cells = ("proven" if strategy in runs else "–" for strategy in STRATEGIES)
        yield f"| `{provider}` | " + " | ".join(cells) + " |"


def _counts(found: dict[str, dict[str, dict[str, str]]]) -> Iterator[str]:
    yield "## What was counted"
    yield ""
    yield "Answers of primary/canary at each step."
    yield ""
    yield "| provider | strategy | counts |"
    yield "|---|---|---|"
    for provider, runs in sorted(found.items()):
        for strategy in STRATEGIES:
            if strategy in runs:
                counts = ", ".join(f"{when} {count}" for when, count in runs[strategy].items())
                yield f"| `{provider}` | {strategy} | {counts} |"


if __name__ == "__main__":
    main()
