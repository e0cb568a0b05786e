"""How fast the Kubernetes client is: requests, lists, watch events, memory; against a stub in a process of its own.

Run: `python bench/kube_client.py [--uvloop]`. The stub answers with bytes made beforehand, so that the client is what
is measured. Takes about 20 seconds.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import resource
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection as Pipe

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.informer import Informer
from flagger.kube.objects import DEPLOYMENT, Object

OBJECTS = 10_000
EVENTS = 100_000
SECONDS = 3.0  # for each figure of requests per second
IN_FLIGHT = 32


def a_deployment(number: int) -> Object:
    """An object of about 3 KB with managedFields, as servers have them."""
    labels = {"app": f"app-{number}", "team": "shop", "tier": "front"}
    container = {
        "name": "app",
        "image": f"registry.example.com/shop/app-{number}:1.2.3",
        "env": [{"name": f"VAR_{i}", "value": f"value {i}"} for i in range(12)],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {
            "limits": {"cpu": "1", "memory": "512Mi"},
            "requests": {"cpu": "100m", "memory": "128Mi"},
        },
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": 8080, "scheme": "HTTP"},
            "periodSeconds": 10,
        },
    }
    fields = {"f:spec": {f"f:field{i}": {".": {}, "f:a": {}, "f:b": {}} for i in range(25)}}
    metadata = {
        "name": f"app-{number}",
        "namespace": f"ns-{number % 50}",
        "uid": f"00000000-0000-0000-0000-{number:012}",
        "resourceVersion": str(1000 + number),
        "generation": 3,
        "creationTimestamp": "2030-01-01T00:00:00Z",
        "labels": labels,
        "annotations": {"deployment.kubernetes.io/revision": "3", "note": "x" * 200},
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": fields}],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "restartPolicy": "Always"},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
        "status": {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "observedGeneration": 3},
    }


class Stub(asyncio.Protocol):
    """Knows three answers: an object, a page of a list, and a stream of events."""

    one = b""
    pages: tuple[bytes, ...] = ()
    events = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self.rest += data
        while (end := self.rest.find(b"\r\n\r\n")) >= 0:
            head = self.rest[:end]
            position = head.find(b"Content-Length: ")
            length = int(head[position + 16 :].split(b"\r\n", 1)[0]) if position >= 0 else 0
            if len(self.rest) < end + 4 + length:
                return
            self.rest = self.rest[end + 4 + length :]
            self.answer(head.split(b" ", 2)[1])

    def answer(self, path: bytes) -> None:
        """Send what the path asks for."""
        if b"watch=1" in path:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            self.transport.write(head + b"%x\r\n%s\r\n" % (len(self.events), self.events))
            return
        body = self.one
        if path.startswith(b"/apis/apps/v1/deployments"):
            number = int(path.partition(b"continue=")[2] or 0)
            body = self.pages[number]
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)


def serve(pipe: Pipe) -> None:
    """The stub's process: tells its port, serves until it is ended."""
    objects = [a_deployment(number) for number in range(OBJECTS)]
    Stub.one = json.dumps(objects[0]).encode()
    groups = [objects[start : start + 500] for start in range(0, OBJECTS, 500)]
    Stub.pages = tuple(
        json.dumps(
            {
                "metadata": {
                    "resourceVersion": "1",
                    "continue": str(index + 1) if index + 1 < len(groups) else "",
                },
                "items": group,
            }
        ).encode()
        for index, group in enumerate(groups)
    )
    lines = (
        json.dumps({"type": "MODIFIED", "object": with_version(objects[number % 1000], 20_000 + number)})
        for number in range(EVENTS // 10)
    )
    Stub.events = "\n".join(lines).encode() + b"\n"

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def with_version(obj: Object, version: int) -> Object:
    """The same object, later."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}


async def per_second(ask: Callable[[], Awaitable[object]], in_flight: int) -> tuple[float, float]:
    """Requests per second, and CPU microseconds per request."""
    done = 0
    end = time.perf_counter() + SECONDS

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await ask()
            done += 1

    cpu, start = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return done / (time.perf_counter() - start), (time.process_time() - cpu) / done * 1e6


def resident() -> float:
    """Memory now, in MB (Linux)."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 -- not worth a path
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


async def measure(port: int) -> None:
    """All figures, one per line."""
    async with Client(Connection(f"http://127.0.0.1:{port}")) as client:
        turn = 0

        async def ask() -> None:
            nonlocal turn
            turn += 1
            if turn % 2:
                await client.get(DEPLOYMENT, "app-0", "ns-0")
            else:
                await client.patch(DEPLOYMENT, "app-0", "ns-0", {"spec": {"replicas": turn}})

        for in_flight in (1, IN_FLIGHT):
            rate, cpu = await per_second(ask, in_flight)
            print(
                f"GET and PATCH in turn, {in_flight:2} in flight   {rate:9,.0f} requests/s   {cpu:5.0f} us CPU each"
            )
        gc.collect()
        before, start = resident(), time.perf_counter()
        found = await client.list(DEPLOYMENT)
        seconds = time.perf_counter() - start
        kept = resident() - before
        print(
            f"list of {len(found.items):,}                   {seconds:9.2f} s            {kept:5.0f} MB kept"
        )
        del found
        gc.collect()
        before, start = resident(), time.perf_counter()
        informer = Informer(client, DEPLOYMENT)
        task = asyncio.create_task(informer.run())
        await informer.wait_synced()
        seconds = time.perf_counter() - start
        print(
            f"informer over the same           {seconds:9.2f} s            {resident() - before:5.0f} MB kept"
        )
        task.cancel()
        await asyncio.wait({task})
        start, count = time.perf_counter(), 0
        for _ in range(10):
            async for _event in client.watch(DEPLOYMENT, resource_version="1"):
                count += 1
                if count % (EVENTS // 10) == 0:
                    break
        seconds = time.perf_counter() - start
        print(f"watch                            {count / seconds:9,.0f} events/s")


def main() -> None:
    """Start the stub, measure, end the stub."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uvloop", action="store_true", help="use uvloop in the client")
    wanted = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    stub = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    stub.start()
    try:
        port = ours.recv()
        if wanted.uvloop:
            import uvloop

            uvloop.run(measure(port))
        else:
            asyncio.run(measure(port))
    finally:
        stub.terminate()
        stub.join()


if __name__ == "__main__":
    main()
