"""The servers under test, and a client that hides nothing of the wire."""

import asyncio
import contextlib
import functools
import io
import itertools
import json
import os
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from flagger.sandbox.apiserver import ApiServer

Object = dict[str, Any]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
WITHIN = 10.0
"""Seconds that anything eventual may take."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running API server and its administrator."""

    name: str
    url: str
    token: str
    ca: str = field(repr=False)
    version: tuple[int, int]
    kubeconfig: Path

    def since(self, minor: int) -> bool:
        """Tell whether the server has what Kubernetes 1.`minor` brought."""
        return self.version >= (1, minor)

    def needs(self, minor: int) -> None:
        """Skip a test of something newer than the server."""
        if not self.since(minor):
            pytest.skip(f"Kubernetes {self.version[0]}.{self.version[1]} lacks what 1.{minor} brought")


@contextlib.contextmanager
def embedded(folder: Path, **options: Any) -> Iterator[Server]:
    """Run an embedded server in a thread of its own, as if it were another process."""
    server, loop = ApiServer(**options), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="embedded API server")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig())
        yield Server("embedded", server.url, server.admin_token, server.ca_pem, (1, 32), kubeconfig)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def real(kubeconfig: Path, version: tuple[int, int]) -> Server:
    """Describe a real control plane."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    ca = Path(cluster["certificate-authority"]).read_text()
    return Server("envtest", cluster["server"], user["token"], ca, version, kubeconfig)


@dataclass(frozen=True)
class Reply:
    """An answer: `body` is decoded JSON, or text."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def causes(self) -> list[Object]:
        """The causes of a Status."""
        return (self.body.get("details") or {}).get("causes") or []

    def cause_fields(self) -> list[str]:
        """The fields of the causes."""
        return [cause.get("field", "") for cause in self.causes]

    def ok(self) -> Object:
        """The body of a success."""
        assert self.status in {200, 201}, self.body
        return self.body

    def failed(self, status: int, reason: str = "") -> Object:
        """The body of a failure of this kind."""
        assert self.status == status, self.body
        if reason:
            assert self.body["reason"] == reason, self.body
        return self.body


class Stream:
    """An open watch; events are read one by one."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self._buffer = b""

    async def next(self, within: float = WITHIN) -> Object | None:
        """The next event, or None when the stream has ended."""
        async with asyncio.timeout(within):
            while b"\n" not in self._buffer:
                data = await self.response.content.readany()
                if not data:
                    return None
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    async def take(self, count: int, within: float = WITHIN) -> list[Object]:
        """The next events."""
        return [await self.next(within) for _ in range(count)]

    async def rest(self, within: float = WITHIN) -> list[Object]:
        """All events until the end."""
        events = []
        while (event := await self.next(within)) is not None:
            events.append(event)
        return events


@dataclass(frozen=True)
class Api:
    """A client in one namespace of its own; `token` "" sends none."""

    server: Server
    session: aiohttp.ClientSession
    namespace: str
    token: str

    def as_user(self, token: str) -> "Api":
        """The same client with other credentials."""
        return replace(self, token=token)

    def path(self, plural: str, name: str = "", *, group: str = "v1", namespace: str | None = None) -> str:
        """The path of a namespaced resource; `group` is an apiVersion."""
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        where = f"{root}/namespaces/{self.namespace if namespace is None else namespace}/{plural}"
        return f"{where}/{name}" if name else where

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        login = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {"Accept": "application/json", **login, **(headers or {})}

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request; a body that is not bytes goes out as JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if body is not None else {}
        sent = self._headers(given | dict(headers or {}))
        skip = [name for name, value in sent.items() if value == ""]
        final = {name: value for name, value in sent.items() if value != ""}
        async with self.session.request(
            method,
            self.server.url + path,
            data=None if data is None else io.BytesIO(data),
            params=params,
            headers=final,
            skip_auto_headers=[*skip, "Content-Type"],
        ) as response:
            raw = await response.read()
            kind = response.content_type
            parsed = json.loads(raw) if kind == "application/json" and raw else raw.decode(errors="replace")
            return Reply(response.status, response.headers, parsed)

    async def get(self, path: str, **options: Any) -> Reply:
        """GET."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any, **options: Any) -> Reply:
        """POST."""
        return await self.request("POST", path, body, **options)

    async def put(self, path: str, body: Any, **options: Any) -> Reply:
        """PUT."""
        return await self.request("PUT", path, body, **options)

    async def patch(self, path: str, body: Any, kind: str = MERGE_PATCH, **options: Any) -> Reply:
        """PATCH with a content type."""
        headers = {"Content-Type": kind, **options.pop("headers", {})}
        return await self.request("PATCH", path, body, headers=headers, **options)

    async def apply(self, path: str, body: Any, manager: str, *, force: bool = False) -> Reply:
        """Server-side apply."""
        params = {"fieldManager": manager} | ({"force": "true"} if force else {})
        return await self.patch(path, body, APPLY_PATCH, params=params)

    async def delete(self, path: str, body: Any = None, **options: Any) -> Reply:
        """DELETE."""
        return await self.request("DELETE", path, body, **options)

    async def create(self, plural: str, obj: Object, *, group: str = "v1") -> Object:
        """Create a namespaced object that must be fine."""
        return (await self.post(self.path(plural, group=group), obj)).ok()

    async def revision(self) -> str:
        """The present revision of the server."""
        return (await self.get(self.path("configmaps"))).ok()["metadata"]["resourceVersion"]

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Stream]:
        """Open a watch that must be accepted."""
        query = {"watch": "1", **(params or {})}
        async with self.session.get(
            self.server.url + path,
            params=query,
            headers=self._headers(headers),
            timeout=aiohttp.ClientTimeout(total=None),
        ) as response:
            assert response.status == 200, await response.text()
            yield Stream(response)

    async def gone(self, path: str, within: float = WITHIN) -> None:
        """Wait until a path answers 404."""
        await until(lambda: self._is_gone(path), f"{path} is gone", within)

    async def _is_gone(self, path: str) -> bool:
        return (await self.get(path)).status == 404


async def until(check: Callable[[], Awaitable[Any]], what: str, within: float = WITHIN) -> Any:
    """Poll until `check` returns something true, and return it."""
    deadline = time.monotonic() + within
    while not (found := await check()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.05)
    return found


def a_namespace() -> str:
    """A name that no other test uses, whatever runs beside."""
    return f"conformance-{os.getpid()}-{next(_numbers)}"


@functools.cache
def trusting(server: Server) -> ssl.SSLContext:
    """A TLS context that trusts the server."""
    context = ssl.create_default_context(cadata=server.ca)
    context.check_hostname = server.name == "embedded"
    return context


@contextlib.asynccontextmanager
async def client(server: Server) -> AsyncIterator[Api]:
    """An administrator's client in a fresh namespace."""
    connector = aiohttp.TCPConnector(ssl=trusting(server), limit=0)
    limit = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=limit) as session:
        api = Api(server, session, a_namespace(), server.token)
        (await api.post("/api/v1/namespaces", {"metadata": {"name": api.namespace}})).ok()
        yield api
        await api.delete(f"/api/v1/namespaces/{api.namespace}")
        await asyncio.sleep(0)  # lets TLS connections close
