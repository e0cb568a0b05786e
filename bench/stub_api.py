"""An API server that sends bytes made beforehand, in a process of its own, so that a client is what is measured.

`/apis/apps/v1/deployments` is a list of many in pages, a namespace's collection one of 1,000 in one piece; a
single object is always the same one; a watch gets all its events at once.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Any

from bench import loops
from flagger.kube.objects import Object

OBJECTS, FEW, PAGE = 10_000, 1_000, 500
EVENTS = 10_000
"""Events in a watch."""


@contextmanager
def stub() -> Iterator[str]:
    """Run one; gives its URL."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def a_deployment(number: int) -> Object:
    """An object of about 3 KB with managedFields, as servers have them."""
    labels = {"app": f"app-{number}", "team": "shop", "tier": "front"}
    container = {
        "name": "app",
        "image": f"registry.example.com/shop/app-{number}:1.2.3",
        "env": [{"name": f"VAR_{i}", "value": f"value {i}"} for i in range(12)],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": 8080, "scheme": "HTTP"},
            "periodSeconds": 10,
        },
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "restartPolicy": "Always"},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(number, labels),
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
        "status": {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "observedGeneration": 3},
    }


def _metadata(number: int, labels: dict[str, str]) -> Object:
    fields: Object = {"f:spec": {f"f:field{i}": {".": {}, "f:a": {}, "f:b": {}} for i in range(25)}}
    owner = {
        "manager": "kubectl",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "time": "2030-01-01T00:00:00Z",
        "fieldsV1": fields,
    }
    return {
        "name": f"app-{number}",
        "namespace": f"ns-{number % 50}",
        "uid": f"00000000-0000-0000-0000-{number:012}",
        "resourceVersion": str(1000 + number),
        "generation": 3,
        "creationTimestamp": "2030-01-01T00:00:00Z",
        "labels": labels,
        "annotations": {"deployment.kubernetes.io/revision": "3", "note": "x" * 200},
        "managedFields": [owner],
    }


class Answers:
    """All bodies, made once."""

    def __init__(self) -> None:
        objects = [a_deployment(number) for number in range(OBJECTS)]
        self.one = json.dumps(objects[0]).encode()
        self.few = _list(objects[:FEW], "")
        starts = range(0, OBJECTS, PAGE)
        self.pages = [
            _list(objects[start : start + PAGE], str(start // PAGE + 1) if start + PAGE < OBJECTS else "")
            for start in starts
        ]
        lines = (_event(objects[number % FEW], 20_000 + number) for number in range(EVENTS))
        self.events = "\n".join(lines).encode() + b"\n"

    def body(self, path: bytes) -> bytes:
        """What a path asks for."""
        if path.startswith(b"/apis/apps/v1/deployments"):
            return self.pages[int(path.partition(b"continue=")[2].partition(b"&")[0] or 0)]
        collection = path.partition(b"?")[0].endswith(b"/deployments")
        return self.few if collection else self.one


def _list(items: list[Object], further: str) -> bytes:
    metadata = {"resourceVersion": "1", "continue": further}
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": metadata, "items": items}
    ).encode()


def _event(obj: Object, version: int) -> str:
    later = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}
    return json.dumps({"type": "MODIFIED", "object": later})


class _Protocol(asyncio.Protocol):
    """Takes requests apart just as far as needed."""

    def __init__(self, answers: Answers) -> None:
        self._answers, self._rest = answers, b""

    def connection_made(self, transport: Any) -> None:
        """Keep the connection; uvloop's has the methods of asyncio's, not its type."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            position = head.lower().find(b"content-length: ")
            length = int(head[position + 16 :].split(b"\r\n", 1)[0]) if position >= 0 else 0
            if len(self._rest) < end + 4 + length:
                return
            self._rest = self._rest[end + 4 + length :]
            self._answer(head.split(b" ", 2)[1])

    def _answer(self, path: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        if b"watch=1" in path:
            events = self._answers.events
            self._transport.write(
                head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(events), events)
            )
            return
        body = self._answers.body(path)
        self._transport.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def _serve(pipe: Pipe) -> None:
    """The process: tells its port, serves until it is ended."""

    async def serve() -> None:
        answers = Answers()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Protocol(answers), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    loops.run(serve())
