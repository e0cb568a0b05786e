"""The demo in plain lines: one per fact, never rewritten, ASCII only, elapsed seconds first."""

from __future__ import annotations

import time

import click

from flagger import __version__
from flagger.demo.acts import ACTS, NOT_STARTED, OK, Act, Ending, Look, Programme, Result, fault, images
from flagger.demo.figures import Both
from flagger.demo.narrator import engine_name, near, stop_command
from flagger.demo.processes import FLOOR
from flagger.demo.scene import NAME, NAMESPACE_NAME, PROVIDER
from flagger.demo.story import State
from flagger.demo.traffic import Users
from flagger.sandbox.state import Record


class Plain:
    """For pipes, logs and terminals that can't do more."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._figures = Both()

    def begin(self, programme: Programme) -> None:
        """`demo: flagger 0.1.0, built-in sandbox, budget 90s`."""
        name = engine_name(programme.engine)
        click.echo(f"demo: flagger {__version__}, {name} sandbox, budget {programme.budget:.0f}s")

    def note(self, text: str) -> None:
        """A remark."""
        click.echo(f"demo: {_ascii(text)}")

    def starting(self) -> None:
        """`00.0 sandbox: starting`."""
        self._say("sandbox: starting")

    def sandbox_up(self, record: Record) -> None:
        """`03.1 sandbox: ready, …`."""
        self._say(f"sandbox: ready, api={record.api} kubeconfig={near(record.kubeconfig)}")

    def operator_up(self) -> None:
        """`03.9 operator: ready, …`."""
        self._say(f"operator: ready, provider={PROVIDER} analysis-interval-floor={FLOOR}")

    def applied(self, objects: list[str]) -> None:
        """`04.2 apply: …`."""
        self._say(f"apply: {' '.join(objects)}")

    def ready(self, version: str, users: Users) -> None:
        """`08.0 users: …`."""
        self._say(f"users: {users.rate:.0f} requests/s to {users.url}")

    def act(self, act: Act) -> None:
        """`08.1 act 1/2: …`."""
        how = f" ({fault(act)})" if fault(act) else ""
        before, after = images(act)
        self._say(f"act {act.number}/{len(ACTS)}: {act.kind} release, {before} -> {after}{how}")

    def event(self, state: State, text: str, judged: bool) -> None:
        """Phase, weight, the event's own words, and the figures behind them."""
        canary, shown = self._figures.canary, ""
        if judged and canary.success_rate is not None:
            shown = f" (canary: success rate {canary.success_rate:.2f}%, p99 {canary.p99})"
        self._say(f"{NAMESPACE_NAME}/{NAME} {state.phase} {state.weight}%: {text}{shown}")

    def look(self, look: Look) -> None:
        """Kept for the next event."""
        self._figures = look.figures

    def result(self, result: Result) -> None:
        """The outcome, and what is behind it."""
        act, users = result.act, result.users
        verdict = f"ok, {act.verb} in {result.took:.1f}s" if result.right else f"FAILED, {result.phase}"
        failed = f"{users.failed} of {users.answered}" if users.failed else "0"
        self._say(f"act {act.number}/{len(ACTS)}: {verdict}, failed user requests {failed}")
        self._say(f"noticed: {result.noticed:.2f}s after the push, weights {_path(result)}")
        if result.detected is not None and result.exposed is not None:
            self._say(
                f"detected: first failed check {result.detected:.1f}s after the first failed request, "
                f"traffic back after {result.exposed:.1f}s"
            )
            self._say(
                f"compare: a plain rolling update would have failed about {result.everybody:.0f} requests in these "
                f"{result.exposed:.1f}s"
            )
        if result.why:
            self._say(f"why: {result.why}")

    def end(self, ending: Ending) -> None:
        """What is left, then PASS or FAIL."""
        if ending.users is not None:
            users = ending.users
            self._say(
                f"users: {users.answered} requests answered, {users.failed_by_order} failed by the bad release, "
                f"{users.failed_otherwise} otherwise"
            )
        if ending.kept:
            self._say(f"sandbox: still running, kubeconfig={near(ending.state_dir / 'kubeconfig')}")
            self._say(f"sandbox: stop it with  {stop_command(ending.state_dir)}")
        elif ending.code != NOT_STARTED:
            self._say("sandbox: stopped (set KEEP=1 to leave it running)")
        if ending.code == OK:
            self._say(f"logs: {near(ending.state_dir / 'log')}")
        problem, *more = ending.problem.splitlines() or [""]
        for line in more:
            click.echo(f"demo: {_ascii(line)}")
        verdict = f"PASS in {ending.took:.1f}s" if ending.code == OK else f"FAIL, {problem}"
        logs = "" if ending.code == OK else f"; logs in {near(ending.state_dir / 'log')}"
        click.echo(f"demo: {_ascii(verdict + logs)}")

    def close(self) -> None:
        """Nothing to give back."""

    def _say(self, text: str) -> None:
        click.echo(f"{time.monotonic() - self._start:04.1f} {_ascii(text)}")


def _path(result: Result) -> str:
    return " -> ".join(f"{weight}%" for weight in result.weights)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
