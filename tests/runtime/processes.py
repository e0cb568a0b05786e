"""Operators as processes, started as in a cluster and ended by their fixture."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.cluster import until

LINES = 20.0  # seconds in which a line has to come


@dataclass
class Process:
    """A `flagger run` with what it has logged so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The lines, all of which must be JSON objects."""
        return [json.loads(line) for line in self.lines]

    def entry(self, message: str) -> dict[str, Any] | None:
        """The first line with this message."""
        return next((entry for entry in self.entries if entry["msg"] == message), None)

    async def logged(self, message: str) -> dict[str, Any]:
        """Wait for a line with this message."""
        return await until(lambda: self.entry(message), f"{message!r} in {self.lines[-5:]}", LINES)

    async def port(self) -> int:
        """The port of its HTTP server."""
        return int((await self.logged("starting HTTP server"))["port"])

    async def end(self, number: int = signal.SIGTERM, *more: int) -> int:
        """Send signals; returns the exit code."""
        for each in (number, *more):
            self.process.send_signal(each)
            await asyncio.sleep(0.1 if more else 0.0)
        return await asyncio.wait_for(self.process.wait(), 15)

    async def read(self) -> None:
        """Collect lines until the end."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip("\n"))


@asynccontextmanager
async def running(*arguments: str, **environment: str) -> AsyncIterator[Process]:
    """`flagger run` with these flags, on a free port of loopback unless said otherwise."""
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"}}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flagger", "run", "-address=127.0.0.1", "-port=0", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, "HOME": "/nonexistent", **environment},
    )
    found = Process(process)
    reading = asyncio.create_task(found.read())
    try:
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
