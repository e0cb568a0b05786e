"""The sample app as a process: how it starts, stops and crashes."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from flagger.sandbox.podinfo.check import check
from tests.sandbox.podinfo.addresses import an_address


@pytest.fixture
async def launch() -> AsyncIterator[Callable[..., Any]]:
    """Starts the app with variables; ends it afterwards."""
    async with AsyncExitStack() as stack:

        async def starter(host: str, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
            command = [sys.executable, "-m", "flagger.sandbox.podinfo", f"--host={host}", *arguments]
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=pipe)

            async def end() -> None:
                if process.returncode is None:
                    process.kill()
                await process.communicate()

            stack.push_async_callback(end)
            return process

        yield starter


async def line_with(process: asyncio.subprocess.Process, text: str) -> bytes:
    """The first line of output that has a text in it."""
    async with asyncio.timeout(20):
        while text.encode() not in (line := await process.stdout.readline()):
            assert line, f"ended without {text!r}"
    return line


async def test_drains_before_it_ends(launch: Callable[..., Any]) -> None:
    """After SIGTERM it answers what is under way and goes on for a while, then it exits with 0."""
    host = an_address()
    process = await launch(host, PODINFO_DRAIN="0.3", PODINFO_LATENCY_MS="200")
    await line_with(process, "listening")
    reader, writer = await asyncio.open_connection(host, 9898)
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    await writer.drain()

    process.send_signal(signal.SIGTERM)
    await line_with(process, "shutting down")

    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:9898/readyz") as ready:
        assert ready.status == 503
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "message"),
    [
        pytest.param([], {"PODINFO_CRASH_AFTER": "0"}, 1, "crashing as ordered", id="ordered crash"),
        pytest.param(["--level=debug", "--port-metrics=x"], {}, 2, "port-metrics", id="unusable flag"),
        pytest.param(["--host=192.0.2.1"], {}, 1, "cannot listen", id="address of another machine"),
    ],
)
async def test_says_why_it_ends(
    launch: Callable[..., Any], arguments: list[str], environ: dict[str, str], code: int, message: str
) -> None:
    """The reason is in the log, as JSON, and the exit code is not 0."""
    host = an_address()
    process = await launch(host, *arguments, **environ)

    output, _ = await process.communicate()

    assert message in output.decode()
    assert process.returncode == code


async def test_panics_on_request(launch: Callable[..., Any]) -> None:
    """`/panic` ends it at once with 255."""
    host = an_address()
    process = await launch(host)
    await line_with(process, "listening")

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://{host}:9898/panic")

    assert await process.wait() == 255


async def test_podcli_checks_the_pod(launch: Callable[..., Any]) -> None:
    """`localhost` is the pod's own address; a bad status, a closed port and a wrong word are failures."""
    host = an_address()
    process = await launch(host, "--unready")
    await line_with(process, "listening")
    pod = {"POD_IP": host}

    def code(*words: str) -> int:
        return check(words, pod)

    assert await asyncio.to_thread(code, "check", "http", "localhost:9898/healthz") == 0
    assert await asyncio.to_thread(code, "check", "http", "localhost:9898/readyz") == 1
    assert await asyncio.to_thread(code, "check", "tcp", "localhost:9898") == 0
    assert await asyncio.to_thread(code, "check", "tcp", "localhost:9899") == 1
    assert code("status") == 2
