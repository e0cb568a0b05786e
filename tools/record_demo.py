"""Record the demo as an animated SVG.

    .venv/bin/python tools/record_demo.py docs/demo.svg

Runs the real demo on a pseudo-terminal, in this checkout, and draws what was on the screen when. The frames
are in one strip that CSS moves past a window; where motion is not wanted, the last one is shown.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, ROWS = 110, 42
CELL, LINE, MARGIN = 8.4, 19, 18  # pixels
PACE = 0.4  # seconds that a frame lasts at least
HOLD = 8.0  # seconds that the last frame is shown
STYLES = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "35": "m", "36": "c"}
CSS = """
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d4d8e0;white-space:pre}
.b{font-weight:bold;fill:#fff}.d{fill:#8790a0}.r{fill:#ff7b72}.g{fill:#56d364}.y{fill:#e3b341}.m{fill:#d2a8ff}.c{fill:#56c8d8}
"""
SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")

Cell = tuple[str, str]
"""A character and the CSS classes of its style."""
Row = tuple[Cell, ...]
Frame = tuple[Row, ...]


@dataclass
class Screen:
    """As much of a terminal as the demo uses: text, colours, and going back up to draw over lines."""

    rows: list[list[Cell]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: str = ""
    rest: str = ""

    def feed(self, text: str) -> None:
        """Take in what was printed; a sequence that is cut off waits for the rest of it."""
        text, self.rest = self.rest + text, ""
        place = 0
        while place < len(text):
            if text[place] != "\x1b":
                self.put(text[place])
                place += 1
                continue
            found = SEQUENCE.match(text, place)
            if found is None:
                self.rest = text[place:]
                return
            self.obey(found[1], found[2])
            place = found.end()

    def put(self, letter: str) -> None:
        """Print one character."""
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.row, self.column = self.row + 1, 0
            self.rows += [[] for _ in range(self.row + 1 - len(self.rows))]
        else:
            line = self.rows[self.row]
            line += [(" ", "")] * (self.column + 1 - len(line))
            line[self.column] = (letter, self.style)
            self.column += 1

    def obey(self, numbers: str, command: str) -> None:
        """Carry out a control sequence."""
        if command == "m":
            chosen = [STYLES.get(number, "") for number in numbers.split(";")]
            kept = set() if numbers in {"", "0"} else set(self.style.split())
            self.style = " ".join(sorted(kept | set(filter(None, chosen))))
        elif command == "A":
            self.row = max(0, self.row - int(numbers or 1))
        elif command == "K":
            self.rows[self.row].clear()

    def frame(self) -> Frame:
        """What is to be seen now, without blank ends."""
        return tuple(tuple(row) for row in self.rows[:ROWS])


def record(command: Sequence[str]) -> list[tuple[float, Frame]]:
    """Run a command on a terminal; returns what was on the screen, and from which second on."""
    screen = Screen()
    screen.feed("$ make demo\n")
    frames = [(0.0, screen.frame())]
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "", "KEEP": ""}
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=far, stderr=subprocess.DEVNULL, env=environ
    )
    os.close(far)
    begun = time.monotonic()
    for text in printed(near):
        screen.feed(text)
        now = time.monotonic() - begun
        if now - frames[-1][0] >= PACE and screen.frame() != frames[-1][1]:
            frames.append((now, screen.frame()))
    if process.wait() != 0:
        sys.exit(f"the demo ended with code {process.returncode}")
    frames.append((time.monotonic() - begun, screen.frame()))
    return frames


def printed(descriptor: int) -> Iterator[str]:
    """What comes out of a terminal, in pieces, until its last user has gone."""
    rest = b""
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            return
        rest += data
        text = rest.decode(errors="ignore")
        rest = rest[len(text.encode()) :]
        yield text


def drawn(frames: Sequence[tuple[float, Frame]]) -> str:
    """The frames as an SVG document."""
    lines: dict[Row, str] = {}
    for _, frame in frames:
        for row in frame:
            if any(letter != " " for letter, _ in row):
                lines.setdefault(row, f"l{len(lines)}")
    width, height = COLUMNS * CELL + 2 * MARGIN, max(len(frame) for _, frame in frames) * LINE + 2 * MARGIN
    strip = [
        f'<g transform="translate(0 {number * height:g})">{"".join(placed(frame, lines))}</g>'
        for number, (_, frame) in enumerate(frames)
    ]
    size = f'width="{width:g}" height="{height:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:g} {height:g}" role="img">',
            "<title>flagger demo in a terminal: a good release goes out, a bad one comes back</title>",
            f"<style>{CSS}{moving([at for at, _ in frames], height)}</style>",
            "<defs>",
            *(line(row, name) for row, name in lines.items()),
            "</defs>",
            f'<rect {size} rx="8" fill="#14181f"/>',
            f'<svg {size}><g id="strip">',
            *strip,
            "</g></svg>",
            "</svg>",
            "",
        ]
    )


def placed(frame: Frame, lines: dict[Row, str]) -> Iterator[str]:
    """The lines of a frame, by reference to where they are drawn."""
    for number, row in enumerate(frame):
        if row in lines:
            yield f'<use href="#{lines[row]}" y="{MARGIN + (number + 0.75) * LINE:g}"/>'


def line(row: Row, name: str) -> str:
    """A line of text; each run of one style has its own place, so that odd widths don't add up."""
    runs: list[tuple[int, str, str]] = []
    for column, (letter, style) in enumerate(row):
        if runs and runs[-1][1] == style and not (letter == "█") ^ runs[-1][2].endswith("█"):
            runs[-1] = (runs[-1][0], style, runs[-1][2] + letter)
        else:
            runs.append((column, style, letter))
    parts = [
        f'<tspan x="{MARGIN + column * CELL:g}" textLength="{len(text) * CELL:g}"'
        + (f' class="{style}"' if style else "")
        + f">{escape(text)}</tspan>"
        for column, style, text in runs
        if text.strip()
    ]
    return f'<text id="{name}">{"".join(parts)}</text>'


def moving(times: Sequence[float], height: float) -> str:
    """The animation: each frame from its time on, the last one held."""
    total = times[-1] + HOLD
    steps = "".join(
        f"{100 * at / total:.2f}%{{transform:translateY({-number * height:g}px)}}"
        for number, at in enumerate(times)
    )
    last = -(len(times) - 1) * height
    return (
        f"#strip{{animation:play {total:.1f}s steps(1,end) infinite}}"
        f"@keyframes play{{{steps}100%{{transform:translateY({last:g}px)}}}}"
        f"@media(prefers-reduced-motion){{#strip{{animation:none;transform:translateY({last:g}px)}}}}"
    )


def main() -> None:
    """Record, draw, stop what the demo left running."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "demo.svg"
    program = str(ROOT / ".venv" / "bin" / "flagger")
    try:
        frames = record([program, "demo", "--keep"])
    finally:
        subprocess.run([program, "sandbox", "down"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    target.write_text(drawn(frames), encoding="utf-8")
    print(f"{target}: {len(frames)} frames, {target.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
