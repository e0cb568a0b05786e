"""`flagger sandbox` when there is none, or only the remains of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flagger import __version__
from flagger.sandbox.state import (
    Process,
    Record,
    claim,
    read_record,
    record_path,
    running,
    stop_all,
    write_record,
)


def run(*words: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the real program."""
    command = [sys.executable, "-m", "flagger", "sandbox", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, **environ},
    )


@pytest.mark.parametrize(("words", "code"), [(["status"], 1), (["down"], 0), (["release", "app", "1.0"], 1)])
def test_without_a_sandbox(tmp_path: Path, words: list[str], code: int) -> None:
    """Says so, with the place where it looked; stopping what isn't running is no error."""
    done = run(*words, "--state-dir", str(tmp_path))

    assert done.returncode == code
    assert f"no sandbox is running ({tmp_path})" in done.stdout + done.stderr
    assert code == 0 or "flagger sandbox up" in done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--metrics", "prometheus"], "no `prometheus` on PATH"),
        (["--engine", "envtest"], "set KUBEBUILDER_ASSETS"),
        (["--engine", "envtest", "--data-dir", "x"], "--data-dir needs the engine builtin"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, words: list[str], text: str) -> None:
    """A sandbox that can't come up names what is missing, and leaves nothing running."""
    done = run("up", "--state-dir", str(tmp_path), *words, PATH="/nowhere", KUBEBUILDER_ASSETS="")

    assert done.returncode in {1, 2}
    assert text in done.stderr
    assert running(tmp_path) is None


def test_the_remains_of_a_killed_one_are_ended(tmp_path: Path) -> None:
    """A record of dead and living processes: the living are stopped, those that only have the number are not."""
    sleeper = subprocess.Popen(["sleep", "60"])
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        operator = Process.of(sleeper.pid)
        somebody = Process(bystander.pid, started=1)
        write_record(tmp_path, Record(sandbox=somebody, version=__version__, ready=True, operator=operator))

        assert running(tmp_path) is None
        assert stop_all(tmp_path)
        assert sleeper.wait(5) != 0
        assert bystander.poll() is None
        assert not record_path(tmp_path).exists()
        assert not stop_all(tmp_path)
    finally:
        for process in (sleeper, bystander):
            process.kill()
            process.wait()


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """Half a file, or one of another version, doesn't get in the way."""
    record_path(tmp_path).parent.mkdir()
    record_path(tmp_path).write_text('{"pid": 1')

    assert read_record(tmp_path) is None


def test_one_sandbox_for_each_directory(tmp_path: Path) -> None:
    """A second one is refused, with the way to stop the first."""
    with claim(tmp_path):
        done = run("serve", "--state-dir", str(tmp_path))

    assert done.returncode == 1
    assert f"another sandbox uses {tmp_path}; stop it:  flagger sandbox down" in done.stderr


def test_state_goes_elsewhere_from_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """In a read-only checkout: $XDG_STATE_HOME/flagger."""
    readonly, home = tmp_path / "checkout", tmp_path / "home"
    readonly.mkdir()
    script = f'mount --bind {readonly} {readonly} && mount -o remount,ro,bind {readonly} && cd {readonly} && exec "$@"'
    command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    probe = subprocess.run([*command, "true"], capture_output=True, check=False, timeout=30)
    if probe.returncode != 0:
        pytest.skip("needs `unshare --mount --user` to make a folder read-only")

    done = subprocess.run(
        [*command, sys.executable, "-m", "flagger", "sandbox", "status"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "XDG_STATE_HOME": str(home)},
    )
    assert f"no sandbox is running ({home}/flagger)" in done.stderr
