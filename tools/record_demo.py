"""Record the demo as an animated picture: run it, and draw each line at the moment at which it was printed.

    .venv/bin/python tools/record_demo.py docs/demo.svg

The picture is SVG with CSS animation, so that it plays wherever a browser shows it; without animation it shows the end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, LINE, MARGIN, TOP = 1180, 19, 16, 44  # pixels
FONT = 13  # pixels
PAUSE = 6.0  # seconds that the end stays before it begins again
COLUMNS = 142
LABEL = "The demo: a good release is promoted, a bad one is rolled back"
COLOURS = (
    (re.compile(r"PASS|: ok,|Succeeded"), "#7ee787"),
    (re.compile(r"Failed|Halt|FAIL|Rolling back"), "#ff7b72"),
    (re.compile(r"Advance|Routing|Copying|Promotion"), "#79c0ff"),
    (re.compile(r"act \d/2"), "#ffffff"),
)
PLAIN = "#c9d1d9"


@dataclass(frozen=True)
class Line:
    """A printed line and when it came, in seconds since the start."""

    at: float
    text: str


def record() -> list[Line]:
    """Run the demo and keep what it prints.

    Raises:
        SystemExit: the demo failed.
    """
    lines = [Line(0.0, "$ make demo")]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "flagger", "demo", "--plain", "--no-keep"]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        lines.extend(Line(time.monotonic() - begun, text.rstrip()) for text in process.stdout or ())
    if process.returncode:
        sys.exit(f"the demo failed with code {process.returncode}; nothing was drawn")
    return lines


def draw(lines: list[Line]) -> str:
    """The picture of a recording."""
    rows = [Line(line.at, part) for line in lines for part in wrapped(line.text)]
    height, whole = TOP + len(rows) * LINE + MARGIN, lines[-1].at + PAUSE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{LABEL}">',
            "<style>",
            f"text {{ font: {FONT}px ui-monospace, Menlo, Consolas, monospace; white-space: pre }}",
            "@media (prefers-reduced-motion: no-preference) {",
            *keyframes(rows, whole),
            "}",
            "</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#0d1117"/>',
            *(
                f'<circle cx="{20 + 18 * n}" cy="18" r="6" fill="{c}"/>'
                for n, c in enumerate(("#ff5f56", "#ffbd2e", "#27c93f"))
            ),
            *texts(rows),
            "</svg>",
            "",
        ]
    )


def keyframes(rows: list[Line], whole: float) -> Iterator[str]:
    """One animation for each moment at which lines appear."""
    for moment in sorted({row.at for row in rows}):
        share = 100 * moment / whole
        name = moment_name(moment)
        yield f"@keyframes {name} {{ 0%, {share:.2f}% {{ opacity: 0 }} {share + 0.01:.2f}%, 100% {{ opacity: 1 }} }}"
        yield f".{name} {{ animation: {name} {whole:.1f}s step-end infinite }}"


def texts(rows: list[Line]) -> Iterator[str]:
    """The lines, each in its colour."""
    for number, row in enumerate(rows):
        colour = next((colour for pattern, colour in COLOURS if pattern.search(row.text)), PLAIN)
        y = TOP + number * LINE
        yield f'<text class="{moment_name(row.at)}" x="{MARGIN}" y="{y}" fill="{colour}">{escape(row.text)}</text>'


def moment_name(moment: float) -> str:
    """The class of the lines that appear at a moment."""
    return f"t{round(moment * 1000)}"


def wrapped(text: str) -> list[str]:
    """A long line in pieces that fit, the later ones indented."""
    pieces = [text[:COLUMNS]]
    rest = text[COLUMNS:]
    while rest:
        pieces.append("     " + rest[: COLUMNS - 5])
        rest = rest[COLUMNS - 5 :]
    return pieces


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(record()), encoding="utf-8")
