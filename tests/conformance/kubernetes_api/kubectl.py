"""Runs kubectl against a server, in a namespace and with a home of its own."""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.kubernetes_api.servers import Server

WITHIN = 30.0  # seconds
PROGRAM = shutil.which("kubectl")


@dataclass(frozen=True)
class Output:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    def ok(self) -> str:
        """The output of a command that must succeed."""
        assert self.code == 0, f"exit code {self.code}\n{self.out}{self.err}"
        return self.out

    def json(self) -> Any:
        """The output of a command with `-o json`."""
        return json.loads(self.ok())


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a kubeconfig, a namespace and a cache of its own."""

    server: Server
    namespace: str
    home: Path

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        if PROGRAM is None:
            pytest.skip("needs kubectl on PATH")
        return [PROGRAM, "--namespace", self.namespace, *arguments]

    def environment(self) -> dict[str, str]:
        """Nothing of the user's own kubectl."""
        kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        return kept | {"KUBECONFIG": str(self.server.kubeconfig), "HOME": str(self.home)}

    @contextlib.asynccontextmanager
    async def start(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run kubectl beside the test; it is ended with the block."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment(),
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            # Reads what is left, which closes the pipes.
            await process.communicate()

    async def __call__(self, *arguments: str, stdin: Any = None) -> Output:
        """Run a command to its end; `stdin` that is no text goes in as JSON."""
        text = stdin if isinstance(stdin, str | None) else json.dumps(stdin)
        async with self.start(*arguments) as process, asyncio.timeout(WITHIN):
            out, err = await process.communicate(None if text is None else text.encode())
            assert process.returncode is not None
            return Output(process.returncode, out.decode(), err.decode())
