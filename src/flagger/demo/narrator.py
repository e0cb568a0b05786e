"""How the demo speaks: plain lines anywhere, or a terminal's live panel."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flagger import __version__
from flagger.demo.figures import Figures
from flagger.demo.story import State
from flagger.demo.traffic import Users

if TYPE_CHECKING:
    from rich.live import Live


class Narrator(Protocol):
    """Tells what happens. All times are seconds since the start of the demo."""

    def begin(self, engine: str) -> None:
        """The demo starts."""

    def done(self, what: str, detail: str) -> None:
        """A part of the set-up is ready."""

    def act(self, number: int, title: str) -> None:
        """An act begins."""

    def event(self, state: State, text: str) -> None:
        """The operator did something."""

    def figures(self, state: State, users: Users, primary: Figures, canary: Figures) -> None:
        """The figures of the moment."""

    def result(self, good: bool, text: str, details: list[str]) -> None:
        """An act has ended."""

    def end(self, lines: list[str]) -> None:
        """The last words."""


def narrator_for(*, plain: bool) -> Narrator:
    """The live one on a capable terminal, else the plain one."""
    return Plain() if plain or not sys.stdout.isatty() else Lively()


class Plain:
    """One line per fact, never rewritten, elapsed seconds first."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._figures = ""

    def begin(self, engine: str) -> None:
        """Name version and engine."""
        print(f"demo: flagger {__version__}, {engine} sandbox, budget 90s", flush=True)

    def done(self, what: str, detail: str) -> None:
        """`03.1 sandbox: ready, …`."""
        self._say(f"{what}: {detail}")

    def act(self, number: int, title: str) -> None:
        """`08.1 act 1/2: …`."""
        self._say(f"act {number}/2: {title}")

    def event(self, state: State, text: str) -> None:
        """Phase, weight, the event's own words, and the figures behind them."""
        figures = f" ({self._figures})" if self._figures and state.weight else ""
        self._say(f"shop/checkout {state.phase} {state.weight}%: {text}{figures}")

    def figures(self, state: State, users: Users, primary: Figures, canary: Figures) -> None:
        """Kept for the next event."""
        self._figures = f"canary {canary}"

    def result(self, good: bool, text: str, details: list[str]) -> None:
        """The outcome and the lines behind it."""
        self._say(f"{'ok' if good else 'FAILED'}, {text}")
        for detail in details:
            self._say(f"  {detail}")

    def end(self, lines: list[str]) -> None:
        """The last lines, without time."""
        print("\n".join(lines), flush=True)

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._start:04.1f} {text}", flush=True)


class Lively:
    """A panel that is redrawn while an act goes on, and one result line that stays."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)
        self._live: Live | None = None
        self._events: list[str] = []

    def begin(self, engine: str) -> None:
        """The headline."""
        self._console.print(
            f"[bold]flagger demo[/] · version {__version__} · {engine} sandbox (no Docker, no root)\n"
        )

    def done(self, what: str, detail: str) -> None:
        """` ✔ sandbox up  …`."""
        self._console.print(f" [green]✔[/] {what:<22}{detail}")

    def act(self, number: int, title: str) -> None:
        """The title; the panel under it opens."""
        from rich.live import Live

        self._console.print(f"\n[bold]Act {number} of 2[/] · {title}")
        self._events = []
        self._live = Live(console=self._console, refresh_per_second=5, transient=True)
        self._live.start()

    def event(self, state: State, text: str) -> None:
        """Added to the panel's last lines."""
        self._events = [*self._events, text][-6:]
        if self._live is None:
            self._console.print(f"   {text}", style="dim")

    def figures(self, state: State, users: Users, primary: Figures, canary: Figures) -> None:
        """Redraw the panel."""
        from rich.panel import Panel

        if self._live is None:
            return
        share = state.weight * 40 // 100
        bar = f"[cyan]{'█' * (40 - share)}[/][magenta]{'█' * share}[/]"
        body = [
            f"{state.phase:<18} failed checks {state.failed_checks} of 3",
            f"traffic  {bar}  {100 - state.weight} / {state.weight}",
            f"primary  {primary}",
            f"canary   {canary}",
            f"users    {users.act.answered} answered, {users.act.failed} failed",
            "",
            *(f"[dim]{line}[/]" for line in self._events),
        ]
        self._live.update(Panel("\n".join(body), title="shop/checkout", width=100))

    def result(self, good: bool, text: str, details: list[str]) -> None:
        """The panel goes, the result stays."""
        self.close()
        self._console.print(f" {'[green]✔[/]' if good else '[red]✖[/]'} {text}")
        for detail in details:
            self._console.print(f"   {detail}")

    def end(self, lines: list[str]) -> None:
        """The last lines."""
        self.close()
        self._console.print("\n" + "\n".join(lines))

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def log_hint(state_dir: Path) -> str:
    """Where to read on."""
    return f"logs in {state_dir / 'log'}"
