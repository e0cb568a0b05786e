"""Things done to a container: starting its process, and the actions of probes and hooks."""

import asyncio
import os
import signal

from flagger.kube.objects import Object
from flagger.sandbox.kubelet import probes
from flagger.sandbox.kubelet.images import Program, command_line
from flagger.sandbox.kubelet.launch import Isolation, Launch
from flagger.sandbox.kubelet.logs import reading
from flagger.sandbox.kubelet.machine import Surroundings
from flagger.sandbox.kubelet.processes import Process, StartError
from flagger.sandbox.kubelet.rootfs import Mount
from flagger.sandbox.kubelet.volumes import VolumeError, mounts_of

OUTPUT = 10 * 1024  # bytes of a probe's or hook's output that are kept


class Actions:
    """Starts processes with a container's variables and mounts."""

    def __init__(self, spec: Object, pod: Surroundings) -> None:
        self.env: dict[str, str] = {}
        """The container's variables, once they are known."""
        self._spec = spec
        self._pod = pod

    async def start(self, what: Program, output: int, *, noted: bool = False) -> Process:
        """Start a process that writes to `output`, which is closed here; `noted` for one that may live long.

        Raises:
            StartError: it cannot be started.
        """
        try:
            return await self._pod.machine.processes.start(self._launch(what, noted=noted), output)
        except VolumeError as error:
            raise StartError(str(error)) from error
        finally:
            os.close(output)

    def _launch(self, what: Program, *, noted: bool) -> Launch:
        pod = self._pod
        hosts = Mount(str(pod.folder / "hosts"), "/etc/hosts")
        isolation = pod.machine.processes.isolation
        root = {"POD_ROOT": str(pod.folder / "root")} if isolation == Isolation.NONE else {}
        return Launch(
            argv=list(what.argv),
            env={**what.env, **self.env, **root},
            cwd=self._spec.get("workingDir") or "/",
            root=str(pod.folder / "root"),
            mounts=[hosts, *mounts_of(self._spec, pod.volumes)],
            app=what.app,
            pid_file=str(pod.folder / f"{self._spec['name']}.pid") if noted else "",
            isolation=isolation,
        )

    async def act(self, action: Object, limit: float) -> str:
        """Carry out a probe or a hook within `limit` seconds; "" if it went well, else why not."""
        ip = self._pod.facts.ip
        try:
            if get := action.get("httpGet"):
                return await probes.http_get(ip, probes.port_number(get["port"], self._spec), get, limit)
            if tcp := action.get("tcpSocket") or action.get("grpc"):
                port = probes.port_number(tcp["port"], self._spec)
                return await probes.tcp_connect(tcp.get("host") or ip, port, limit)
            if "sleep" in action:
                await asyncio.sleep(min(limit, action["sleep"].get("seconds", 0)))
                return ""
            return await self._execute(action.get("exec", {}).get("command") or [], limit)
        except (ValueError, StartError) as error:
            return str(error)

    async def _execute(self, words: list[str], limit: float) -> str:
        """Run a command beside the container; "" if it exits with 0 in time."""
        if not words:
            return "there is nothing to do: the action has none of httpGet, tcpSocket, exec"
        reader, writer = os.pipe()
        text, code = b"", 0
        async with reading(reader) as output:
            process = await self.start(command_line(self._spec.get("image", ""), words), writer)
            try:
                async with asyncio.timeout(limit):
                    text = await output.read(OUTPUT)
                    code = await process.wait()
            except TimeoutError:
                return f'command "{" ".join(words)}" timed out after {limit:g} s'
            finally:
                self._pod.machine.processes.signal(process, signal.SIGKILL)
        said = text.decode("utf-8", "replace").strip()
        return "" if code == 0 else said or f"command exited with {code}"
