"""The small parts of the kubelet: images, addresses, names, statuses, volumes, logs, probes."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flagger.kube.informer import Informer
from flagger.kube.objects import CONFIG_MAP, NODE, SECRET, SERVICE, Object
from flagger.sandbox.kubelet.addresses import Addresses
from flagger.sandbox.kubelet.earlier import state_of_earlier_life
from flagger.sandbox.kubelet.hosts import hosts_file, put
from flagger.sandbox.kubelet.images import NoImage, Program, program, split_image
from flagger.sandbox.kubelet.log_files import LogFiles
from flagger.sandbox.kubelet.logs import LARGEST, Log, Wish, older
from flagger.sandbox.kubelet.machine import PROXY, Machine
from flagger.sandbox.kubelet.probes import Rule, port_number, watch
from flagger.sandbox.kubelet.processes import Processes
from flagger.sandbox.kubelet.publisher import replaced
from flagger.sandbox.kubelet.status import ContainerState, PodState, Running, Terminated, Waiting, pod_status
from flagger.sandbox.kubelet.volumes import VolumeError, read, write

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def now() -> datetime:
    """A clock that stands still."""
    return NOW


async def test_pods_without_names_get_a_proxy() -> None:
    """Where nobody can have a hosts file of their own, pods are told where Services can be reached."""
    node = {
        "metadata": {
            "name": "sandbox",
            "resourceVersion": "1",
            "annotations": {PROXY: "http://127.96.0.1:3128"},
        }
    }
    pod = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {}}
    caches = {kind: Informer(None, kind) for kind in (CONFIG_MAP, SECRET, SERVICE, NODE)}  # type: ignore[arg-type]
    machine = Machine(None, Processes(), None, None, caches, Path(), "sandbox", "127.0.0.1", {}, now, 1.0)  # type: ignore[arg-type]
    assert "http_proxy" not in machine.variables(pod, "127.128.0.2")

    caches[NODE].learn(node)

    found = machine.variables(pod, "127.128.0.2")
    assert found["http_proxy"] == "http://127.96.0.1:3128"
    assert (found["HOSTNAME"], found["POD_IP"]) == ("web", "127.128.0.2")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("podinfo", ("podinfo", "latest")),
        ("ghcr.io/x/podinfo:6.1.0", ("ghcr.io/x/podinfo", "6.1.0")),
        ("localhost:5000/podinfo", ("localhost:5000/podinfo", "latest")),
        ("localhost:5000/a/podinfo:1@sha256:abc", ("localhost:5000/a/podinfo", "1")),
    ],
)
def test_images_have_a_repository_and_a_tag(image: str, expected: tuple[str, str]) -> None:
    """A port of the registry is no tag, a digest neither."""
    assert split_image(image) == expected


@pytest.mark.parametrize(
    ("container", "app", "argv"),
    [
        ({"image": "x/podinfo:6", "args": ["--port=1"]}, "podinfo", ("--port=1",)),
        ({"image": "x/podinfo:6", "command": ["./podinfo", "--port=$(P)"]}, "podinfo", ("--port=80",)),
        ({"image": "x/podinfo:6", "args": ["./podinfo", "--level=info"]}, "podinfo", ("--level=info",)),
        ({"image": "x/podinfo:6", "command": ["podcli", "check"]}, "podcli", ("check",)),
        ({"image": "x/podinfo:6", "command": ["sh", "-c", "true"]}, "", ("sh", "-c", "true")),
        ({"image": "busybox", "command": ["podinfo"]}, "", ("podinfo",)),
        ({"image": "busybox", "command": ["echo"], "args": ["$(P)", "$$(P)"]}, "", ("echo", "80", "$(P)")),
    ],
)
def test_images_mean_programs(container: Object, app: str, argv: tuple[str, ...]) -> None:
    """The sample app for its own image and programs, the machine's commands for all others."""
    found = program(container, {"P": "80"})

    assert (found.app, found.argv) == (app, argv)
    assert found.env == ({"PODINFO_VERSION": "6"} if app else {})


def test_an_image_without_a_command_is_no_program() -> None:
    """There is nothing to run, and the error says what could be done."""
    with pytest.raises(NoImage, match=r"give the container of .nginx:1. a command"):
        program({"image": "nginx:1", "args": ["x"]}, {})
    assert isinstance(program({"image": "nginx:1", "command": ["x"]}, {}), Program)


def test_addresses_are_reused_late() -> None:
    """Fresh ones first, then those given back longest ago; none twice at a time."""
    addresses = Addresses("127.128.0.0/29")
    given = [addresses.take() for _ in range(5)]
    assert given == [f"127.128.0.{number}" for number in range(2, 7)]

    addresses.give_back(given[3])
    addresses.give_back(given[0])
    assert [addresses.take(), addresses.take()] == [given[3], given[0]]
    with pytest.raises(RuntimeError, match="no pod address is free"):
        addresses.take()


def test_hosts_name_services(tmp_path: Path) -> None:
    """Short names in the pod's own namespace, long ones everywhere; the file stays the same file."""
    services = [
        {"metadata": {"name": "a", "namespace": "shop"}, "spec": {"clusterIP": "127.96.0.2"}},
        {"metadata": {"name": "b", "namespace": "ops"}, "spec": {"clusterIP": "127.96.0.3"}},
        {"metadata": {"name": "none", "namespace": "shop"}, "spec": {"clusterIP": "None"}},
    ]
    lines = hosts_file("web-1", "shop", "127.128.0.2", services).splitlines()
    assert lines[0] == "127.128.0.2 localhost web-1"
    assert lines[2:] == [
        "127.96.0.2 a a.shop a.shop.svc a.shop.svc.cluster.local",
        "127.96.0.3 b.ops b.ops.svc b.ops.svc.cluster.local",
    ]
    file = tmp_path / "hosts"
    put(file, "a longer text\n")
    before = file.stat().st_ino
    put(file, "short\n")
    assert (file.read_text(), file.stat().st_ino) == ("short\n", before)


def a_container(state: object, **more: object) -> ContainerState:
    """A container `app` in a state."""
    found = ContainerState("app", "web:1", state)  # type: ignore[arg-type]
    for name, value in more.items():
        setattr(found, name, value)
    return found


def status_of(container: ContainerState, old: Object | None = None, **pod: object) -> Object:
    """The status of a pod with one container."""
    state = PodState([], [container], NOW, "127.128.0.2", "127.0.0.1", **({"initialized": True} | pod))  # type: ignore[arg-type]
    return pod_status(state, old or {}, NOW)


DONE = Terminated(0, "Completed", NOW, NOW)
CRASH = Terminated(1, "Error", NOW, NOW)


@pytest.mark.parametrize(
    ("container", "pod", "phase"),
    [
        pytest.param(a_container(Waiting("ContainerCreating")), {}, "Pending", id="creating"),
        pytest.param(a_container(Running(NOW)), {}, "Running", id="running"),
        pytest.param(a_container(Waiting("CrashLoopBackOff"), last=CRASH), {}, "Running", id="crash loop"),
        pytest.param(a_container(DONE), {}, "Running", id="to be started again"),
        pytest.param(a_container(DONE), {"over": True}, "Succeeded", id="done"),
        pytest.param(a_container(CRASH), {"over": True}, "Failed", id="failed"),
        pytest.param(
            a_container(DONE), {"verdict": ("DeadlineExceeded", "")}, "Failed", id="ended from outside"
        ),
        pytest.param(a_container(Running(NOW)), {"initialized": False}, "Pending", id="init containers run"),
    ],
)
def test_phases(container: ContainerState, pod: Object, phase: str) -> None:
    """The phase sums up the containers."""
    assert status_of(container, **pod)["phase"] == phase


def test_conditions_keep_their_time_while_they_do_not_change() -> None:
    """Only a change of the status moves the transition time, and drops the texts of before."""
    earlier = "2026-11-23T11:00:00Z"
    old = {
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "x",
                "message": "y",
                "lastTransitionTime": earlier,
            },
            {"type": "Initialized", "status": "True", "lastTransitionTime": earlier},
        ]
    }
    ready = a_container(Running(NOW), ready=True)

    found = {entry["type"]: entry for entry in status_of(ready, old)["conditions"]}

    assert found["Initialized"]["lastTransitionTime"] == earlier
    assert found["Ready"] == {
        "type": "Ready",
        "status": "True",
        "reason": None,
        "message": None,
        "lastTransitionTime": "2026-11-23T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("policy", "before", "restarts", "state"),
    [
        ("Always", {"running": {}}, 3, "Waiting"),
        ("OnFailure", {"terminated": {"exitCode": 0, "reason": "Completed"}}, 2, "Terminated"),
        ("Never", {"running": {}}, 2, "Terminated"),
    ],
)
def test_a_lost_node_leaves_its_mark(policy: str, before: Object, restarts: int, state: str) -> None:
    """What ran when the node was lost is started again, or has failed; what had ended stays ended."""
    entry = {"name": "app", "containerID": "flagger://x", "restartCount": 2, "state": before}
    pod = {"status": {"containerStatuses": [entry]}}

    found = state_of_earlier_life(pod, {"name": "app"}, policy, NOW)

    assert (found.restarts, type(found.state).__name__) == (restarts, state)
    fresh = state_of_earlier_life({}, {"name": "app"}, policy, NOW)
    assert (fresh.restarts, fresh.last) == (0, None)


def test_volumes_change_in_one_step(tmp_path: Path) -> None:
    """Files are links through a directory that is switched; what is gone disappears; nothing new is no change."""
    assert write(tmp_path / "v", {"a": (b"1", 0o644), "deep/b": (b"2", 0o600)})
    assert not write(tmp_path / "v", {"a": (b"1", 0o644), "deep/b": (b"2", 0o600)})
    assert (tmp_path / "v" / "deep" / "b").read_bytes() == b"2"

    assert write(tmp_path / "v", {"a": (b"3", 0o644)})

    names = {entry.name for entry in (tmp_path / "v").iterdir() if not entry.name.startswith("..")}
    assert names == {"a"}
    assert read((tmp_path / "v" / "..data").resolve()) == {"a": (b"3", 0o644)}
    assert len(list((tmp_path / "v").iterdir())) == 3  # a, ..data, and one version


@pytest.mark.parametrize("path", ["../escape", "/etc/passwd"])
def test_volumes_keep_to_themselves(tmp_path: Path, path: str) -> None:
    """A path may not leave its volume."""
    with pytest.raises(VolumeError, match="must be relative"):
        write(tmp_path / "v", {path: (b"", 0o644)})


async def lines_of(log: Log, **wish: object) -> list[str]:
    """The lines wished for."""
    return [line async for line in log.lines(Wish(**wish))]  # type: ignore[arg-type]


async def test_logs_are_read_as_wished(tmp_path: Path) -> None:
    """By number, by time, with their times; an unfinished line waits for its end."""
    moment = NOW
    log = Log(tmp_path / "0.log", lambda: moment)
    log.write(b"one\ntwo\nthr")
    moment += timedelta(seconds=10)
    log.write(b"ee\nunfinished")

    assert await lines_of(log) == ["one\n", "two\n", "three\n"]
    assert await lines_of(log, tail=1) == ["three\n"]
    assert await lines_of(log, tail=0) == []
    assert await lines_of(log, since=NOW + timedelta(seconds=5)) == ["three\n"]
    assert await lines_of(log, tail=1, timestamps=True) == ["2026-11-23T12:00:10.000000Z three\n"]
    log.close()
    assert (await lines_of(log))[-1] == "unfinished\n"


async def test_logs_are_followed_to_their_end(tmp_path: Path) -> None:
    """A follower gets what was there, what comes, and the end; nothing twice."""
    log = Log(tmp_path / "0.log", now)
    log.write(b"before\n")
    following = asyncio.create_task(lines_of(log, follow=True))
    await asyncio.sleep(0)
    log.write(b"after\n")
    log.close()

    assert await following == ["before\n", "after\n"]
    assert await lines_of(log, follow=True) == ["before\n", "after\n"]


async def test_logs_are_bounded(tmp_path: Path) -> None:
    """A program that prints without end fills two files, not the disk."""
    log = Log(tmp_path / "0.log", now)
    for _ in range(5):
        log.write(b"x" * (LARGEST // 2) + b"\n")
    log.close()

    assert older(log.file).stat().st_size < LARGEST * 1.6
    assert log.file.stat().st_size < LARGEST * 1.6


async def test_a_flood_is_collected_without_standing_in_the_way(tmp_path: Path) -> None:
    """Others get their turn while a lot is printed, and all of it arrives."""
    log = Log(tmp_path / "0.log", now)
    reader, writer = os.pipe()
    collecting = asyncio.create_task(log.collect(reader))
    await asyncio.to_thread(os.write, writer, b"line\n" * 50_000)
    os.close(writer)
    await collecting

    assert len(await lines_of(log)) == 50_000
    assert not log.open


def test_logs_of_two_runs_are_kept(tmp_path: Path) -> None:
    """The latest and the one before can be read; of other pods nothing is left over."""
    files = LogFiles(tmp_path, now)
    pod = {"metadata": {"namespace": "shop", "name": "web", "uid": "u"}}
    for run in range(3):
        log = files.open(pod, "app", run)
        log.write(f"run {run}\n".encode())
        log.close()

    latest = files.find("shop", "web", "app", previous=False)
    before = files.find("shop", "web", "app", previous=True)
    assert latest is not None
    assert before is not None
    assert (latest.file.name, before.file.name) == ("2.log", "1.log")
    assert not (tmp_path / "shop_web_u" / "app" / "0.log").exists()
    assert files.find("shop", "other", "app", previous=False) is None
    earlier = LogFiles(tmp_path, now).find("shop", "web", "app", previous=False)
    assert earlier is not None
    assert earlier.file == latest.file
    files.keep_only([])
    assert list(tmp_path.iterdir()) == []


async def verdicts(rule: Rule, answers: list[str], *, eager: bool = False) -> list[tuple[float, bool]]:
    """What a probe with these answers concludes, and when."""
    clock = asyncio.get_running_loop().time
    started = clock()
    found: list[tuple[float, bool]] = []
    left = list(answers)

    async def attempt(_limit: float) -> str:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    def tell(good: bool, _why: str) -> None:
        found.append((round(clock() - started, 2), good))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1000):
            await watch(rule, attempt, tell, eager=eager)
    return found


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("rule", "answers", "expected"),
    [
        pytest.param(Rule(0, 10, 1, 1, 3), ["", "", ""], [(0, True), (10, True), (20, True)], id="good"),
        pytest.param(Rule(5, 10, 1, 1, 1), ["no"], [(5, False)], id="after the delay"),
        pytest.param(Rule(0, 10, 1, 1, 3), ["no", "no", "", "no"], [(20, True)], id="not often enough"),
        pytest.param(Rule(0, 10, 1, 1, 2), ["no", "no", "no"], [(10, False), (20, False)], id="often enough"),
        pytest.param(Rule(0, 1, 1, 2, 1), ["", "no", "", ""], [(1, False), (3, True)], id="two successes"),
    ],
)
async def test_probes_count(rule: Rule, answers: list[str], expected: list[tuple[float, bool]]) -> None:
    """Thresholds apply to answers in a row."""
    assert await verdicts(rule, answers) == expected


@pytest.mark.looptime
async def test_eager_probes_do_not_wait_for_a_period() -> None:
    """Until the first success they repeat within the period, which counts as one attempt."""
    soon = await verdicts(Rule(0, 10, 1, 1, 1), ["no"] * 3 + [""], eager=True)
    assert soon[0][1] is True
    assert soon[0][0] < 0.1

    never = await verdicts(Rule(0, 1, 1, 1, 2), ["no"] * 100, eager=True)
    assert never[0] == (2.0, False)


def test_ports_have_names() -> None:
    """A probe may name a port of the container."""
    container = {"ports": [{"name": "http", "containerPort": 9898}]}
    assert port_number("http", container) == port_number("9898", {}) == port_number(9898, {}) == 9898
    with pytest.raises(ValueError, match="couldn't find port: grpc"):
        port_number("grpc", container)


def test_a_new_address_replaces_the_old_one() -> None:
    """Addresses are merged by value unless the old one is deleted in the patch."""
    assert replaced([{"ip": "a"}], [{"ip": "b"}]) == [{"ip": "b"}, {"ip": "a", "$patch": "delete"}]
    assert replaced([{"ip": "a"}], [{"ip": "a"}]) == [{"ip": "a"}]
