"""What pods say of their load: their own metrics, read over HTTP where `prometheus.io/port` says that they are."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

import aiohttp

from flagger.kube.objects import Object, annotations_of, uid_of

WITHIN = 1.0  # seconds for one pod's answer
WINDOW = 3.0  # seconds over which rates are taken
RATE = "_per_second"
"""A metric `x_per_second` is the rate of the counter `x_total`; any other name is a gauge's."""

Sample = tuple[float, float]
"""Loop time in seconds, and the value."""


class Readings:
    """The load of pods. Rates take two looks, so a pod has none at first."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], deque[Sample]] = {}

    async def of(self, pods: Sequence[Object], metric: str) -> list[float]:
        """The values of a metric, of those pods that have one by now."""
        limits = aiohttp.ClientTimeout(total=WITHIN)
        async with aiohttp.ClientSession(timeout=limits) as session:
            found = await asyncio.gather(*(self._of(session, pod, metric) for pod in pods))
        return [value for value in found if value is not None]

    def keep(self, pods: Iterable[Object]) -> None:
        """Forget all other pods."""
        alive = {uid_of(pod) for pod in pods}
        self._samples = {key: known for key, known in self._samples.items() if key[0] in alive}

    async def _of(self, session: aiohttp.ClientSession, pod: Object, metric: str) -> float | None:
        counted = metric.endswith(RATE)
        name = f"{metric.removesuffix(RATE)}_total" if counted else metric
        try:
            value = total_of(await _scrape(session, pod), name)
        except (aiohttp.ClientError, TimeoutError):
            return None
        if value is None or not counted:
            return value
        samples = self._samples.setdefault((uid_of(pod), metric), deque())
        samples.append((asyncio.get_running_loop().time(), value))
        return rate_of(samples)


def total_of(exposition: str, name: str) -> float | None:
    """The sum of all series of that name in the text format; None without one."""
    found = None
    for line in exposition.splitlines():
        series, _, value = line.rpartition(" ")
        if series == name or series.startswith(f"{name}{{"):
            found = (found or 0.0) + float(value)
    return found


def rate_of(samples: deque[Sample]) -> float | None:
    """The increase per second within the window; older samples are dropped."""
    now, newest = samples[-1]
    while len(samples) > 2 and samples[1][0] <= now - WINDOW:
        samples.popleft()
    before, oldest = samples[0]
    return max(0.0, newest - oldest) / (now - before) if now > before else None


async def _scrape(session: aiohttp.ClientSession, pod: Object) -> str:
    noted = annotations_of(pod)
    port, path = noted.get("prometheus.io/port", "80"), noted.get("prometheus.io/path", "/metrics")
    async with session.get(f"http://{pod['status']['podIP']}:{port}{path}") as response:
        return await response.text()
