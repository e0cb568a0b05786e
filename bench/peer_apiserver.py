"""The embedded API server beside a real kube-apiserver with its etcd: the same client, the same requests.

The real one may use every core; ours has one thread.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path

import yaml

from bench import api_load, loops
from bench.api_load import Access, session, watchers
from bench.apiserver import IN_FLIGHT, ROWS, RUNS, WATCHES, Server
from bench.figures import Figure, Unavailable
from bench.rates import per_second
from flagger.sandbox.control_plane import ControlPlaneError, control_plane

Rates = Mapping[str, list[float]]


def run() -> list[Figure]:
    """Measure one after the other; ratios say how many times as fast as the real one ours is."""
    with tempfile.TemporaryDirectory() as folder, _real(Path(folder)) as (access, version):
        theirs = _measured(access)
    server = Server()
    try:
        ours = _measured(server.access)
    finally:
        server.stop()
    return [_compared(name, ours[name], theirs[name], version) for name in ours]


@contextmanager
def _real(folder: Path) -> Iterator[tuple[Access, str]]:
    """A real one; gives the way to it and its version."""
    try:
        with control_plane(folder) as plane:
            config = yaml.safe_load(plane.kubeconfig.read_text())
            access = Access(config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"])
            yield access, "v" + ".".join(map(str, plane.version))
    except ControlPlaneError as error:
        raise Unavailable(str(error)) from error


def _measured(access: Access) -> Rates:
    with watchers(access, WATCHES):
        return loops.run(_rates(access))


async def _rates(access: Access) -> Rates:
    found: dict[str, list[float]] = {}
    async with session(access) as client:
        await api_load.furnish(client)
        for row, in_flight in product(ROWS, (1, IN_FLIGHT)):
            step = partial(row.step, client)
            rates = [row.requests * await per_second(step, in_flight) for _ in range(RUNS)]
            found[f"{row.name}, {in_flight} in flight"] = rates
    return found


def _compared(name: str, ours: list[float], theirs: list[float], version: str) -> Figure:
    """The ratio of each pair of runs."""
    mine, its = statistics.median(ours), statistics.median(theirs)
    note = f"requests a second: ours {mine:,.0f}, kube-apiserver {version} {its:,.0f}"
    ratios = tuple(one / other for one, other in zip(ours, theirs, strict=True))
    return Figure(name, "times as fast", ratios, note=f"{note}; {WATCHES} watches open")
