"""The process that all containers are children of: small, single-threaded, and with the built-in apps loaded.

Forking it costs milliseconds and shares its memory. It lives as long as the kubelet holds the other end of
its socket; when that closes, for whatever reason, it kills every process that it started, and theirs.

Messages (JSON, one per packet): an `Order` comes in, to start something with two file descriptors (a
`Launch`, and what the process writes to); `Report`s go out.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator

import msgspec

from flagger.sandbox.kubelet import launch
from flagger.sandbox.kubelet.launch import Isolation
from flagger.sandbox.kubelet.linux import adopt_orphans, set_name, unshare_mounts

PACKET = 4096  # bytes; a Launch travels in a file of its own
LAST_WORDS = 5.0  # seconds to wait for killed processes


class Order(msgspec.Struct, omit_defaults=True):
    """From the kubelet: start a container, or send a signal to the process group of one."""

    start: int = 0
    kill: int = 0
    signal: int = 0


class Report(msgspec.Struct, omit_defaults=True):
    """To the kubelet: how containers are isolated here (once), a process began, a process ended.

    `code` is the exit code, or 128 + the signal that ended it.
    """

    isolation: str = ""
    id: int = 0
    pid: int = 0
    code: int | None = None


class ForkServer:
    """Forks on request, reaps, reports."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._running: dict[int, int] = {}  # id of a container → its process, which leads its group

    def serve(self) -> None:
        """Work until the kubelet is gone; then leave nothing behind."""
        wakeup, alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the kubelet's to answer
        waiting = selectors.DefaultSelector()
        waiting.register(self._channel, selectors.EVENT_READ, self._obey)
        waiting.register(wakeup, selectors.EVENT_READ, lambda: self._reap(wakeup))
        self._report(Report(isolation=isolation()))
        connected = True
        while connected:
            for ready, _ in waiting.select():
                connected = ready.data() and connected
        self._kill_everything()

    def _obey(self) -> bool:
        """Take one order; False when the kubelet has gone."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._channel, PACKET, 2)
        except ConnectionError:
            return False
        if not packet:
            return False
        order = msgspec.json.decode(packet, type=Order)
        if order.start:
            self._fork(order.start, descriptors)
        elif order.kill in self._running:
            signal_group(self._running[order.kill], order.signal)
        return True

    def _fork(self, container: int, descriptors: list[int]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            letter, output = descriptors
            launch.run(letter, output, parent)
        for descriptor in descriptors:
            os.close(descriptor)
        self._running[container] = pid
        self._report(Report(id=container, pid=pid))

    def _reap(self, wakeup: int) -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(wakeup, PACKET)
        for pid, code in ended():
            container = next((id_ for id_, running in self._running.items() if running == pid), None)
            if container is not None:  # others are orphans of containers, which we adopted
                del self._running[container]
                signal_group(pid, signal.SIGKILL)  # what it leaves running ends with it
                self._report(Report(id=container, code=code))
        return True

    def _report(self, report: Report) -> None:
        with contextlib.suppress(ConnectionError):  # then the next read says so too
            self._channel.send(msgspec.json.encode(report))

    def _kill_everything(self) -> None:
        deadline = time.monotonic() + LAST_WORDS
        while children := descendants():
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            list(ended())
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)


def signal_group(leader: int, number: int) -> None:
    """Signal a container's process group; and its leader, should it not lead one yet."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(leader, number)


def ended() -> Iterator[tuple[int, int]]:
    """The children that have ended, each once, with their exit code."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            yield pid, code if code >= 0 else 128 - code


def descendants() -> list[int]:
    """Our children now, which include the orphans that we adopted."""
    with open(f"/proc/self/task/{os.getpid()}/children") as children:  # noqa: PTH123  no cost of a Path here
        return [int(pid) for pid in children.read().split()]


def isolation() -> Isolation:
    """Try out, in a child, what the machine allows."""
    for candidate in (Isolation.ROOT, Isolation.USER):
        pid = os.fork()
        if pid == 0:
            try:
                unshare_mounts(as_user=candidate == Isolation.USER)
            except OSError:
                os._exit(1)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            return candidate
    return Isolation.NONE


def main() -> None:
    """Serve on the socket whose descriptor is the first argument."""
    set_name("sandbox-pods")
    adopt_orphans()
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    gc.collect()
    gc.freeze()  # so that collections in the children do not write to shared pages
    ForkServer(channel).serve()


if __name__ == "__main__":
    main()
