"""Container logs: what a process prints, line by line with its time, on disk and to followers.

A line on disk is `<RFC 3339 time> <text>`. Files are bounded: at `LARGEST` the older half is given up.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CHUNK = 65536  # bytes read at once
LARGEST = 10 * 1024 * 1024  # bytes of one file; there are at most two, the current one and the one before
FASTEST = 4 * 1024 * 1024  # bytes per second taken from a process; one that prints more has to wait
LONGEST_LINE = 256 * 1024  # bytes; longer lines are cut in pieces
BACKLOG = 10_000  # lines that a follower may be behind before it misses some


@contextlib.asynccontextmanager
async def reading(pipe: int) -> AsyncIterator[asyncio.StreamReader]:
    """Read from a pipe; closes it."""
    reader = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    try:
        yield reader
    finally:
        transport.close()


@dataclass(frozen=True, slots=True)
class Wish:
    """Which lines somebody wants to read; the options of the log endpoint."""

    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    follow: bool = False
    limit: int | None = None
    """Bytes."""


def rfc3339(moment: datetime) -> str:
    """A time with microseconds, as `kubectl logs --timestamps` shows it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Log:
    """The log of one run of a container."""

    def __init__(self, file: Path, now: Callable[[], datetime]) -> None:
        self.file = file
        self.open = True
        self._now = now
        self._rest = b""
        self._followers: set[asyncio.Queue[str | None]] = set()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._out = file.open("ab", buffering=0)

    @classmethod
    def finished(cls, file: Path, now: Callable[[], datetime]) -> "Log":
        """The log of an earlier run, for reading."""
        log = cls(file, now)
        log.close()
        return log

    async def collect(self, pipe: int) -> None:
        """Take in what comes through a pipe until its end; closes it, and the log."""
        async with reading(pipe) as reader:
            try:
                while chunk := await reader.read(CHUNK):
                    self.write(chunk)
                    if len(chunk) >= CHUNK // 2:  # a flood: all else in this process has to get its turn
                        await asyncio.sleep(len(chunk) / FASTEST)
            finally:
                self.close()

    def write(self, chunk: bytes) -> None:
        """Append output; an incomplete last line waits for its rest."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        if not lines:
            return
        stamp = rfc3339(self._now())
        self._out.write(b"".join(b"%s %s\n" % (stamp.encode(), line) for line in lines))
        if self._out.tell() > LARGEST:
            self._rotate()
        for line in lines:
            self._tell(f"{stamp} {line.decode('utf-8', 'replace')}")

    def close(self) -> None:
        """The process has ended: nothing more will come."""
        if not self.open:
            return
        if self._rest:
            self.write(b"\n")
        self.open = False
        self._out.close()
        self._tell(None)

    def _rotate(self) -> None:
        self._out.close()
        self.file.replace(older(self.file))
        self._out = self.file.open("ab", buffering=0)

    def _tell(self, line: str | None) -> None:
        for queue in self._followers:
            if queue.full():
                queue.get_nowait()  # a reader that is too slow misses the oldest lines, not the newest
            queue.put_nowait(line)

    async def lines(self, wish: Wish) -> AsyncIterator[str]:
        """The lines wished for; with `follow` until the process ends."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(BACKLOG)
        following = wish.follow and self.open
        if following:
            self._followers.add(queue)
        try:
            for line in read(self.file, wish):
                yield line
            while following and (line_ := await queue.get()) is not None:
                yield shown(line_, wish)
        finally:
            self._followers.discard(queue)


def older(file: Path) -> Path:
    """Where the older part of a log is."""
    return file.with_name(file.name + ".1")


def read(file: Path, wish: Wish) -> Iterator[str]:
    """The lines on disk that are wished for."""
    text = b"".join(part.read_bytes() for part in (older(file), file) if part.exists())
    lines = text.decode("utf-8", "replace").split("\n")[:-1]
    if wish.since is not None:
        since = rfc3339(wish.since)
        lines = [line for line in lines if line.partition(" ")[0] >= since]
    if wish.tail is not None:
        lines = lines[len(lines) - min(wish.tail, len(lines)) :]
    return (shown(line, wish) for line in lines)


def shown(line: str, wish: Wish) -> str:
    """A stored line as a reader wants it."""
    return (line if wish.timestamps else line.partition(" ")[2]) + "\n"
