"""How soon an operator is there: imports, start, start over a population.

Each run is a new process; the embedded API server runs in one of its own.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, at_most, repeated
from bench.population import Pace, Site, operator, site
from bench.processes import ROOT

RUNS = 7
POPULATION = 100
INITIALIZED_WITHIN = 120.0  # seconds
MODULE = "flagger.cli.run"
# CPython's own report: self time and cumulative time in microseconds, and the module, indented by depth.
_LINE = re.compile(r"import time: +(\d+) \| +(\d+) \| ( *)(\S+)")
_TIMED = (
    f"import time; began = time.perf_counter(); import {MODULE}; print((time.perf_counter() - began) * 1000)"
)


def run() -> list[Figure]:
    """Measure imports without a server, then starts with one."""
    _import_time()  # leaves compiled files
    return [
        Figure(
            "import of the operator",
            "ms",
            repeated(_import_time, RUNS),
            at_most(350),
            f"wall time of `import {MODULE}` in a new interpreter, compiled files present",
        ),
        Figure(
            "the same without compiled files",
            "ms",
            repeated(_first_import_time, RUNS),
            note="as at the very first start, or where Python can't write them",
        ),
        Figure(
            "the same by -X importtime",
            "ms",
            repeated(_traced_import_time, RUNS),
            at_most(350),
            f"cumulative, all packages on the way; slowest: {', '.join(_slowest())}",
        ),
        *asyncio.run(_starts()),
    ]


def _import_time() -> float:
    return float(_python("-c", _TIMED).stdout)


def _first_import_time() -> float:
    with tempfile.TemporaryDirectory() as nothing:
        return float(_python("-B", "-X", f"pycache_prefix={nothing}", "-c", _TIMED).stdout)


def _traced_import_time() -> float:
    """The sum over the outermost modules; `-X importtime` itself costs some of it."""
    lines = _trace()
    return sum(cumulative for _, cumulative, depth, _ in lines if depth == 0) / 1000


def _slowest() -> list[str]:
    """The packages whose own lines add up to the most, third-party or ours."""
    totals: dict[str, int] = {}
    for own, _, _, name in _trace():
        package = name.split(".", 1)[0]
        totals[package] = totals.get(package, 0) + own
    ordered = sorted(totals, key=lambda name: -totals[name])[:5]
    return [f"{name} {totals[name] / 1000:.0f} ms" for name in ordered]


def _trace() -> list[tuple[int, int, int, str]]:
    """Own time, cumulative time, depth and name of each module behind the interpreter's own."""
    text = _python("-X", "importtime", "-c", f"import {MODULE}").stderr
    found = [(int(own), int(whole), len(deep), name) for own, whole, deep, name in _LINE.findall(text)]
    names = [name for _, _, _, name in found]
    return found[names.index("site") + 1 :]


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)


async def _starts() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with site(folder, 0, Pace()) as empty:
            first = [await asyncio.to_thread(_start, folder, empty) for _ in range(RUNS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with site(folder, POPULATION, Pace(interval="5s")) as here:
            with operator(folder, here.server.kubeconfig):
                await here.until(here.all_in("Initialized", POPULATION), INITIALIZED_WITHIN)
                await here.quiet()
            second = [await asyncio.to_thread(_start, folder, here) for _ in range(RUNS)]
    note = "from the start of the process until /readyz answers 200"
    return [
        Figure("start of `flagger run`", "ms", tuple(first), note=f"{note}; no Canaries"),
        Figure(
            f"start over {POPULATION} Canaries", "ms", tuple(second), note=f"{note}: the Canaries are known"
        ),
    ]


def _start(folder: Path, here: Site) -> float:
    started = time.perf_counter()
    with operator(folder, here.server.kubeconfig):
        return (time.perf_counter() - started) * 1000
