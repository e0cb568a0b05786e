"""Nothing outlives the kubelet, and it takes up where an earlier one was lost."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from flagger.kube.client import Client
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import POD
from flagger.sandbox.apiserver import ApiServer
from flagger.sandbox.kubelet import leftovers
from flagger.sandbox.kubelet.launch import Isolation, Launch
from flagger.sandbox.kubelet.processes import KILLED, Processes, StartError
from flagger.sandbox.kubelet.rootfs import Mount
from tests.sandbox.controllers.world import until
from tests.sandbox.kubelet.world import Pods, a_kubelet, a_podinfo, a_script, container_status, isolation
from tests.sandbox.podinfo.addresses import an_address

HOLDER = """
import asyncio, os, sys
from flagger.sandbox.kubelet.launch import Launch
from flagger.sandbox.kubelet.processes import Processes

async def main(folder):
    async with Processes() as processes:
        script = f"setsid sleep 1000 & echo $! > {folder}/far; sleep 1000 & echo $! > {folder}/near; wait"
        shell = Launch(["sh", "-c", script], dict(os.environ), "/", folder)
        podinfo = Launch([], {"POD_IP": sys.argv[2]}, "/", folder, app="podinfo")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for launch in (shell, podinfo):
            process = await processes.start(launch, nowhere)
            print(await process.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


def is_alive(pid: int) -> bool:
    """Does a process run (one that nobody has waited for yet does not)?"""
    try:
        return stat_of(pid)[0] != "Z"
    except (OSError, IndexError):
        return False


def read(file: Path) -> str:
    """What is in a file, if it exists."""
    return file.read_text() if file.exists() else ""


def stat_of(pid: int) -> list[str]:
    """The fields of a process after its name (proc(5), stat)."""
    return read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()


async def pid_in(file: Path) -> int:
    """A pid as soon as somebody has written it down."""

    async def check() -> int:
        text = read(file)
        return int(text) if text.endswith("\n") else 0

    return int(await until(check, f"{file.name} holds a pid"))


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_all_end_with_their_supervisor(tmp_path: Path, ending: signal.Signals) -> None:
    """However it ends: programs, their children, those that left the group, and built-in apps."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path), an_address()]
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    holder = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=nowhere)
    try:
        pids = [int(await holder.stdout.readline()) for _ in range(2)]
        pids += [await pid_in(tmp_path / name) for name in ("far", "near")]
        assert all(is_alive(pid) for pid in pids)
        holder.send_signal(ending)
        await holder.communicate()
    finally:
        if holder.returncode is None:
            holder.kill()
            await holder.communicate()

    async def all_dead() -> bool:
        return not any(is_alive(pid) for pid in pids)

    await until(all_dead, "every process has ended", within=10)


async def test_even_a_killed_fork_server_leaves_nothing_for_long(tmp_path: Path) -> None:
    """Containers die with it; what they started is found by its group at the next start."""
    folder = tmp_path / "pods" / "u-1"
    folder.mkdir(parents=True)
    script = f"sleep 1000 & echo $! > {tmp_path}/child; wait"
    async with Processes() as processes:
        launch = Launch(
            ["sh", "-c", script], dict(os.environ), "/", str(folder), pid_file=str(folder / "app.pid")
        )
        process = await processes.start(launch, 1)
        child = await pid_in(tmp_path / "child")
        fork_server = int(stat_of(await process.pid)[1])

        os.kill(fork_server, signal.SIGKILL)

        assert await process.wait() == KILLED
        again = await processes.start(Launch(["true"], dict(os.environ), "/", str(folder)), 1)
        assert await again.wait() == 0  # another fork server has taken its place
    leftovers.clean(tmp_path / "pods")

    async def is_dead() -> bool:
        return not is_alive(child)

    await until(is_dead, "the child has ended")
    assert not (tmp_path / "pods").exists()


async def test_many_starts_at_once_wait_their_turn(tmp_path: Path) -> None:
    """More than the socket to the fork server holds: none is lost."""
    launch = Launch(["true"], dict(os.environ), "/", str(tmp_path))
    async with Processes() as processes:

        async def one() -> int:
            return await (await processes.start(launch, 2)).wait()

        assert set(await asyncio.gather(*(one() for _ in range(400)))) == {0}


def test_leaves_processes_of_others_alone(tmp_path: Path) -> None:
    """A note about a pid that somebody else has by now kills nobody."""
    (tmp_path / "u-1").mkdir()
    note = f"{os.getpid()} 12345 {leftovers.BOOT_ID.read_text().strip()}"
    (tmp_path / "u-1" / "app.pid").write_text(note)
    (tmp_path / "u-1" / "other.pid").write_text("1 1 another-boot")

    leftovers.clean(tmp_path)

    assert not tmp_path.exists()


@pytest.mark.parametrize("way", [Isolation.ROOT, Isolation.USER, Isolation.NONE])
async def test_every_way_of_isolation(tmp_path: Path, way: Isolation) -> None:
    """With mounts of its own a process sees its volumes; without, it finds them below where it starts."""
    if way not in {Isolation.NONE, isolation()} and isolation() != Isolation.ROOT:
        pytest.skip(f"this machine allows {isolation()}, not {way}")
    for name in ("root", "volume"):
        (tmp_path / name).mkdir()
    (tmp_path / "volume" / "file").write_text("mounted")
    mounts = [Mount(str(tmp_path / "volume"), "/etc/deep/in/volume")]
    file = "etc/deep/in/volume/file" if way == Isolation.NONE else "/etc/deep/in/volume/file"
    script = f"cat {file} > {tmp_path}/out; test -e /etc/passwd"
    launch = Launch(
        ["sh", "-c", script], dict(os.environ), "/", str(tmp_path / "root"), mounts, isolation=way
    )

    async with Processes() as processes:
        process = await processes.start(launch, 2)
        assert await process.wait() == 0

    assert read(tmp_path / "out") == "mounted"
    assert "deep" not in {entry.name for entry in os.scandir("/etc")}


@pytest.mark.usefixtures("mounts")
async def test_says_why_a_mount_failed(tmp_path: Path) -> None:
    """A source that does not exist is an error of the start, with the path in it."""
    async with Processes() as processes:
        mounts = [Mount(str(tmp_path / "gone"), "/etc/hosts")]
        launch = Launch(["true"], {}, "/", str(tmp_path), mounts, isolation=processes.isolation)
        process = await processes.start(launch, 2)
        with pytest.raises(StartError, match="No such file or directory"):
            await process.wait()


async def test_a_new_kubelet_goes_on_where_the_old_one_was_lost(tmp_path: Path) -> None:
    """Pods run again at new addresses and count the loss as a restart; ended ones stay ended; deleted ones go."""
    kubeconfig = tmp_path / "kubeconfig"
    async with ApiServer() as server:
        kubeconfig.write_text(server.kubeconfig())
        connection = load_connection(kubeconfig)
        async with Client(connection) as client:
            pods = Pods(client, "default")
            async with a_kubelet(connection, tmp_path / "one"):
                await pods.run("web", a_podinfo())
                await pods.run("done", a_script("exit 0"), restartPolicy="Never")
                await pods.run("once", a_script("sleep 60"), restartPolicy="Never")
                await pods.run(
                    "leaving", a_script("trap '' TERM; sleep 60"), terminationGracePeriodSeconds=60
                )
                first = await pods.ready("web")
                await pods.ended("done")
                await pods.ready("once")
                await pods.ready("leaving")
                await pods.delete("leaving")
            assert (await pods.get(POD, "web"))["status"]["phase"] == "Running"

            async with a_kubelet(connection, tmp_path / "two"):
                again = await pods.when(
                    POD, "web", lambda pod: pod["status"]["podIP"] != first["status"]["podIP"], "it has moved"
                )
                assert again["status"]["podIPs"] == [{"ip": again["status"]["podIP"]}]
                again = await pods.ready("web")
                assert container_status(again)["restartCount"] == 1
                assert container_status(again)["lastState"]["terminated"]["reason"] == "Unknown"
                lost = await pods.ended("once")
                assert lost["status"]["phase"] == "Failed"
                await pods.gone(POD, "leaving")
                assert container_status(await pods.get(POD, "done"))["restartCount"] == 0


async def test_an_idle_node_asks_for_nothing(tmp_path: Path) -> None:
    """With pods running and nothing changing there are no requests but the heartbeat."""
    kubeconfig = tmp_path / "kubeconfig"
    async with ApiServer() as server:
        kubeconfig.write_text(server.kubeconfig())
        connection = load_connection(kubeconfig)
        async with Client(connection) as client, a_kubelet(connection, tmp_path / "state"):
            pods = Pods(client, "default")
            await pods.run("web", a_podinfo())
            await pods.ready("web")
            await pods.events("Started")
            before = (await client.list(POD)).resource_version
            probes = 1.2  # seconds, in which the readiness probe runs at least once
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(probes):
                    async for event in client.watch(POD, resource_version=before):
                        assert event.type == "BOOKMARK", event
            after = (await client.list(POD)).resource_version
            assert int(after) - int(before) <= 1
