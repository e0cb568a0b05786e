"""Run the tests tier by tier, say which tiers can't run here and why, and add everything up.

ONLY='sandbox -k bad_release' runs one tier with further pytest arguments; KEEP_GOING=1 goes on after a
failed tier; STRICT=1 makes a tier that can't run a failure.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed)")


def needs(program: str, package: str) -> Callable[[], str]:
    """Why a tier that needs a program on PATH can't run; empty when it can."""

    def reason() -> str:
        return "" if shutil.which(program) else f"no {program} on PATH (fix: apt install {package})"

    return reason


def needs_control_plane() -> str:
    """Why the tier on a real kube-apiserver can't run; empty when it can."""
    folder = os.environ.get("KUBEBUILDER_ASSETS", "")
    if (Path(folder) / "kube-apiserver").exists():
        return ""
    return "no kube-apiserver (fix: set KUBEBUILDER_ASSETS, for instance with setup-envtest)"


@dataclass(frozen=True)
class Tier:
    """Tests that need the same things; `markers` is a pytest expression."""

    name: str
    markers: str
    missing: Callable[[], str] = lambda: ""
    workers: int = 0


TIERS: Sequence[Tier] = (
    Tier("unit", "not sandbox and not envtest and not prometheus and not kubectl and not slow", workers=2),
    Tier("prometheus", "prometheus and not slow", needs("prometheus", "prometheus")),
    Tier("kubectl", "kubectl and not slow", needs("kubectl", "kubernetes-client")),
    Tier("sandbox", "sandbox and not prometheus and not kubectl and not envtest and not slow"),
    Tier("envtest", "envtest and not slow", needs_control_plane),
)
SLOW: Sequence[Tier] = (Tier("slow", "slow"),)


def main() -> int:
    """Run the tiers; returns the exit code."""
    only, *extra = shlex.split(os.environ.get("ONLY", "")) or [""]
    tiers = SLOW if "--slow" in sys.argv else TIERS
    totals: Counter[str] = Counter()
    lines, failed, begun = [], False, time.monotonic()
    for tier in tiers:
        if only and tier.name != only:
            continue
        missing = tier.missing()
        if missing:
            lines.append(f" - {tier.name:<11}skipped: {missing}")
            failed = failed or bool(os.environ.get("STRICT"))
            continue
        line, code = run(tier, extra, totals)
        lines.append(line)
        failed = failed or code != 0
        if failed and not os.environ.get("KEEP_GOING"):
            break
    print()
    print("\n".join(lines))
    print(f"{'FAILED' if failed else 'Everything that ran passed'} in {time.monotonic() - begun:.0f} s.")
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if failed else 0


def run(tier: Tier, extra: Sequence[str], totals: Counter[str]) -> tuple[str, int]:
    """Run one tier and add its counts to `totals`; returns its line of the summary and its exit code."""
    print(f"== {tier.name}", flush=True)
    begun = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-m", tier.markers, *extra]
    if tier.workers and not extra:
        command += ["-n", str(tier.workers)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    last = ""
    assert process.stdout is not None
    for text in process.stdout:
        print(text, end="", flush=True)
        last = text if COUNT.search(text) else last
    code = process.wait()
    code = 0 if code == 5 and not totals else code  # no test collected is no failure of the tests
    counts = Counter(
        {word.rstrip("s") if word.startswith("error") else word: int(n) for n, word in COUNT.findall(last)}
    )
    counts["failed"] += counts.pop("error", 0)
    totals.update(counts)
    if code and not counts["failed"]:
        totals["failed"] += 1
    sign = "ok" if code == 0 else "FAILED"
    return f" {sign} {tier.name:<11}{counts['passed']} tests {time.monotonic() - begun:>8.1f} s", code


if __name__ == "__main__":
    sys.exit(main())
