"""The two things a newcomer waits for: set-up in a fresh clone, and the demo."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, at_most, repeated
from bench.processes import ROOT

PLAYS, SETUPS = 3, 2
LONGEST = 400  # seconds
_USERS = re.compile(r"users: (\d+) requests answered, (\d+) failed by the bad release, (\d+) otherwise")


def run() -> list[Figure]:
    """Play the demo, then set up fresh clones."""
    plays = [_play() for _ in range(PLAYS)]
    served, failed, _ = _USERS.findall(plays[-1][1])[-1]
    return [
        Figure(
            "flagger demo",
            "s",
            tuple(seconds for seconds, _ in plays),
            at_most(90),
            f"both releases; the last one served {served} requests, {failed} failed by the bad release",
        ),
        Figure(
            "requests that failed otherwise",
            "requests",
            tuple(float(_USERS.findall(text)[-1][2]) for _, text in plays),
            at_most(0),
            "of users, while nothing but the bad release should fail any",
        ),
        Figure(
            "set-up in a fresh clone",
            "s",
            repeated(_setup, SETUPS),
            at_most(180),
            "tools/setup.sh sandbox: virtual environment and all packages, as fast as the package index is",
        ),
    ]


def _play() -> tuple[float, str]:
    """Seconds that the demo takes, and what it prints; an outcome that is wrong raises."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "flagger", "demo", "--plain", "--no-keep", f"--state-dir={folder}"]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=LONGEST)
        return time.perf_counter() - started, done.stdout


def _setup() -> float:
    """Seconds that the set-up takes in a clone of what is committed."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        started = time.perf_counter()
        env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        subprocess.run(["tools/setup.sh", "sandbox"], cwd=clone, env=env, check=True, timeout=LONGEST)
        return time.perf_counter() - started
