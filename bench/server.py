"""An embedded API server in a process of its own, with all CRDs; `python -m bench.server FOLDER` is that process."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Process, python
from flagger.api import crds as flagger_crds
from flagger.kube.client import Client
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import CRD
from flagger.sandbox import crds as provider_crds
from flagger.sandbox.apiserver import ApiServer

READY_WITHIN = 20.0  # seconds
READS = frozenset({"get", "list"})
_COUNT = re.compile(r'apiserver_request_total\{verb="(\w+)",resource="([^"]*)",code="\d+"\} (\d+)')


@dataclass(frozen=True, slots=True)
class Server:
    """A running API server."""

    process: Process
    kubeconfig: Path


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Run one, until the end of the block."""
    kubeconfig = folder / "kubeconfig"
    with python(["-m", "bench.server", str(folder)], folder / "server.log") as process:
        deadline = time.monotonic() + READY_WITHIN
        while not kubeconfig.exists() and time.monotonic() < deadline:
            process.check()
            time.sleep(0.02)
        yield Server(process, kubeconfig)


async def counts(client: Client) -> Counter[tuple[str, str]]:
    """How many requests the server has answered so far, by verb and resource, as it counts them itself."""
    text = (await client.raw("GET", "/metrics")).decode()
    found: Counter[tuple[str, str]] = Counter()
    for verb, resource, number in _COUNT.findall(text):
        found[verb, resource] += int(number)
    return found


def told(requests: Counter[tuple[str, str]]) -> str:
    """Requests in words, the most frequent first."""
    return ", ".join(f"{number} {verb} {resource}" for (verb, resource), number in requests.most_common())


async def _serve(folder: Path) -> None:
    """Be the server; the kubeconfig appears when the CRDs are served."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ApiServer() as here:
        draft = folder / "kubeconfig.draft"
        draft.write_text(here.kubeconfig())
        async with Client(load_connection(draft)) as client:
            for definition in (*flagger_crds.manifests(), *provider_crds.manifests()):
                await client.create(CRD, definition)
        draft.rename(folder / "kubeconfig")
        await stop.wait()


def main() -> None:
    """Serve, on uvloop where it is installed."""
    factory = None
    if importlib.util.find_spec("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
