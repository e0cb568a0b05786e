"""The kubelet's side of the fork server: start processes, wait for them, signal them."""

import asyncio
import itertools
import os
import signal
import socket
import sys
from asyncio.subprocess import Process as Subprocess

import msgspec

from flagger.sandbox.kubelet.forkserver import PACKET, Order, Report
from flagger.sandbox.kubelet.launch import CANNOT_START, Isolation, Launch

STARTING = 20.0  # seconds that the fork server may take to come up on a busy machine
KILLED = 128 + signal.SIGKILL


FULL = 0.005  # seconds to wait when the fork server has more to do than the socket holds


class StartError(Exception):
    """A container's process could not be started; the text says why."""


async def deliver(channel: socket.socket, packet: bytes, descriptors: list[int]) -> None:
    """Send a packet with open files, waiting for room in the socket.

    Raises:
        OSError: nobody is at the other end.
    """
    while True:
        try:
            socket.send_fds(channel, [packet], descriptors)
            return
        except BlockingIOError:
            await asyncio.sleep(FULL)


class Process:
    """One process that was started: its id, and its end."""

    def __init__(self, number: int, letter: int) -> None:
        """`number` is the fork server's name for it, `letter` the open file that holds its `Launch`."""
        loop = asyncio.get_running_loop()
        self.number = number
        self.pid: asyncio.Future[int] = loop.create_future()
        self._letter = letter
        self._code: asyncio.Future[int] = loop.create_future()

    async def wait(self) -> int:
        """The exit code, or 128 + the signal that ended it.

        Raises:
            StartError: it never became the program that it was to be.
        """
        code = await asyncio.shield(self._code)
        reason = os.pread(self._letter, PACKET, 0) if code == CANNOT_START else b"{"
        if not reason.startswith(b"{"):
            raise StartError(reason.decode("utf-8", "replace"))
        return code

    async def wait_ended(self) -> None:
        """Wait until it has ended, however."""
        await asyncio.shield(self._code)

    @property
    def ended(self) -> bool:
        """Has it ended?"""
        return self._code.done()

    def note(self, report: Report) -> None:
        """Take in what the fork server tells about it."""
        if report.code is not None and not self.ended:
            self._code.set_result(report.code)
        if report.pid and not self.pid.done():
            self.pid.set_result(report.pid)

    def __del__(self) -> None:
        os.close(self._letter)


class Processes:
    """Starts processes through a fork server; an async context manager, after which none of them is left."""

    def __init__(self) -> None:
        self.isolation = Isolation.NONE
        self._channel: socket.socket | None = None
        self._server: Subprocess | None = None
        self._running: dict[int, Process] = {}
        self._ids = itertools.count(1)
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> "Processes":
        await self._connected()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._disconnect()  # the fork server reads the end of the stream, kills everything and leaves
        if self._server is not None:
            await self._server.wait()

    async def start(self, launch: Launch, output: int) -> Process:
        """Start a process that writes to a file descriptor, which the caller closes.

        Raises:
            StartError: the fork server cannot be reached.
        """
        channel = await self._connected()
        letter = os.memfd_create("launch", os.MFD_CLOEXEC)
        process = Process(next(self._ids), letter)
        os.write(letter, msgspec.json.encode(launch))
        order = msgspec.json.encode(Order(start=process.number))
        self._running[process.number] = process
        try:
            await deliver(channel, order, [letter, output])
        except OSError as error:
            del self._running[process.number]
            raise StartError(f"cannot reach the process that starts pods: {error}") from error
        return process

    def signal(self, process: Process, number: int) -> None:
        """Signal a process and the rest of its group; nothing happens if it has ended."""
        if self._channel is None or process.ended:
            return
        try:
            self._channel.send(msgspec.json.encode(Order(kill=process.number, signal=number)))
        except BlockingIOError:
            asyncio.get_running_loop().call_later(FULL, self.signal, process, number)

    async def _connected(self) -> socket.socket:
        """The connection to a living fork server; a new one if there was none, or if it was lost."""
        async with self._starting:
            if self._channel is None:
                self._channel = await self._launch_server()
            return self._channel

    async def _launch_server(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        command = (sys.executable, "-m", "flagger.sandbox.kubelet.forkserver", str(theirs.fileno()))
        self._server = await asyncio.create_subprocess_exec(*command, pass_fds=[theirs.fileno()])
        theirs.close()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(STARTING):
                packet = await loop.sock_recv(ours, PACKET)
        except TimeoutError as error:
            ours.close()
            raise StartError(f"the process that starts pods was not up after {STARTING:g} s") from error
        if not packet:
            ours.close()
            raise StartError("the process that starts pods ended at once; its reason is on standard error")
        self.isolation = Isolation(msgspec.json.decode(packet, type=Report).isolation)
        loop.add_reader(ours, self._read, ours)
        return ours

    def _read(self, channel: socket.socket) -> None:
        """Take a report that has come."""
        try:
            packet = channel.recv(PACKET)
        except BlockingIOError:
            return
        except ConnectionError:
            packet = b""
        if not packet:
            self._disconnect()
            return
        report = msgspec.json.decode(packet, type=Report)
        process = self._running.get(report.id)
        if process is not None:
            process.note(report)
            if process.ended:
                del self._running[report.id]

    def _disconnect(self) -> None:
        """Without the fork server there is no process."""
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self._channel = None
        for process in self._running.values():
            process.note(Report(code=KILLED))
        self._running.clear()
