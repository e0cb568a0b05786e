"""The operator as a process: start, endpoints, log lines, signals, exit codes, leadership."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flagger.kube.lease import NAME
from flagger.kube.objects import DEPLOYMENT, LEASE, Object
from tests.fakes.cluster import Lab, a_canary, a_lab, a_target, deployments_rolling, until
from tests.runtime.operating import METRICS, MetricsServer, phase_is
from tests.runtime.processes import running

QUICK = [
    "-enable-leader-election",
    "-lease-duration=2s",
    "-lease-renew-deadline=1s",
    "-lease-retry-period=200ms",
]
WEIGHTED: dict[str, Any] = {"stepWeight": 50, "maxWeight": 50, "metrics": METRICS, "interval": "1s"}


@pytest.fixture
def kubeconfig(lab: Lab, tmp_path: Path) -> str:
    """The flag that leads to the lab."""
    path = tmp_path / "kubeconfig"
    path.write_text(lab.server.kubeconfig())
    return f"-kubeconfig={path}"


async def test_a_release_by_a_process(lab: Lab, kubeconfig: str) -> None:
    """Given nothing but a kubeconfig, it promotes a revision; its lines are JSON under upstream's keys."""
    await lab.add(a_target(), a_canary(analysis=WEIGHTED))
    async with MetricsServer() as metrics, deployments_rolling(lab.client):
        flags = [kubeconfig, f"-metrics-server={metrics.url}", "-analysis-interval-floor=500ms"]
        async with running(*flags) as operator:
            await phase_is(lab, "Initialized")
            containers = [{"name": "web", "image": "podinfo:2"}]
            await lab.change(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": containers}}}})
            await phase_is(lab, "Succeeded", within=20.0)
            assert await operator.end() == 0

    for entry in operator.entries:
        assert list(entry)[:4] == ["level", "ts", "caller", "msg"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["ts"])
        assert re.fullmatch(r"\w+/\w+\.py:\d+", entry["caller"])
        assert entry["level"] in {"debug", "info", "warn", "error"}
    advanced = operator.entry("Advance checkout.shop canary weight 50")
    assert advanced is not None
    assert (advanced["level"], advanced["canary"]) == ("info", "checkout.shop")


async def test_endpoints(lab: Lab, kubeconfig: str) -> None:
    """Exactly three paths; health doesn't depend on anything, readiness on the caches."""
    async with running(kubeconfig) as operator, aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{await operator.port()}"

        async def ready() -> bool:
            async with session.get(f"{base}/readyz") as answer:
                return answer.status == 200

        await until(ready, "ready")
        for method in ("GET", "POST", "HEAD"):
            async with session.request(method, f"{base}/healthz") as answer:
                assert answer.status == 200
                assert await answer.text() == ("" if method == "HEAD" else "OK")
        async with session.get(f"{base}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            text = await answer.text()
        assert 'flagger_info{mesh_provider="istio",version=' in text
        assert "process_resident_memory_bytes" in text
        assert "_created" not in text
        async with session.get(f"{base}/debug/pprof") as answer:
            assert answer.status == 404


async def test_logs_on_a_console(lab: Lab, kubeconfig: str) -> None:
    """The same parts, separated by tabs; a level above silences the rest."""
    async with running(kubeconfig, "-zap-encoding=console", "-log-level=info") as operator:
        await until(lambda: any("connected" in line for line in operator.lines), "a line")
        await operator.end()

    line = next(line for line in operator.lines if "connected" in line)
    assert re.fullmatch(r"\S+Z\tinfo\truntime/main\.py:\d+\tconnected\t\{.*\}", line)
    assert not any("\tdebug\t" in line for line in operator.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(lab: Lab, kubeconfig: str, number: int) -> None:
    """Exit code 0, and no stack trace."""
    async with running(kubeconfig) as operator:
        await operator.logged("connected")
        assert await operator.end(number) == 0

    assert operator.entry("shutting down operator workers")
    assert not any("Traceback" in line for line in operator.lines)


STUBBORN = """
import asyncio
from flagger.runtime.signals import until_signalled

async def work():
    print("up", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(60)

asyncio.run(until_signalled(work()))
"""


async def test_a_second_signal_ends_it_at_once() -> None:
    """Whatever still has to be done at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STUBBORN, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        process.terminate()
        await asyncio.sleep(0.2)
        assert process.returncode is None
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 5) == 1
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        pytest.param(["-version"], 0, "", id="version"),
        pytest.param(["-h"], 0, "", id="help"),
        pytest.param(["-nonsense"], 2, "flag provided but not defined: -nonsense", id="unknown flag"),
        pytest.param(["-port=http"], 2, "flag -port", id="bad value"),
        pytest.param(["-kubeconfig=/nonexistent/config"], 1, "/nonexistent/config", id="no such kubeconfig"),
        pytest.param([], 1, "flagger sandbox up", id="no kubeconfig at all"),
        pytest.param(
            ["-master=https://127.0.0.1:1"],
            1,
            "API server https://127.0.0.1:1: Connection refused",
            id="no server",
        ),
    ],
)
async def test_exit_codes_at_the_start(arguments: list[str], code: int, text: str) -> None:
    """Nothing to do is 0, bad flags are 2, anything else that keeps it from working is 1; the reason is told."""
    async with running(*arguments) as operator:
        assert await asyncio.wait_for(operator.process.wait(), 20) == code

    assert any(text in line for line in operator.lines) or not text
    assert not any("Traceback" in line for line in operator.lines)


async def test_the_port_is_taken(lab: Lab, kubeconfig: str) -> None:
    """Exit code 1, and the address in the message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running(kubeconfig, f"-port={port}") as operator:
            assert await asyncio.wait_for(operator.process.wait(), 20) == 1

    (fatal,) = [entry for entry in operator.entries if entry["level"] == "fatal"]
    assert str(port) in fatal["msg"]
    assert "address already in use" in fatal["msg"]


async def test_the_crd_is_missing(tmp_path: Path) -> None:
    """Exit code 1, and the command that installs it."""
    async with a_lab([]) as lab:
        (tmp_path / "kubeconfig").write_text(lab.server.kubeconfig())
        async with running(f"-kubeconfig={tmp_path / 'kubeconfig'}") as operator:
            assert await asyncio.wait_for(operator.process.wait(), 20) == 1

    (fatal,) = [entry for entry in operator.entries if entry["level"] == "fatal"]
    assert "Canary CRD is not registered" in fatal["msg"]
    assert "kubectl apply" in fatal["msg"]


async def holder(lab: Lab) -> str:
    lease = await lab.client.get(LEASE, NAME, "kube-system")
    return str(lease["spec"].get("holderIdentity") or "")


async def test_one_acts_and_another_takes_over(lab: Lab, kubeconfig: str) -> None:
    """Of two instances one works; when that is killed, the other goes on with the run."""
    await lab.add(a_target(), a_canary(analysis=WEIGHTED))
    async with MetricsServer() as metrics, deployments_rolling(lab.client):
        flags = [kubeconfig, *QUICK, f"-metrics-server={metrics.url}", "-analysis-interval-floor=500ms"]
        async with running(*flags) as first:
            await first.logged("acting as elected leader")
            async with running(*flags) as second:
                await phase_is(lab, "Initialized")
                containers = [{"name": "web", "image": "podinfo:2"}]
                await lab.change(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": containers}}}})
                await phase_is(lab, "Progressing")
                assert await first.end(signal.SIGKILL) == -signal.SIGKILL
                assert second.entry("acting as elected leader") is None

                await phase_is(lab, "Succeeded", within=20.0)
                assert second.entry("acting as elected leader")
                assert await second.end() == 1
    assert await holder(lab) == ""


async def test_a_lost_lease_ends_the_process(lab: Lab, kubeconfig: str) -> None:
    """Somebody else holds it now: this instance stops, so that it can come back as a candidate."""
    async with running(kubeconfig, *QUICK) as operator:
        await operator.logged("acting as elected leader")
        theirs: Object = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 60}}
        await lab.client.patch(LEASE, NAME, "kube-system", theirs)
        assert await asyncio.wait_for(operator.process.wait(), 10) == 1

    assert operator.entry("leadership lost")
    assert await holder(lab) == "somebody"
    assert not any("Traceback" in line for line in operator.lines)
