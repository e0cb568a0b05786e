"""Hooks as a Service of the cluster: a scripted server in the test's process, each path a gate of its own."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.e2e.stage import Stage
from tests.fakes.scripted import Received, Reply, ScriptedServer

YES, NO = Reply(200, b"yes"), Reply(403, b"not yet")
HANG = Reply(200, b"late", wait=60.0)


@dataclass
class Gatekeeper:
    """Answers every call with yes unless told otherwise.

    `rules` maps paths to what answers them; `calls` counts them by path, `bodies` keeps what was sent.
    """

    stage: Stage
    url: str = ""
    rules: dict[str, Callable[[], Reply]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def open(self, path: str) -> None:
        """Say yes from now on."""
        self.rules.pop(path, None)

    def close(self, path: str, reply: Reply = NO) -> None:
        """Give this answer from now on."""
        self.rules[path] = lambda: reply

    def answer(self, request: Received) -> Reply:
        """What the rules say."""
        path = request.path
        self.calls[path] += 1
        self.bodies[path].append(msgspec.json.decode(request.body))
        self.stage.changed.set()
        return self.rules[path]() if path in self.rules else YES


@asynccontextmanager
async def a_gatekeeper(
    stage: Stage, *, namespace: str = "", name: str = "hooks", port: int = 8000
) -> AsyncIterator[Gatekeeper]:
    """A gatekeeper behind the Service `name`."""
    keeper, namespace = Gatekeeper(stage), namespace or stage.namespace
    async with ScriptedServer(keeper.answer) as server:
        metadata = {"name": name, "namespace": namespace}
        await stage.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"ports": [{"name": "http", "port": port}]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["127.0.0.1"]}],
                "ports": [{"name": "http", "port": server.port}],
            },
        )
        keeper.url = f"http://{name}.{namespace}" + ("" if port == 80 else f":{port}")
        yield keeper
