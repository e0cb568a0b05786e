"""The demo as people run it: in a pipe, on a terminal, interrupted, killed."""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flagger.sandbox.options import Options
from tests.fakes.sandbox import a_sandbox, processes_of

pytestmark = pytest.mark.sandbox

QUICK = ("--interval=1s",)
WITHIN = 90.0  # seconds: the demo's own budget
LINE = re.compile(r"(demo:|\d\d+\.\d ).*")
PLAIN = r"""
demo: flagger \S+, built-in sandbox, budget 73s
T sandbox: starting
T sandbox: ready, api=https://127\.0\.0\.1:\d+ kubeconfig=\S+/kubeconfig
T operator: ready, provider=gatewayapi:v1 analysis-interval-floor=1s
T apply: Namespace/shop Deployment/checkout Gateway/public Canary/checkout
T shop/checkout Initialized 0%: Initialization done! checkout\.shop
T users: 60 requests/s to http://127\.\S+/
T act 1/2: good release, checkout:6\.7\.0 -> checkout:6\.7\.1
T shop/checkout Progressing 0%: New revision detected! Scaling up checkout\.shop
T shop/checkout Progressing 10%: Advance checkout\.shop canary weight 10
T shop/checkout Progressing 20%: Advance checkout\.shop canary weight 20 FIGURES
T shop/checkout Progressing 30%: Advance checkout\.shop canary weight 30 FIGURES
T shop/checkout Progressing 40%: Advance checkout\.shop canary weight 40 FIGURES
T shop/checkout Progressing 50%: Advance checkout\.shop canary weight 50 FIGURES
T shop/checkout Promoting 50%: Copying checkout\.shop template spec to checkout-primary\.shop FIGURES
T shop/checkout Finalising 0%: Routing all traffic to primary
T shop/checkout Succeeded 0%: Promotion completed! Scaling down checkout\.shop
T act 1/2: ok, promoted in \d+\.\ds, failed user requests 0
T noticed: \d\.\d\ds after the push, weights 0% -> 10% -> 20% -> 30% -> 40% -> 50% -> 0%
T act 2/2: bad release, checkout:6\.7\.1 -> checkout:6\.8\.0 \(every fourth request fails\)
T shop/checkout Progressing 0%: New revision detected! Scaling up checkout\.shop
T shop/checkout Progressing 10%: Advance checkout\.shop canary weight 10
MAYBE T shop/checkout Progressing 20%: Advance checkout\.shop canary weight 20 FIGURES
T shop/checkout Progressing [12]0%: Halt checkout\.shop advancement success rate \d\d\.\d\d% < 99% FIGURES
T shop/checkout Progressing [12]0%: Halt checkout\.shop advancement success rate \d\d\.\d\d% < 99% FIGURES
T shop/checkout Progressing [12]0%: Halt checkout\.shop advancement success rate \d\d\.\d\d% < 99% FIGURES
T shop/checkout Failed 0%: Rolling back checkout\.shop failed checks threshold reached 3
T act 2/2: ok, rolled back in \d+\.\ds, failed user requests \d+ of \d+
T noticed: \d\.\d\ds after the push, weights 0% -> 10% -> .*0%
T detected: first failed check \d+\.\ds after the first failed request, traffic back after \d+\.\ds
T compare: a plain rolling update would have failed about \d+ requests in these \d+\.\ds
T why: checkout was rolled back at [12]0 %: request-success-rate was \d\d\.\d\d %, below the limit of 99 %, in 3 of [34] passes\.
T users: \d+ requests answered, \d+ failed by the bad release, 0 otherwise
T sandbox: stopped \(set KEEP=1 to leave it running\)
T logs: \S+/log
demo: PASS in \d+\.\ds
""".strip().splitlines()  # noqa: E501 - lines of output
SCREEN = r"""
flagger demo · version \S+ · built-in sandbox \(no Docker, no root\) · takes about half a minute
 ✔ sandbox up            API https://127\.0\.0\.1:\d+ · metrics http://127\.0\.0\.1:\d+
 ✔ operator up           provider gatewayapi:v1 · analysis every 1s \(floor lowered to 1s for the demo\)
 ✔ shop/checkout ready   checkout:6\.7\.0 serves 100 % · load: 60 requests/s to http://127\.\S+/
Act 1 of 2 · a good release · checkout:6\.7\.0 → 6\.7\.1
 ✔ promoted in \d+ s .*0 → 10 → 20 → 30 → 40 → 50 % → primary · 0 failed checks · 0 failed user requests
Act 2 of 2 · a bad release · checkout:6\.7\.1 → 6\.8\.0 \(every fourth request fails\)
 ✔ rolled back in \d+ s .*0 → 10 .*% → rolled back · 3 failed checks · \d+ of \d+ user requests failed
Done in \d+ s: the good release is live, the bad one is not\.
The sandbox is still running:
""".strip().splitlines()


@dataclass
class Run:
    """A run of the demo. `output` is what it printed, on a terminal with all its control sequences."""

    state_dir: Path
    process: subprocess.Popen[bytes]
    output: bytearray = field(default_factory=bytearray)
    begun: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        return self.output.decode()

    def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        try:
            return self.process.wait(WITHIN)
        finally:
            self.reader.join(5)

    def until(self, text: str) -> None:
        """Wait until it has printed something."""
        deadline = time.monotonic() + WITHIN
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.01)

    def read(self, descriptor: int) -> None:
        """Collect what is printed, in a thread."""

        def collect() -> None:
            while True:
                try:
                    data = os.read(descriptor, 65536)
                except OSError:  # a terminal whose last user has gone
                    break
                if not data:
                    break
                self.output += data
            os.close(descriptor)

        self.reader = threading.Thread(target=collect)
        self.reader.start()


def play(state_dir: Path, *words: str, terminal: bool = False, through: Sequence[str] = ()) -> Run:
    """Start the demo with its output in a pipe or on a terminal of 120 columns, `through` another program."""
    near, far = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    process = subprocess.Popen(
        [*through, sys.executable, "-m", "flagger", "demo", f"--state-dir={state_dir}", *words],
        stdin=subprocess.DEVNULL,
        stdout=far,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "KEEP": ""},
    )
    os.close(far)
    run = Run(state_dir, process)
    run.read(near)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Three demos at the same time: in a pipe, on a terminal, and with a bad release that is good."""
    folder = tmp_path_factory.mktemp("demos")
    started = {
        "pipe": play(folder / "pipe", *QUICK),
        "terminal": play(folder / "terminal", *QUICK, terminal=True),
        "good": play(folder / "good", *QUICK, "--fail-every=0"),
    }
    yield started
    for run in started.values():
        run.process.terminate()
        run.wait()
        stop(run.state_dir)


def stop(state_dir: Path) -> str:
    """`flagger sandbox down`."""
    command = [sys.executable, "-m", "flagger", "sandbox", "down", f"--state-dir={state_dir}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_plain_lines(runs: dict[str, Run]) -> None:
    """In a pipe: one line per fact, ASCII only, both acts as announced, exit code 0 and nothing left running."""
    run = runs["pipe"]

    assert run.wait() == 0, run.text
    assert all(
        LINE.fullmatch(line) and line.isascii() and line.isprintable() for line in run.text.splitlines()
    )
    assert_lines(run.text.splitlines(), PLAIN)
    assert processes_of(run.state_dir) == {}


def assert_lines(found: Sequence[str], patterns: Sequence[str]) -> None:
    """Every line matches its pattern, in order."""
    figures = r"\(canary: success rate \d+\.\d\d%, p99 \d+ ms\)"
    lines = iter(found)
    line = next(lines)
    for each in patterns:
        pattern = each.removeprefix("MAYBE ").replace("FIGURES", figures)
        if pattern.startswith("T "):
            pattern = rf"\d\d+\.\d {pattern[2:]}"
        if re.fullmatch(pattern, line):
            line = next(lines, "")
        else:
            assert each.startswith("MAYBE "), f"{line!r} is not {pattern!r}\n" + "\n".join(found)
    assert line == ""


def test_on_a_terminal(runs: dict[str, Run]) -> None:
    """What remains in the scroll-back; a panel was drawn meanwhile; the sandbox stays up for a look around."""
    run = runs["terminal"]

    assert run.wait() == 0, run.text
    scrolled = [line.rstrip() for line in without_controls(run.text).splitlines()]
    for pattern in SCREEN:
        assert any(re.match(pattern, line) for line in scrolled), f"no line {pattern!r} in\n" + "\n".join(
            scrolled
        )
    assert "request-success-rate" in run.text
    assert "LAST 20 PASSES" in run.text
    assert run.text.rstrip().endswith(f"sandbox down --state-dir {run.state_dir}")
    assert "envoy" in {Path(line.split()[0]).name for line in processes_of(run.state_dir).values()}
    assert stop(run.state_dir) == "sandbox stopped\n"
    assert processes_of(run.state_dir) == {}


def without_controls(text: str) -> str:
    """The text without colours and movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")


def test_a_wrong_outcome_is_a_failure(runs: dict[str, Run]) -> None:
    """When the bad release turns out good: exit code 3, and the last line names act, outcome and logs."""
    run = runs["good"]

    assert run.wait() == 3, run.text
    last = run.text.splitlines()[-1]
    assert last == f"demo: FAIL, act 2/2 ended Succeeded, expected Failed; logs in {run.state_dir}/log"
    assert processes_of(run.state_dir) == {}


MOMENTS = (
    pytest.param("sandbox: starting", signal.SIGINT, id="while the sandbox starts"),
    pytest.param("sandbox: ready", signal.SIGTERM, id="while the operator starts"),
    pytest.param("canary weight 20", signal.SIGINT, id="in the middle of an act"),
)


@pytest.fixture(scope="module")
def to_interrupt(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A demo for each moment, all started at once."""
    folder = tmp_path_factory.mktemp("interrupted")
    return {moment.values[0]: play(folder / str(index), *QUICK) for index, moment in enumerate(MOMENTS)}


@pytest.mark.parametrize(("moment", "number"), MOMENTS)
def test_interrupted(to_interrupt: dict[str, Run], moment: str, number: int) -> None:
    """Everything is stopped first, then it ends with code 130; a second signal changes nothing."""
    run = to_interrupt[moment]
    run.until(moment)
    run.process.send_signal(number)
    time.sleep(0.05)
    run.process.send_signal(number)

    assert run.wait() == 130, run.text
    assert processes_of(run.state_dir) == {}


def test_killed(tmp_path: Path) -> None:
    """What a killed demo leaves is replaced by the next one, without anybody cleaning up."""
    moments = {tmp_path / "early": "sandbox: starting", tmp_path / "late": "canary weight 10"}
    killed = [(play(folder, *QUICK), moment) for folder, moment in moments.items()]
    for run, moment in killed:
        run.until(moment)
        run.process.kill()
        run.wait()
    assert processes_of(tmp_path / "late")

    for run in [play(folder, *QUICK) for folder in moments]:
        run.until("Initialized 0%")
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == 130
        assert processes_of(run.state_dir) == {}


def test_uses_a_sandbox_that_is_up(tmp_path: Path) -> None:
    """One that somebody has started by hand is used, and left as it was."""
    with a_sandbox(Options(state_dir=tmp_path)) as sandbox:
        pid = sandbox.record.sandbox.pid
        run = play(tmp_path, *QUICK)
        run.until("canary weight 10")
        assert f"demo: using the sandbox that is up, pid {pid}\n" in run.text
        run.process.send_signal(signal.SIGINT)

        assert run.wait() == 130
        assert sandbox.record.sandbox.pid == pid
        assert sandbox.record.operator is None


def test_ports_below_1024_may_be_reserved(tmp_path: Path) -> None:
    """Without the right to listen on port 80 the Gateway moves to 18080, and users follow."""
    drop = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("needs `setpriv` to give up the right to listen on port 80")
    run = play(tmp_path, *QUICK, through=drop if os.getuid() == 0 else ())
    run.until("canary weight 10")
    run.process.send_signal(signal.SIGINT)

    assert run.wait() == 130
    assert re.search(r"users: 60 requests/s to http://127\.[0-9.]+:18080/\n", run.text)
