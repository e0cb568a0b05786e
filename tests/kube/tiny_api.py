"""A small API server with a memory, real sockets and bad manners: what this layer is tested on.

It stores objects, pages lists, resumes watches, and detects conflicts. `faults` are tried before each request
and may answer it instead. Not a model of validation, defaulting or authorization.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.objects import Kind, Object

Fault = Callable[[web.Request], Awaitable[web.StreamResponse] | None]


@dataclass(frozen=True)
class Seen:
    """A request as the server got it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_watch(self) -> bool:
        return "watch" in self.query


@dataclass
class TinyApi:
    """The server. `url` is set while it runs; `seen` are all requests so far."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    version: int = 100
    oldest: int = 0
    missing: set[str] = field(default_factory=set)  # plurals of kinds that are not served
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    history: list[tuple[int, str, str, Object]] = field(default_factory=list)
    streams: list["Stream"] = field(default_factory=list)

    # For tests: acting on the store as somebody else would.

    def put(self, kind: Kind, name: str, namespace: str = "shop", **fields: Any) -> Object:
        """Create or replace an object; announces it to watchers."""
        old = self.objects.get((kind.plural, namespace, name))
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{self.version + 1}"}
        if old is not None:
            metadata["uid"] = old["metadata"]["uid"]
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}
        return self.store(kind.plural, obj, "ADDED" if old is None else "MODIFIED")

    def drop(self, kind: Kind, name: str, namespace: str = "shop") -> None:
        """Delete an object; announces it to watchers."""
        gone = self.objects.pop((kind.plural, namespace, name))
        self.version += 1
        gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
        self.announce(kind.plural, "DELETED", gone)

    def store(self, plural: str, obj: Object, change: str) -> Object:
        self.version += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.version)}
        obj = {**obj, "metadata": metadata}
        self.objects[plural, metadata.get("namespace", ""), metadata["name"]] = obj
        self.announce(plural, change, obj)
        return obj

    def announce(self, plural: str, change: str, obj: Object) -> None:
        self.history.append((self.version, plural, change, obj))
        for stream in self.streams:
            if stream.plural == plural:
                stream.send(change, obj)

    def forget_history(self) -> None:
        """From now on every watch from an earlier version is answered with 410, as after a compaction."""
        self.history.clear()
        self.oldest = self.version + 1
        self.version += 1

    def count(self, method: str, *, watch: bool | None = None) -> int:
        """How many requests of this method came in, of watches or of others only if asked."""
        return sum(1 for s in self.seen if s.method == method and watch in {None, s.is_watch})

    # The server itself.

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.path, dict(request.query), request.headers, body))
        for fault in list(self.faults):
            answer = fault(request)
            if answer is not None:
                return await answer
        place = Place.of(request.path)
        if place.plural in self.missing:
            return web.Response(status=404, text="404 page not found")
        if request.method == "GET" and not place.name:
            return await self.collection(request, place)
        return self.item(request.method, place, json.loads(body) if body else {})

    async def collection(self, request: web.Request, place: "Place") -> web.StreamResponse:
        if "watch" in request.query:
            return await self.watch(request, place)
        keys = sorted(k for k in self.objects if k[0] == place.plural and place.namespace in {"", k[1]})
        start = int(request.query.get("continue") or 0)
        limit = int(request.query.get("limit") or len(keys) or 1)
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(keys):
            metadata["continue"] = str(start + limit)
        # Items of built-in kinds come without apiVersion and kind.
        items = [{"metadata": {}, **self.objects[key]} for key in keys[start : start + limit]]
        for item in items:
            item.pop("kind", None)
            item.pop("apiVersion", None)
        return web.json_response({"kind": "List", "metadata": metadata, "items": items})

    async def watch(self, request: web.Request, place: "Place") -> web.StreamResponse:
        since = int(request.query["resourceVersion"] or 0)
        stream = Stream(place.plural, await started(request))
        if since < self.oldest:
            await stream.write(
                {"type": "ERROR", "object": status(410, "Expired", "too old resource version")}
            )
            return stream.response
        for version, plural, change, obj in self.history:
            if version > since and plural == place.plural:
                stream.send(change, obj)
        self.streams.append(stream)
        try:
            await stream.pump()
        finally:
            self.streams.remove(stream)
        return stream.response

    def item(self, method: str, place: "Place", body: Object) -> web.Response:
        key = (place.plural, place.namespace, place.name or body.get("metadata", {}).get("name", ""))
        old = self.objects.get(key)
        if method == "POST":
            if old is not None:
                return refuse(409, "AlreadyExists", f'{place.plural} "{key[2]}" already exists', key[2])
            metadata = {"uid": f"uid-{self.version + 1}", **body["metadata"]}
            return web.json_response(
                self.store(place.plural, {**body, "metadata": metadata}, "ADDED"), status=201
            )
        if old is None:
            return refuse(404, "NotFound", f'{place.plural} "{key[2]}" not found', key[2])
        if method == "DELETE":
            self.drop(Kind("", "v1", "", place.plural), key[2], key[1])
            return web.json_response(status(200, "", "", key[2]) | {"status": "Success"})
        wanted = body.get("metadata", {}).get("resourceVersion")
        if method != "GET" and wanted not in {None, old["metadata"]["resourceVersion"]}:
            return refuse(409, "Conflict", "the object has been modified", key[2])
        if method == "PUT":
            return web.json_response(self.store(place.plural, body, "MODIFIED"))
        if method == "PATCH":
            return web.json_response(self.store(place.plural, merged(old, body), "MODIFIED"))
        return web.json_response(old)


@dataclass(frozen=True)
class Place:
    """A path, taken apart."""

    plural: str
    namespace: str = ""
    name: str = ""

    @classmethod
    def of(cls, path: str) -> "Place":
        parts = path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if len(rest) > 2 and rest[0] == "namespaces":
            return cls(rest[2], rest[1], rest[3] if len(rest) > 3 else "")
        return cls(rest[0], "", rest[1] if len(rest) > 1 else "")


@dataclass
class Stream:
    """One open watch."""

    plural: str
    response: web.StreamResponse
    queue: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    def send(self, change: str, obj: Object) -> None:
        self.queue.put_nowait(json.dumps({"type": change, "object": obj}).encode() + b"\n")

    def bookmark(self, version: int) -> None:
        """As a real server sends it: nothing but a version."""
        self.send("BOOKMARK", {"metadata": {"resourceVersion": str(version), "creationTimestamp": None}})

    def raw(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.queue.put_nowait(chunk)

    def end(self) -> None:
        self.queue.put_nowait(None)

    def reset(self) -> None:
        """TCP RST, as from a load balancer that was restarted."""
        transport = self.response._req.transport
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()

    async def write(self, line: Object) -> None:
        await self.response.write(json.dumps(line).encode() + b"\n")

    async def pump(self) -> None:
        while (chunk := await self.queue.get()) is not None:
            await self.response.write(chunk)


async def started(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def status(code: int, reason: str, message: str, name: str = "") -> Object:
    details = {"name": name} if name else {}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


def refuse(code: int, reason: str, message: str, name: str = "", **headers: str) -> web.Response:
    return web.json_response(status(code, reason, message, name), status=code, headers=headers)


def fail(
    times: int, answer: Callable[[], web.Response], *, only: Callable[[web.Request], bool] = lambda _: True
) -> Fault:
    """Answer the first requests that `only` picks with an error."""
    left = [times]

    def fault(request: web.Request) -> Awaitable[web.StreamResponse] | None:
        if left[0] <= 0 or not only(request):
            return None
        left[0] -= 1

        async def refused() -> web.StreamResponse:
            return answer()

        return refused()

    return fault


@asynccontextmanager
async def running(api: TinyApi, *, port: int = 0, ssl: Any = None) -> AsyncIterator[TinyApi]:
    """Serve on loopback; every stream is cut at the end."""
    runner = web.AppRunner(application(api), shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=ssl)
    await site.start()
    bound = runner.addresses[0][1]
    api.url = f"{'https' if ssl else 'http'}://127.0.0.1:{bound}"
    try:
        yield api
    finally:
        for stream in list(api.streams):
            stream.end()
        await runner.cleanup()


def application(api: TinyApi) -> web.Application:
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/{path:.*}", api.handle)
    return app


@asynccontextmanager
async def client_of(api: TinyApi, **changes: Any) -> AsyncIterator[Client]:
    """A client of a running server."""
    async with Client(Connection(api.url, **changes)) as client:
        yield client


async def eventually(condition: Callable[[], Any], *, within: float = 5.0) -> None:
    """Wait until a condition holds; fails after `within` seconds of the loop's time."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 -- the conditions are about things without events
            await asyncio.sleep(within / 1000)
