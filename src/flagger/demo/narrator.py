"""How the demo speaks, whatever it speaks to: what there is to tell, and who tells it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Protocol

from flagger.demo.acts import Act, Ending, Look, Programme, Result
from flagger.demo.story import State
from flagger.demo.traffic import Users
from flagger.sandbox.state import Record


class Narrator(Protocol):
    """Tells what happens, as it happens."""

    def begin(self, programme: Programme) -> None:
        """The demo starts."""

    def note(self, text: str) -> None:
        """Something that is good to know."""

    def starting(self) -> None:
        """The sandbox is being started."""

    def sandbox_up(self, record: Record) -> None:
        """The sandbox is ready."""

    def operator_up(self) -> None:
        """The operator is ready."""

    def applied(self, objects: list[str]) -> None:
        """The manifests are in the cluster."""

    def ready(self, version: str, users: Users) -> None:
        """The first version serves, users come in."""

    def act(self, act: Act) -> None:
        """An act begins."""

    def event(self, state: State, text: str, judged: bool) -> None:
        """The operator did something; `judged` when a pass of the analysis led to it."""

    def look(self, look: Look) -> None:
        """The figures of the moment."""

    def result(self, result: Result) -> None:
        """An act has ended."""

    def end(self, ending: Ending) -> None:
        """The last words."""

    def close(self) -> None:
        """Give the terminal back; may be called at any time, and more than once."""


def narrator_for(*, plain: bool) -> Narrator:
    """The live one on a capable terminal, else the plain one."""
    if plain or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        from flagger.demo.plain import Plain

        return Plain()
    from flagger.demo.lively import Lively

    return Lively()


def engine_name(engine: str) -> str:
    """The engine in words."""
    return "built-in" if engine == "builtin" else engine


def near(path: Path | str) -> str:
    """A path as short as it can be typed here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def absolute(path: Path) -> str:
    """A path that is still right elsewhere, as it can be typed here."""
    short = near(path)
    return short if short.startswith("/") else f"$PWD/{short}"


def program() -> str:
    """How to type the name of this program here."""
    return "flagger" if shutil.which("flagger") else near(Path(sys.executable).with_name("flagger"))


def stop_command(state_dir: Path) -> str:
    """How to stop what is still running."""
    if state_dir != Path.cwd() / ".sandbox":
        return f"{program()} sandbox down --state-dir {state_dir}"
    return "make demo-down" if Path("Makefile").exists() else f"{program()} sandbox down"
