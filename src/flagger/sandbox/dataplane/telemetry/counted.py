"""What Envoy has counted: requests by response code, and their durations, for each cluster.

Format: Envoy's `/stats/prometheus`, series `envoy_cluster_upstream_rq` and `envoy_cluster_upstream_rq_time`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_LINE = re.compile(
    r"envoy_cluster_upstream_rq(?P<time>_time_(?P<part>bucket|sum|count))?\{(?P<labels>[^}]*)\} (?P<value>\S+)"
)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(slots=True)
class Counted:
    """The requests of one cluster since Envoy started.

    `buckets` maps upper bounds in milliseconds, as Envoy writes them, to cumulated numbers; `total_ms` is the
    sum of all durations.
    """

    codes: dict[str, int] = field(default_factory=dict)
    buckets: dict[str, int] = field(default_factory=dict)
    total_ms: float = 0.0
    timed: int = 0


def counted(page: str) -> Mapping[str, Counted]:
    """Everything a page of Envoy's statistics says of requests, by the cluster's name."""
    found: dict[str, Counted] = {}
    for match in _LINE.finditer(page):
        labels = dict(_LABEL.findall(match["labels"]))
        cluster = found.setdefault(labels.get("envoy_cluster_name", ""), Counted())
        value = float(match["value"])
        match match["part"]:
            case "bucket":
                cluster.buckets[labels["le"]] = int(value)
            case "sum":
                cluster.total_ms = value
            case "count":
                cluster.timed = int(value)
            case _ if "envoy_response_code" in labels:
                cluster.codes[labels["envoy_response_code"]] = int(value)
    return found
