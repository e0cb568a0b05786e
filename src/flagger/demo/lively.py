"""The demo on a terminal: a panel that is redrawn while an act goes on, and result lines that stay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flagger import __version__
from flagger.demo.acts import ACTS, NEXT, NOT_STARTED, OK, Act, Ending, Look, Programme, Result, fault, images
from flagger.demo.narrator import absolute, engine_name, near, program, stop_command
from flagger.demo.panel import WIDTH, Scroll, panel
from flagger.demo.processes import FLOOR
from flagger.demo.scene import NAME, NAMESPACE_NAME, PROVIDER
from flagger.demo.story import State
from flagger.demo.traffic import Users
from flagger.sandbox.state import Record

if TYPE_CHECKING:
    from rich.status import Status

REDRAW = 5  # times a second
_WARNINGS = ("Halt ", "Rolling back ")


class Lively:
    """For terminals."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._console.width = min(WIDTH, self._console.width)
        self._start = time.monotonic()
        self._programme: Programme | None = None
        self._scroll: Scroll | None = None
        self._last: Look | None = None
        self._live: Live | None = None
        self._waiting: Status | None = None

    def begin(self, programme: Programme) -> None:
        """The headline."""
        self._programme = programme
        what = {"builtin": " (no Docker, no root)"}.get(programme.engine, "")
        self._console.print(
            f"[bold]flagger demo[/] · version {__version__} · {engine_name(programme.engine)} sandbox{what} "
            "· takes about half a minute\n"
        )

    def note(self, text: str) -> None:
        """A remark."""
        self._console.print(Text.assemble((" ▲ ", "yellow"), text))

    def starting(self) -> None:
        """A spinner, until the sandbox is up."""
        self._wait_for("starting the sandbox")

    def sandbox_up(self, record: Record) -> None:
        """` ✔ sandbox up  …`."""
        self._done("sandbox up", f"API {record.api} · metrics {record.metrics}")
        self._wait_for("starting the operator")

    def operator_up(self) -> None:
        """` ✔ operator up  …`."""
        interval = self._programme.interval if self._programme else ""
        detail = f"provider {PROVIDER} · analysis every {interval} (floor lowered to {FLOOR} for the demo)"
        self._done("operator up", detail)
        self._wait_for(f"preparing {NAMESPACE_NAME}/{NAME}")

    def applied(self, objects: list[str]) -> None:
        """Seen in what becomes of them."""

    def ready(self, version: str, users: Users) -> None:
        """` ✔ shop/checkout ready  …`."""
        detail = f"{version} serves 100 % · load: {users.rate:.0f} requests/s to {users.url}"
        self._done(f"{NAMESPACE_NAME}/{NAME} ready", detail)

    def act(self, act: Act) -> None:
        """The title; the panel under it opens."""
        self.close()
        before, after = images(act)
        how = f" ({fault(act)})" if fault(act) else ""
        title = f"\n[bold]Act {act.number} of {len(ACTS)}[/] · a {act.kind} release · "
        self._console.print(f"{title}{before} → {after.partition(':')[2]}{how}")
        self._scroll, self._last = Scroll(act), None
        self._live = Live(console=self._console, refresh_per_second=REDRAW, transient=True)
        self._live.start()

    def event(self, state: State, text: str, judged: bool) -> None:
        """Added to the panel; after a pass of the analysis, its figures too."""
        if self._scroll is None:
            return
        self._scroll.events.append((time.monotonic() - self._start, text.startswith(_WARNINGS), text))
        if judged and self._last is not None:
            self._scroll.judged(self._last.figures.canary)
        self._redraw()

    def look(self, look: Look) -> None:
        """Redraw the panel."""
        self._last = look
        self._redraw()

    def result(self, result: Result) -> None:
        """The panel goes, the result stays."""
        self.close()
        act, users = result.act, result.users
        title = f"{act.verb if result.right else result.phase} in {result.took:.0f} s"
        path = " → ".join(str(weight) for weight in result.weights[:-1])
        end = "primary" if act.number == 1 else "rolled back"
        checks = f"{result.failed_checks} failed checks"
        failed = "0 failed user requests"
        if users.failed:
            share = 100 * users.failed / max(1, users.answered)
            failed = f"{users.failed} of {users.answered} user requests failed ({share:.1f} %)"
        summary = f"{path} % → {end} · {checks} · {failed}"
        self._done(title, summary, good=result.right)
        for line in _details(result, self._programme):
            self._console.print(line)

    def end(self, ending: Ending) -> None:
        """The last lines."""
        self.close()
        if ending.code != OK:
            problem, *more = ending.problem.splitlines()
            logs = near(ending.state_dir / "log")
            self._console.print(Text.assemble((" ✖ ", "red"), f"demo: FAIL, {problem}; logs in {logs}"))
            for line in more:
                self._console.print(Text(line))
        else:
            self._console.print(
                f"\n[bold]Done in {ending.took:.0f} s[/]: the good release is live, the bad one is not."
            )
        if ending.users is not None:
            users = ending.users
            self._console.print(
                f"{users.answered} user requests were answered, {users.failed_by_order} failed by the bad release, "
                f"{users.failed_otherwise} otherwise."
            )
        if ending.kept:
            self._console.print("The sandbox is still running:\n")
            self._console.print(_next_steps(ending))
        elif ending.code != NOT_STARTED:
            self._console.print("The sandbox was stopped.")

    def close(self) -> None:
        """Take away spinner and panel."""
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _done(self, what: str, detail: str, *, good: bool = True) -> None:
        """A result line; what doesn't fit goes on under the detail."""
        line = Table.grid(padding=(0, 1))
        line.add_column(width=2, justify="right")
        line.add_column(width=21, no_wrap=True)
        line.add_column(overflow="fold")
        line.add_row(Text("✔", style="green") if good else Text("✖", style="red"), what, Text(detail))
        self.close()
        self._console.print(line)

    def _wait_for(self, what: str) -> None:
        self._waiting = self._console.status(what, spinner="dots")
        self._waiting.start()

    def _redraw(self) -> None:
        if self._live is not None and self._programme and self._scroll and self._last:
            self._live.update(panel(self._programme, self._scroll, self._last, self._console.width))


def _details(result: Result, programme: Programme | None) -> list[Table]:
    """The lines under a result."""
    rules = programme.rules if programme else None
    primary, canary = result.figures.primary, result.figures.canary
    rows = [("noticed", f"{result.noticed:.2f} s after the push")]
    if rules is not None:
        rows += [
            (
                "success rate",
                f"primary {primary.rate}  canary {canary.rate}  limit min {rules.success_rate:g} %",
            ),
            ("latency p99", f"primary {primary.p99}  canary {canary.p99}  limit max {rules.latency:g} ms"),
        ]
    if result.detected is not None and result.exposed is not None:
        found = f"{result.detected:.1f} s after the first failed request, traffic back after {result.exposed:.1f} s"
        rows.append(("detected", found))
    if result.why:
        rows.append(("why", result.why))
    if result.exposed is not None:
        text = f"would have exposed everyone: about {result.everybody:.0f} failed requests"
        rows.append(("a rolling update", f"{text} in these {result.exposed:.0f} s"))
    table = Table.grid(padding=(0, 1))
    table.add_column(width=2)
    table.add_column(width=21, style="dim")
    table.add_column()
    for name, text in rows:
        table.add_row("", name, Text(text))
    return [table]


def _next_steps(ending: Ending) -> Table:
    state = "" if near(ending.state_dir) == ".sandbox" else f" --state-dir {ending.state_dir}"
    rows = [
        ("see", f"export KUBECONFIG={absolute(ending.state_dir / 'kubeconfig')}"),
        ("", f"kubectl get canaries -n {NAMESPACE_NAME} -w"),
        ("try", f"{program()} sandbox release {NAME} {NEXT}{state}"),
        ("logs", near(ending.state_dir / "log")),
        ("stop", stop_command(ending.state_dir)),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(f"   {name}", Text(text))
    return table
