"""The page that is scraped: the figures of every family that is in use, in Prometheus' text format. Pure."""

from collections.abc import Iterable, Mapping

from flagger.sandbox.dataplane.telemetry.counted import Counted
from flagger.sandbox.dataplane.telemetry.dialects import DIALECTS, Labels
from flagger.sandbox.dataplane.telemetry.families import Watched

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def page(seen: Mapping[str, Counted], watched: Iterable[Watched]) -> str:
    """What each watched cluster has counted, as its family tells it; clusters without requests are left out."""
    lines = [
        f"{name}{{{_told(labels)}}} {value:.12g}"
        for one in watched
        if one.cluster in seen
        for name, labels, value in DIALECTS[one.family].samples(seen[one.cluster], one.labels)
    ]
    return "\n".join([*lines, ""])


def _told(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
