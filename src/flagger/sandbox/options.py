"""How a sandbox is set up; also as the command line of `flagger sandbox serve`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

ENGINES = ("builtin", "envtest")
METRICS = ("embedded", "prometheus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`state_dir` holds kubeconfig, logs and whatever runs; with `data_dir` the cluster's objects outlive it.

    `engine` is `builtin` or `envtest` (real control-plane binaries), `metrics` is `embedded` or `prometheus`
    (a real one, from PATH). `by_demo` says that a demo starts it, for itself.
    """

    state_dir: Path
    data_dir: Path | None = None
    engine: str = "builtin"
    metrics: str = "embedded"
    scrape_interval: timedelta = timedelta(seconds=1)
    by_demo: bool = False

    def arguments(self) -> list[str]:
        """The same as arguments of `flagger sandbox serve`."""
        kept = [] if self.data_dir is None else [f"--data-dir={self.data_dir}"]
        return [
            f"--state-dir={self.state_dir}",
            f"--engine={self.engine}",
            f"--metrics={self.metrics}",
            f"--scrape-interval={self.scrape_interval.total_seconds()}",
            *kept,
            *(["--by-demo"] if self.by_demo else []),
        ]
