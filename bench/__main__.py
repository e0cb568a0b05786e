"""`python -m bench [NAME…]`: run all benchmarks or some, print a table, write docs/performance.md.

Each benchmark runs in a process of its own. The exit code is 1 when one failed; a missed target is no failure.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import machine
from bench.figures import Figure, Unavailable
from bench.processes import ROOT
from bench.report import Result, document, table

BENCHMARKS = (
    "operator_idle",
    "operator_ticks",
    "operator_start",
    "core",
    "templating",
    "kube_client",
    "peer_clients",
    "apiserver",
    "peer_apiserver",
    "dataplane",
    "metrics_store",
    "peer_metrics",
    "sandbox",
    "demo",
)
"""Modules of this package, in the order of the document."""
DOCUMENT = ROOT / "docs" / "performance.md"
LONGEST = 1200  # seconds, for one benchmark


class Outcome(msgspec.Struct):
    """What a benchmark's process leaves behind."""

    figures: list[Figure] = []
    absent: str = ""


def main() -> int:
    """Run what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks to run; all of them by default")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and what they measure")
    parser.add_argument("--dry", action="store_true", help="leave docs/performance.md as it is")
    parser.add_argument(
        "--patience", type=float, default=60, help="seconds to wait for a quiet machine, each time (60)"
    )
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; see --list")
    if options.list:
        print("\n".join(f"{name:<16} {purpose(name)}" for name in BENCHMARKS))
        return 0
    if options.into is not None:
        measure(options.names[0], options.into)
        return 0
    with tempfile.TemporaryDirectory() as compiled:
        wanted = [name for name in BENCHMARKS if not options.names or name in options.names]
        results = [launch(name, compiled, options.patience) for name in wanted]
    if not options.dry:
        write(results)
    return 1 if any(result.problem for result in results) else 0


def purpose(name: str) -> str:
    """The first line of a benchmark's own description; read rather than imported, as that takes time."""
    first = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8").split("\n", 1)[0]
    return first.strip('"')


def measure(name: str, path: Path) -> None:
    """Run one benchmark in this process and leave what it found in a file."""
    try:
        outcome = Outcome(importlib.import_module(f"bench.{name}").run())
    except Unavailable as reason:
        outcome = Outcome(absent=str(reason))
    path.write_bytes(msgspec.json.encode(outcome))


def environment(compiled: str) -> dict[str, str]:
    """The environment of a benchmark: compiled files are kept, but not in the checkout.

    The folder's name also marks the processes that are ours.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": compiled}


def launch(name: str, compiled: str, patience: float) -> Result:
    """Run one benchmark in a process of its own, once the machine is quiet, and print what it found."""
    machine.wait_for_quiet(patience)
    started, when = time.monotonic(), datetime.now(UTC)
    with machine.others(compiled) as others:
        outcome, problem = attempt(name, environment(compiled))
    result = Result(
        name=name,
        text=purpose(name),
        when=f"{when:%Y-%m-%d %H:%M} UTC, {commit()}",
        seconds=time.monotonic() - started,
        others=others.cores,
        figures=outcome.figures,
        absent=outcome.absent,
        problem=problem,
    )
    print(table(result), flush=True)
    return result


def attempt(name: str, env: dict[str, str]) -> tuple[Outcome, str]:
    """What a benchmark found, or how it failed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "outcome.json")
        command = [sys.executable, "-m", "bench", name, "--into", str(path)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True, timeout=LONGEST, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome(), f"not done within {LONGEST} s"
        if done.returncode == 0:
            return msgspec.json.decode(path.read_bytes(), type=Outcome), ""
        print(done.stderr, file=sys.stderr)
        return Outcome(), (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def commit() -> str:
    """The commit that is checked out, and whether there is more than that."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip().replace("-dirty", " with changes") or "no commit"


def write(results: list[Result]) -> None:
    """Bring the document up to date."""
    old = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    text = document(old, machine.describe(), results, BENCHMARKS)
    DOCUMENT.write_text(text, encoding="utf-8")
    print(f"written: {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
