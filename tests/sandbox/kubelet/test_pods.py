"""Pods run as processes and say so."""

import asyncio
from typing import Any

import pytest

from flagger.kube.errors import KubeError
from flagger.kube.objects import EVENT, POD, SERVICE, Object
from tests.sandbox.controllers.world import condition, until
from tests.sandbox.kubelet.world import Pods, a_podinfo, a_script, container_status, fetch


async def test_a_pod_gets_ready(any_pods: Pods) -> None:
    """It runs at an address of its own, and every field that others read is there."""
    pods = any_pods
    created = await pods.run("web", a_podinfo())

    pod = await pods.ready("web")
    status, app = pod["status"], container_status(pod)

    assert (status["phase"], status["hostIP"]) == ("Running", "127.0.0.1")
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["startTime"]
    for kind in ("Initialized", "Ready", "ContainersReady"):
        assert condition(pod, kind)[0] == "True"
    assert (app["ready"], app["started"], app["restartCount"]) == (True, True, 0)
    assert list(app["state"]) == ["running"]
    assert app["image"] == created["spec"]["containers"][0]["image"]
    assert (await fetch(pod, "/version"))[1]["version"] == "6.1.0"


async def test_two_pods_listen_on_the_same_port(pods: Pods) -> None:
    """Each has the whole range of ports for itself."""
    await pods.run("one", a_podinfo(env=[{"name": "PODINFO_UI_MESSAGE", "value": "first"}]))
    await pods.run("two", a_podinfo(env=[{"name": "PODINFO_UI_MESSAGE", "value": "second"}]))

    messages = [(await fetch(await pods.ready(name), "/"))[1]["message"] for name in ("one", "two")]

    assert messages == ["first", "second"]


async def test_is_removed_when_it_is_deleted(any_pods: Pods) -> None:
    """The process ends, and the pod is gone without waiting for its whole grace period."""
    pods = any_pods
    await pods.run("web", a_podinfo(), terminationGracePeriodSeconds=30)
    pod = await pods.ready("web")

    await pods.delete("web")

    await pods.gone(POD, "web")
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(pod["status"]["podIP"], 9898)


async def test_readiness_comes_and_goes(pods: Pods) -> None:
    """A failed probe takes the pod out, the next success brings it back; nothing is restarted."""
    await pods.run("web", a_podinfo())
    pod = await pods.ready("web")

    await fetch(pod, "/readyz/disable", "POST")
    unready = await pods.when(POD, "web", lambda pod: condition(pod, "Ready")[0] == "False", "not ready")
    assert condition(unready, "ContainersReady") == ("False", "ContainersNotReady")

    await fetch(pod, "/readyz/enable", "POST")
    again = await pods.ready("web")
    assert container_status(again)["restartCount"] == 0
    texts = [
        (c.get("reason"), c.get("message")) for c in again["status"]["conditions"] if c["type"] == "Ready"
    ]
    assert texts == [(None, None)]


async def test_a_failed_liveness_probe_restarts(pods: Pods) -> None:
    """The process is ended and started again."""
    probe = {"httpGet": {"path": "/healthz", "port": 9898}, "periodSeconds": 1, "failureThreshold": 1}
    await pods.run("web", a_podinfo("--unhealthy", livenessProbe=probe))

    pod = await pods.when(POD, "web", lambda pod: container_status(pod)["restartCount"] > 0, "restarted")

    assert container_status(pod)["lastState"]["terminated"]["reason"] in {"Completed", "Error"}
    reasons = {event["reason"] for event in await pods.all(EVENT)}
    assert {"Unhealthy", "Killing"} <= reasons


@pytest.mark.usefixtures("mounts")
async def test_other_probes_wait_for_the_startup_probe(pods: Pods) -> None:
    """A slow starter is not ready, and not killed, before it has started; exec probes count their exit code."""
    startup = {
        "exec": {"command": ["test", "-e", "/tmp/flag/up"]},
        "periodSeconds": 1,
        "failureThreshold": 30,
    }
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    script = "while [ ! -e /tmp/flag/go ]; do sleep 0.05; done; touch /tmp/flag/up; sleep 60"
    mount = [{"name": "flag", "mountPath": "/tmp/flag"}]
    container = a_script(script, startupProbe=startup, livenessProbe=never, volumeMounts=mount)
    helper = a_script("sleep 0.5; touch /tmp/flag/go; sleep 60", name="helper", volumeMounts=mount)
    await pods.run("slow", container, helper, volumes=[{"name": "flag", "emptyDir": {}}])

    def app(pod: Object) -> Object:
        return next(
            s for s in pod["status"].get("containerStatuses") or [{}] if s.get("name") in {"app", None}
        )

    waiting = await pods.when(POD, "slow", lambda pod: "running" in app(pod).get("state", {}), "it runs")
    assert (app(waiting)["started"], app(waiting)["ready"]) == (False, False)
    await pods.when(
        POD, "slow", lambda pod: app(pod)["restartCount"] > 0, "killed by the liveness probe at last"
    )


@pytest.mark.parametrize(
    ("script", "policy", "phase", "code", "reason"),
    [
        ("exit 0", "Never", "Succeeded", 0, "Completed"),
        ("exit 3", "Never", "Failed", 3, "Error"),
        ("exit 0", "OnFailure", "Succeeded", 0, "Completed"),
        ("kill -9 $$$$", "Never", "Failed", 137, "Error"),
    ],
)
async def test_ends_in_a_phase(
    any_pods: Pods, script: str, policy: str, phase: str, code: int, reason: str
) -> None:
    """A pod that is not started again is over; its status keeps the exit code."""
    await any_pods.run("job", a_script(script), restartPolicy=policy)

    pod = await any_pods.ended("job")

    ended = container_status(pod)["state"]["terminated"]
    assert (pod["status"]["phase"], ended["exitCode"], ended["reason"]) == (phase, code, reason)
    assert condition(pod, "Ready") == ("False", "PodCompleted" if code == 0 else "PodFailed")


async def test_crashes_are_spaced_out(pods: Pods) -> None:
    """The first restart is immediate, later ones wait; kubectl calls that CrashLoopBackOff."""
    await pods.run("crash", a_script("exit 1"))

    pod = await pods.waits("crash", "CrashLoopBackOff")

    status = container_status(pod)
    assert status["restartCount"] >= 1
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert "back-off 0.3s restarting failed container=app" in status["state"]["waiting"]["message"]
    assert pod["status"]["phase"] == "Running"
    await pods.when(POD, "crash", lambda pod: container_status(pod)["restartCount"] >= 3, "restarted thrice")


@pytest.mark.parametrize(
    ("container", "reason", "text"),
    [
        pytest.param({"image": "nginx:1", "command": []}, "ImagePullBackOff", "has no images", id="image"),
        pytest.param(
            {"envFrom": [{"configMapRef": {"name": "no"}}]},
            "CreateContainerConfigError",
            '"no" not found',
            id="config",
        ),
    ],
)
async def test_says_what_is_missing(pods: Pods, container: Object, reason: str, text: str) -> None:
    """What keeps a container from starting is its waiting reason."""
    await pods.run("web", {**a_script("sleep 60"), **container})

    pod = await pods.waits("web", reason)

    assert text in container_status(pod)["state"]["waiting"]["message"]
    assert pod["status"]["phase"] == "Pending"


async def test_says_that_a_program_is_missing(pods: Pods) -> None:
    """A command that this machine does not have ends with 128 and its name."""
    await pods.run("web", a_script("", command=["no-such-program"]), restartPolicy="Never")

    ended = container_status(await pods.ended("web"))["state"]["terminated"]

    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert 'exec: "no-such-program": executable file not found' in ended["message"]


@pytest.mark.usefixtures("mounts")
async def test_init_containers_go_first(pods: Pods) -> None:
    """They run one after the other; what they leave in a volume is there for the others."""
    mount = [{"name": "work", "mountPath": "/work-of-init"}]
    init = [
        a_script("echo one >> /work-of-init/log", name="first", volumeMounts=mount),
        a_script("echo two >> /work-of-init/log", name="second", volumeMounts=mount),
    ]
    output = await pods.output(
        "cat /work-of-init/log",
        container={"volumeMounts": mount},
        initContainers=init,
        volumes=[{"name": "work", "emptyDir": {}}],
    )

    assert output == "one\ntwo\n"


async def test_a_failed_init_container_ends_the_pod(pods: Pods) -> None:
    """With restartPolicy Never the others never start."""
    init = [a_script("exit 7", name="first")]
    await pods.run("job", a_script("true"), initContainers=init, restartPolicy="Never")

    pod = await pods.ended("job")

    assert pod["status"]["phase"] == "Failed"
    assert condition(pod, "Initialized") == ("False", "ContainersNotInitialized")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert "waiting" in container_status(pod)["state"]


async def test_a_sidecar_runs_beside_and_ends_after(pods: Pods) -> None:
    """An init container that always restarts is started first and ended when the others are done."""
    sidecar = a_script("sleep 60", name="helper", restartPolicy="Always")
    await pods.run("job", a_script("exit 0"), initContainers=[sidecar], restartPolicy="Never")

    pod = await pods.ended("job")

    assert pod["status"]["phase"] == "Succeeded"


async def test_grace_is_given_then_taken(pods: Pods) -> None:
    """SIGTERM first; what ignores it is killed when its time is over, children included."""
    stubborn = "trap 'echo no' TERM; echo up; sleep 600 & while true; do sleep 0.05; done"
    await pods.run("web", a_script(stubborn))
    await until(lambda: has_printed(pods, "web", "up"), "it runs")
    clock = asyncio.get_running_loop().time

    started = clock()
    await pods.delete("web")
    await pods.gone(POD, "web")

    assert 0.9 < clock() - started < 5


async def has_printed(pods: Pods, name: str, text: str) -> bool:
    try:
        return text in await pods.log(name)
    except KubeError:  # the container has not started yet
        return False


@pytest.mark.usefixtures("mounts")
async def test_the_pre_stop_hook_comes_first(pods: Pods) -> None:
    """What the hook does is done before SIGTERM."""
    mount = [{"name": "out", "mountPath": "/hook-out"}]
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /hook-out/seen"]}}}
    script = "trap 'cat /hook-out/seen; exit 0' TERM; echo up; while true; do sleep 0.02; done"
    volumes = [{"name": "out", "emptyDir": {}}]
    await pods.run("web", a_script(script, lifecycle=hook, volumeMounts=mount), volumes=volumes)
    await until(lambda: has_printed(pods, "web", "up"), "it runs")
    lines: list[bytes] = []

    async def follow() -> None:
        path = POD.path(pods.namespace, "web", "log")
        async for chunk in pods.client.stream(path, {"follow": "true"}):
            lines.extend([chunk])

    following = asyncio.create_task(follow())
    await until(lambda: seen(lines, b"up"), "the log is followed")
    await pods.delete("web")
    await pods.gone(POD, "web")
    await until(lambda: seen(lines, b"hook"), "the hook's work was there at SIGTERM")
    following.cancel()
    await asyncio.wait({following})


async def seen(lines: list[bytes], text: bytes) -> bool:
    return text in b"".join(lines)


async def test_removed_by_force_it_is_killed(pods: Pods) -> None:
    """A pod that is gone from the API has no process a moment later."""
    await pods.run("web", a_podinfo())
    pod = await pods.ready("web")

    await pods.client.raw("DELETE", POD.path(pods.namespace, "web"), params={"gracePeriodSeconds": "0"})

    async def is_down() -> bool:
        try:
            _, writer = await asyncio.open_connection(pod["status"]["podIP"], 9898)
        except OSError:
            return True
        writer.close()
        return False

    await until(is_down, "nobody listens")


async def test_an_active_deadline_ends_it(pods: Pods) -> None:
    """A pod may limit its own time."""
    await pods.run("slow", a_script("sleep 60"), activeDeadlineSeconds=1, restartPolicy="Never")

    pod = await pods.ended("slow")

    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")


async def test_readiness_gates_are_waited_for(pods: Pods) -> None:
    """Ready needs the containers and whoever else has a say."""
    await pods.run("web", a_script("sleep 60"), readinessGates=[{"conditionType": "example.com/gate"}])
    closed = await pods.when(
        POD, "web", lambda pod: condition(pod, "ContainersReady")[0] == "True", "containers ready"
    )
    assert condition(closed, "Ready") == ("False", "ReadinessGatesNotReady")

    gate: dict[str, Any] = {"type": "example.com/gate", "status": "True"}
    conditions = [*closed["status"]["conditions"], gate]
    await pods.patch(POD, "web", {"status": {"conditions": conditions}}, subresource="status")
    await pods.ready("web")


@pytest.mark.usefixtures("mounts")
async def test_pods_know_services_by_name(pods: Pods) -> None:
    """Their hosts file has every Service, also those that come later; localhost is the pod itself."""
    spec = {"ports": [{"port": 80}], "selector": {"app": "x"}}
    service = await pods.create(SERVICE, {"metadata": {"name": "checkout"}, "spec": spec})
    address, home = service["spec"]["clusterIP"], pods.namespace
    names = f"checkout checkout.{home} checkout.{home}.svc checkout.{home}.svc.cluster.local"

    found = await pods.output(
        f"until grep -q '{address} {names}' /etc/hosts; do sleep 0.05; done; getent hosts localhost; echo $POD_IP"
    )
    local, own = found.splitlines()

    assert local.split()[0] == own
