"""What containers find in their file system and their variables, and what is kept of what they print."""

import pytest

from flagger.kube.errors import KubeError
from flagger.kube.objects import CONFIG_MAP, POD, SECRET
from tests.sandbox.controllers.world import until
from tests.sandbox.kubelet.test_pods import has_printed, seen
from tests.sandbox.kubelet.world import Pods, a_podinfo, a_script, container_status, fetch


@pytest.mark.usefixtures("mounts")
async def test_volumes_are_mounted_where_nothing_is(pods: Pods) -> None:
    """Mount paths need not exist on this machine, and do not exist there afterwards."""
    await pods.create(CONFIG_MAP, {"metadata": {"name": "settings"}, "data": {"a": "1", "b": "2"}})
    await pods.create(SECRET, {"metadata": {"name": "keys"}, "stringData": {"key": "s3cret"}})
    downward = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    sources = [
        {"configMap": {"name": "settings", "items": [{"key": "b", "path": "renamed"}]}},
        {"secret": {"name": "keys"}},
        {"downwardAPI": downward},
    ]
    volumes = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "all", "projected": {"sources": sources}},
        {"name": "scratch", "emptyDir": {}},
    ]
    mounts = [
        {"name": "config", "mountPath": "/no/such/place"},
        {"name": "config", "mountPath": "/etc/one-file.conf", "subPath": "a"},
        {"name": "all", "mountPath": "/etc/projected/here"},
        {"name": "scratch", "mountPath": "/scratch-dir"},
    ]
    script = (
        "cat /no/such/place/a /no/such/place/b /etc/one-file.conf /etc/projected/here/renamed;"
        "echo; cat /etc/projected/here/key; echo; cat /etc/projected/here/labels; echo;"
        "echo kept > /scratch-dir/file; cat /scratch-dir/file; test -e /etc/passwd && echo machine; pwd"
    )

    output = await pods.output(
        script, container={"volumeMounts": mounts, "workingDir": "/scratch-dir"}, volumes=volumes
    )

    assert output.splitlines()[:2] == ["1212", "s3cret"]
    assert output.splitlines()[2].startswith('app="script-')
    assert output.splitlines()[3:] == ["kept", "machine", "/scratch-dir"]


@pytest.mark.usefixtures("mounts")
async def test_a_changed_config_map_reaches_running_pods(pods: Pods) -> None:
    """The files follow the object while the process goes on."""
    await pods.create(CONFIG_MAP, {"metadata": {"name": "settings"}, "data": {"color": "teal"}})
    volumes = [{"name": "config", "configMap": {"name": "settings"}}]
    mounts = [{"name": "config", "mountPath": "/podinfo-config"}]
    await pods.run("web", a_podinfo("--config-path=/podinfo-config", volumeMounts=mounts), volumes=volumes)
    pod = await pods.ready("web")
    assert (await fetch(pod, "/configs"))[1] == {"color": "teal"}

    await pods.patch(CONFIG_MAP, "settings", {"data": {"color": "red", "size": "xl"}})

    async def changed() -> bool:
        return (await fetch(pod, "/configs"))[1] == {"color": "red", "size": "xl"}

    await until(changed, "the files have changed")
    assert container_status(await pods.ready("web"))["restartCount"] == 0


@pytest.mark.usefixtures("mounts")
async def test_a_volume_waits_for_its_config_map(pods: Pods) -> None:
    """The pod stays in creation until what it mounts exists, and an Event says so."""
    volumes = [{"name": "config", "configMap": {"name": "late"}}]
    mounts = [{"name": "config", "mountPath": "/cfg-late"}]
    await pods.run("web", a_script("cat /cfg-late/x; sleep 60", volumeMounts=mounts), volumes=volumes)
    (event, *_) = await pods.events("FailedMount")
    assert 'configmap "late" not found' in event["message"]
    assert container_status(await pods.waits("web", "ContainerCreating"))["restartCount"] == 0

    await pods.create(CONFIG_MAP, {"metadata": {"name": "late"}, "data": {"x": "here\n"}})

    await pods.ready("web")
    await until(lambda: has_printed(pods, "web", "here"), "the file is there")


async def test_variables_reach_the_process(pods: Pods) -> None:
    """Literals, references and what every pod has."""
    await pods.create(CONFIG_MAP, {"metadata": {"name": "settings"}, "data": {"COLOR": "teal"}})
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)2"},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    output = await pods.output(
        'echo "$A $B $COLOR $HOSTNAME"; test "$IP" = "$POD_IP" && echo same; echo $KUBERNETES_SERVICE_HOST $(A)',
        container={"env": env, "envFrom": [{"configMapRef": {"name": "settings"}}]},
    )

    first, second, third = output.splitlines()
    assert first.startswith("1 12 teal script-")
    assert second == "same"
    assert third.startswith("127.96.0.1 1")


async def test_logs_through_the_api_server(pods: Pods) -> None:
    """The whole log, its end, with times, and that of the run before."""
    await pods.run("web", a_script("echo one; echo two >&2; sleep 0.1; exit 1"))
    await pods.waits("web", "CrashLoopBackOff")

    assert await pods.log("web") == "one\ntwo\n"
    assert await pods.log("web", tailLines="1") == "two\n"
    (line,) = (await pods.log("web", tailLines="1", timestamps="true")).splitlines()
    assert line.split("Z ")[1] == "two"
    assert await pods.log("web", previous="true") == "one\ntwo\n"
    assert await pods.log("web", limitBytes="2") == "on"


async def test_logs_are_followed_through_the_api_server(pods: Pods) -> None:
    """New lines come as they are printed; the stream ends with the container."""
    await pods.run("job", a_script("echo one; sleep 0.3; echo two"), restartPolicy="Never")
    await until(lambda: has_printed(pods, "job", "one"), "it has begun")
    chunks: list[bytes] = []

    async for chunk in pods.client.stream(POD.path(pods.namespace, "job", "log"), {"follow": "true"}):
        chunks.append(chunk)  # noqa: PERF401  readable as it is

    assert await seen(chunks, b"one\ntwo\n")


@pytest.mark.parametrize("options", [{"container": "nope"}, {"tailLines": "-1"}])
async def test_bad_log_requests_are_refused(pods: Pods, options: dict[str, str]) -> None:
    """An unknown container or an impossible number is an error that says so."""
    await pods.run("web", a_script("sleep 60"))
    await pods.ready("web")

    with pytest.raises(KubeError, match=r"nope|tailLines|-1"):
        await pods.log("web", **options)
