"""What is missing for `make demo` is named before anything is started, with what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLD = """#!/bin/sh
case "$2" in
  *version_info[*) echo "3.9.2 (/usr/bin/python3)" ;;
  *) exit 1 ;;
esac
"""
NO_VENV = f"""#!/bin/sh
case "$2" in
  *ensurepip*) exit 1 ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh clone, as far as setting it up is concerned."""
    for part in ("tools/setup.sh", "Makefile", "pyproject.toml"):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


@pytest.mark.parametrize(
    ("script", "problem", "fix"),
    [
        pytest.param(
            OLD,
            "Python 3.11 or newer is needed, found 3.9.2 (/usr/bin/python3)",
            "install it and run  make demo PYTHON=python3.12",
            id="too old",
        ),
        pytest.param(NO_VENV, "this Python has no venv module", "apt install python3-venv", id="no venv"),
        pytest.param(
            None,
            "Python 3.11 or newer is needed, nowhere/python was not found",
            "install it (Debian",
            id="none",
        ),
    ],
)
def test_a_python_that_cannot_be_used(checkout: Path, script: str | None, problem: str, fix: str) -> None:
    """`make demo` names the problem and a fix that can be pasted, and starts nothing."""
    python = "nowhere/python"
    if script is not None:
        fake = checkout / "python"
        fake.write_text(script)
        fake.chmod(0o755)
        python = str(fake)
    done = make(checkout, "demo", PYTHON=python)

    assert done.returncode != 0
    assert problem in done.stderr
    assert f"fix: {fix}" in done.stderr
    assert "1 problem(s), nothing was started." in done.stderr
    assert not (checkout / ".venv").exists()


def test_all_problems_at_once(checkout: Path) -> None:
    """Whoever lacks two things learns of both."""
    done = make(checkout, "demo", PYTHON="nowhere/python", OFFLINE="1")

    assert "nowhere/python was not found" in done.stderr
    assert "OFFLINE=1 is set, but there is no vendor/wheels" in done.stderr
    assert "2 problem(s), nothing was started." in done.stderr


def test_stopping_what_never_ran(checkout: Path) -> None:
    """`make demo-down` on a fresh clone installs nothing."""
    done = make(checkout, "demo-down")

    assert (done.returncode, done.stdout) == (0, "nothing is running\n")
    assert not (checkout / ".venv").exists()


def make(folder: Path, target: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run make in a checkout."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    # As from a shell, also where these tests are themselves run by make.
    outside = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}}
    return subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**outside, **environ},
    )
