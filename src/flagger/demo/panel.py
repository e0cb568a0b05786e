"""The panel under an act's title: where the release is, what its checks say, what users notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flagger.demo.acts import Act, Look, Programme, images
from flagger.demo.figures import Figures
from flagger.demo.scene import NAME, NAMESPACE_NAME, PROVIDER

WIDTH = 110  # columns, the most
WIDE = 100  # columns from which everything is shown
BAR = 40  # columns of the traffic bar
EVENTS = 4  # the last so many are shown
PASSES = 20
_BLOCKS = "▁▂▃▄▅▆▇"
_ENDED = {"Succeeded": "✔", "Failed": "✖"}


@dataclass(slots=True)
class Scroll:
    """What an act has shown so far; events come with their seconds and whether they warn."""

    act: Act
    events: list[tuple[float, bool, str]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def judged(self, figures: Figures) -> None:
        """A pass of the analysis has ended."""
        if figures.success_rate is not None:
            self.rates.append(figures.success_rate)
        if figures.latency is not None:
            self.latencies.append(figures.latency)


def panel(programme: Programme, scroll: Scroll, look: Look, width: int) -> RenderableType:
    """The panel at this moment, at most `width` columns wide: narrow terminals get less of it."""
    wide = width >= WIDE
    return Group(
        "",
        _headline(programme, scroll.act, look, wide=wide),
        "",
        *_ladder(programme, look, wide=wide),
        _traffic(look, wide=wide),
        "",
        _checks(programme, scroll, look, wide=wide),
        "",
        _users(look),
        *_events(scroll),
    )


def _headline(programme: Programme, act: Act, look: Look, *, wide: bool) -> RenderableType:
    before, after = images(act)
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", style="dim", no_wrap=True)
    sign = _ENDED.get(look.state.phase, "●")
    release = f"  {sign} {look.state.phase}  {before} → {after.partition(':')[2]}"
    how = f"canary · {PROVIDER} · every {programme.interval}" if wide else ""
    line.add_row(Text.assemble((f"  {NAMESPACE_NAME}/{NAME}", "bold"), release), how)
    return line


def _ladder(programme: Programme, look: Look, *, wide: bool) -> list[RenderableType]:
    weight, phase = look.state.weight, look.state.phase
    home = phase in {"Promoting", "Finalising", "Succeeded"}
    rungs = []
    for rung in programme.rules.ladder:
        passed = home or weight > rung
        here = not home and weight == rung
        sign, style = ("✔", "green") if passed else ("●", "bold magenta") if here else ("○", "dim")
        rungs.append(Text(f"{sign} {rung}", style=style))
    rungs.append(Text("● promote" if home else "○ promote", style="bold cyan" if home else "dim"))
    ladder = Text("  ") + Text(" ── ", style="dim").join(rungs)
    failed = look.state.failed_checks
    checks = Text(
        f"failed checks {failed} of {programme.rules.threshold}", style="bold red" if failed else ""
    )
    if not wide:
        return [ladder, Text("  ") + checks]
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    line.add_row(ladder, checks)
    return [line]


def _traffic(look: Look, *, wide: bool) -> RenderableType:
    weight, step = look.state.weight, look.users.step
    share = round(weight * BAR / 100)
    seen = step.primary + step.canary
    canary = 100 * step.canary / seen if seen else 0.0
    said = (
        f"   {100 - weight} / {weight} routed, {100 - canary:.1f} / {canary:.1f} seen"
        if seen and wide
        else ""
    )
    return Text.assemble(
        "  traffic   primary ", ("█" * (BAR - share), "cyan"), ("▒" * share, "magenta"), f" canary{said}"
    )


def _checks(programme: Programme, scroll: Scroll, look: Look, *, wide: bool) -> RenderableType:
    rules, primary, canary = programme.rules, look.figures.primary, look.figures.canary
    good = None if canary.success_rate is None else canary.success_rate >= rules.success_rate
    quick = None if canary.latency is None else canary.latency <= rules.latency
    rates, latencies = _spark(scroll.rates, 50, 100), _spark(scroll.latencies, 0, rules.latency)
    least, most = f"min {rules.success_rate:g} %", f"max {rules.latency:g} ms"
    rows: list[list[str | Text]] = [
        ["  CHECK", "PRIMARY", "CANARY", "LIMIT", f"LAST {PASSES} PASSES", "VERDICT"],
        ["  request-success-rate", primary.rate, canary.rate, least, rates, _verdict(good)],
        ["  request-duration p99", primary.p99, canary.p99, most, latencies, _verdict(quick)],
    ]
    table = Table.grid(padding=(0, 3))
    for number, row in enumerate(rows):
        table.add_row(*(row if wide else row[:4] + row[5:]), style="dim" if number == 0 else "")
    return table


def _spark(values: Sequence[float], low: float, high: float) -> str:
    """A bar for each value between the bounds."""
    top = len(_BLOCKS) - 1
    scaled = (round(top * (value - low) / (high - low)) for value in values[-PASSES:])
    return "".join(_BLOCKS[max(0, min(top, level))] for level in scaled).ljust(PASSES)


def _verdict(passes: bool | None) -> Text:
    if passes is None:
        return Text("-", style="dim")
    return Text("pass", style="green") if passes else Text("fail", style="bold red")


def _users(look: Look) -> RenderableType:
    users = look.users
    failed = Text(f"{users.act.failed} failed", style="bold red" if users.act.failed else "")
    return Text.assemble(
        f"  users     {users.rate:.0f} requests/s · {users.act.answered} answered · ", failed
    )


def _events(scroll: Scroll) -> list[RenderableType]:
    """The last events, newest first, always in as many lines."""
    lines: list[RenderableType] = [
        Text(
            f"  {when:5.1f} {'▲' if warns else ' '} {text}", style="yellow" if warns else "dim", no_wrap=True
        )
        for when, warns, text in scroll.events[: -EVENTS - 1 : -1]
    ]
    return lines + [""] * (EVENTS - len(lines))
