"""Figures as text: a table for the terminal, and docs/performance.md, a section for each benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.figures import Figure, shown

MISSED = "missed"
HEAD = """# Performance

Written by `make bench`; `python -m bench NAME…` measures some of it anew, `python -m bench --list` names them.

Measured on: {machine}

The median counts against a target. *Others* says how many cores other programs used meanwhile: the more, the worse
the figures.

{summary}
"""
COLUMNS = "| figure | target | median | min – max | runs | how |\n|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark found. `others` is how many cores other programs used meanwhile.

    `absent` says why it could not run, `problem` why it failed.
    """

    name: str
    text: str
    when: str
    seconds: float
    others: float
    figures: Sequence[Figure] = ()
    absent: str = ""
    problem: str = ""

    @property
    def trouble(self) -> str:
        """Why there are no figures, if so."""
        return f"not measured: {self.absent}" if self.absent else self.problem and f"failed: {self.problem}"


def table(result: Result) -> str:
    """The figures as aligned lines for a terminal."""
    lines = [f"== {result.name}: {result.text} ({result.seconds:.0f} s, others {result.others:.2f} cores)"]
    for figure in result.figures:
        target = f"{figure.target}" if figure.target else ""
        sign = "  <-- missed" if figure.missed else ""
        value = f"{shown(figure.median)} {figure.unit}"
        lines.append(f"   {figure.name:<56} {value:>22}  {target:<10} {figure.span}{sign}")
    if result.trouble:
        lines.append(f"   {result.trouble}")
    return "\n".join(lines)


def section(result: Result) -> str:
    """The figures as a section of the document."""
    head = f"## {result.name}\n\n{result.text}\n\n`python -m bench {result.name}`, {result.when}"
    head += f", took {result.seconds:.0f} s, others: {result.others:.2f} cores."
    if result.trouble:
        return f"{head}\n\n**{result.trouble}**\n"
    rows = "\n".join(_row(figure) for figure in result.figures)
    return f"{head}\n\n{COLUMNS}\n{rows}\n"


def document(old: str, machine: str, results: Iterable[Result], order: Sequence[str]) -> str:
    """The document with the sections of `results` in place of the old ones; other sections stay.

    Sections that were measured on another machine do not stay: they would not compare.
    """
    kept = sections(old) if f"Measured on: {machine}\n" in old else {}
    found = kept | {result.name: section(result) for result in results}
    body = [found[name] for name in order if name in found]
    return "\n".join([HEAD.format(machine=machine, summary=_summary(body)), *body])


def sections(text: str) -> dict[str, str]:
    """The sections of a document by their headings."""
    parts = ("\n" + text).split("\n## ")[1:]
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in parts}


def _row(figure: Figure) -> str:
    median = f"{shown(figure.median)} {figure.unit}"
    if figure.missed:
        median = f"**{median}, {MISSED}**"
    cells = (figure.name, str(figure.target or ""), median, figure.span, str(len(figure.values)), figure.note)
    return f"| {' | '.join(cell.replace('|', '∣') for cell in cells)} |"


def _summary(body: Iterable[str]) -> str:
    """How many targets were met, and which were not."""
    rows = [line.split(" | ") for part in body for line in part.splitlines() if line.startswith("| ")]
    aimed = [row for row in rows if len(row) > 2 and row[1].strip() not in {"", "target"}]
    missed = [row[0].removeprefix("| ") for row in aimed if row[2].endswith(f"{MISSED}**")]
    text = f"{len(aimed) - len(missed)} of {len(aimed)} targets are met."
    return f"{text} Missed: {'; '.join(missed)}." if missed else text
