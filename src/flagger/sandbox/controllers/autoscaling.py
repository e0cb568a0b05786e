"""How many pods a HorizontalPodAutoscaler wants, from what its pods report; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flagger.kube.objects import Object

TOLERANCE = 0.1
"""A load this near to its target, as a share of it, is right."""

_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6}
_STABILIZATION = {"scaleUp": 0, "scaleDown": 300}  # seconds


@dataclass(frozen=True, slots=True)
class Target:
    """One metric of type Pods and the average per pod that is aimed at."""

    metric: str
    average: float


@dataclass(frozen=True, slots=True)
class Wish:
    """A size that the load asked for at some time."""

    when: datetime
    replicas: int


class UnsupportedMetricError(Exception):
    """A metric that can't be had here; the text names it and what to use instead."""


def targets_of(autoscaler: Object) -> list[Target]:
    """The metrics of an autoscaler.

    Raises:
        UnsupportedMetricError: one is not of type Pods with an average value.
    """
    found = []
    for metric in autoscaler["spec"].get("metrics") or ():
        pods = metric.get("pods") or {}
        average = (pods.get("target") or {}).get("averageValue")
        if metric["type"] != "Pods" or average is None:
            raise UnsupportedMetricError(
                f"the sandbox has no {metric['type']} metrics: use type Pods, AverageValue"
            )
        found.append(Target(pods["metric"]["name"], quantity(average)))
    return found


def quantity(text: str | float) -> float:
    """A number as the API writes quantities: `7`, `1500m`, `2k`."""
    text = str(text)
    factor = _SUFFIXES.get(text[-1:])
    return float(text) if factor is None else float(text[:-1]) * factor


def proposed(current: int, readings: Sequence[float], unready: int, target: float) -> int:
    """The size at which the pods would be at their target, `current` where they are near enough.

    `unready` pods count as idle when more are wanted, and as fully used when fewer are.
    """
    if not readings or target <= 0:
        return current
    ratio = sum(readings) / (target * len(readings))
    if abs(ratio - 1) <= TOLERANCE:
        return current
    if not unready:
        return math.ceil(ratio * len(readings))
    total = len(readings) + unready
    assumed = 0.0 if ratio > 1 else target * unready
    again = (sum(readings) + assumed) / (target * total)
    if abs(again - 1) <= TOLERANCE or (ratio > 1) != (again > 1):
        return current
    return math.ceil(again * total)


def stabilized(autoscaler: Object, current: int, wishes: Sequence[Wish], now: datetime) -> int:
    """The size between the least and the greatest that were wished for within the windows of the behaviour."""
    latest = wishes[-1].replicas
    least = min(
        (w.replicas for w in wishes if w.when >= now - _window(autoscaler, "scaleUp")), default=latest
    )
    most = max(
        (w.replicas for w in wishes if w.when >= now - _window(autoscaler, "scaleDown")), default=latest
    )
    return max(least, min(current, most))


def bounded(autoscaler: Object, replicas: int) -> int:
    """The size within the autoscaler's limits."""
    spec = autoscaler["spec"]
    least, most = int(spec.get("minReplicas", 1)), int(spec["maxReplicas"])
    return max(least, min(replicas, most))


def longest_window(autoscaler: Object) -> timedelta:
    """How long a wish can matter."""
    return max(_window(autoscaler, direction) for direction in _STABILIZATION)


def _window(autoscaler: Object, direction: str) -> timedelta:
    rules = (autoscaler["spec"].get("behavior") or {}).get(direction) or {}
    given = rules.get("stabilizationWindowSeconds")
    return timedelta(seconds=_STABILIZATION[direction] if given is None else given)
