"""The verbs of the Kubernetes API on plain objects. Connections and retries are in `transport.py`."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from flagger.kube.connection import Connection
from flagger.kube.errors import Gone, KubeError
from flagger.kube.objects import Kind, Object, is_terminating, name_of, namespace_of
from flagger.kube.transport import Request, Transport
from flagger.kube.watch import WatchEvent, decode_stream, lifetime

PAGE = 500  # objects
USER_AGENT = "flagger-py"


class PatchType(StrEnum):
    """How a patch body is to be read; the server takes strategic ones for built-in kinds only."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class ObjectList:
    """Objects, and the version of the store at which they were seen."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class ListPage:
    """A part of a list."""

    items: list[Object]
    resource_version: str
    first: bool


class ListAnswer(msgspec.Struct):
    """A list as the server sends it, of any kind."""

    items: list[Object] | None = None
    metadata: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Target:
    """An object, a part of one, or a collection."""

    kind: Kind
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    def __str__(self) -> str:
        part = f"/{self.subresource}" if self.subresource else ""
        where = "/".join(filter(None, (self.namespace, self.name)))
        return f"{self.kind.kind}{part} {where}".rstrip()


Answer = TypeVar("Answer", Object, ListAnswer)
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Client:
    """A connection to one API server; an async context manager.

    `guard` runs before every attempt of a write, and raises when this process must not write any more
    (a lost lease).
    """

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str = USER_AGENT,
        guard: Callable[[], None] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._transport = transport or Transport(connection, user_agent=user_agent)
        self._guard = guard

    @property
    def connection(self) -> Connection:
        """Where this client is connected to."""
        return self._transport.connection

    def guarded(self, guard: Callable[[], None]) -> "Client":
        """A client on the same connections whose writes `guard` must let pass; closing either closes both."""
        return Client(self.connection, guard=guard, transport=self._transport)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; running requests and watches fail."""
        await self._transport.close()

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        """Read one object from the server.

        Raises:
            NotFound: there is none.
            KindMissing: the server does not know the kind.
            KubeError: anything else; every verb may raise every kind of it.
        """
        return await self._send("GET", Target(kind, namespace, name))

    async def list(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> ObjectList:
        """All objects of a namespace, or of all; `labels` and `fields` are selectors in the API's syntax."""
        whole = ObjectList([], "")
        async for page in self.pages(kind, namespace, labels=labels, fields=fields):
            items = page.items if page.first else whole.items + page.items
            whole = ObjectList(items, page.resource_version)
        return whole

    async def pages(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[ListPage, None]:
        """A list page by page. `first` marks its beginning, which comes again when a page came too late."""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE), "continue": ""}
        while True:
            first = not query["continue"]
            request = request_for("GET", Target(kind, namespace), query=query, verb="list")
            try:
                answer = decoded(await self._transport.send(request), ListAnswer, request)
            except Gone:
                if first:
                    raise
                query |= {
                    "limit": "",
                    "continue": "",
                }  # in one go, as client-go does: pages would come too late again
                continue
            items = [typed(kind, item) for item in answer.items or ()]
            yield ListPage(items, str(answer.metadata.get("resourceVersion", "")), first)
            query["continue"] = answer.metadata.get("continue") or ""
            if not query["continue"]:
                return

    async def create(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> Object:
        """Store a new object, in the namespace of its metadata; returns it as stored.

        Raises:
            AlreadyExists: the name is taken.
        """
        target = Target(kind, namespace_of(obj) or None)
        return await self._send("POST", target, typed(kind, obj), query={"dryRun": "All" if dry_run else ""})

    async def update(self, kind: Kind, obj: Object, *, subresource: str | None = None) -> Object:
        """Replace an object as a whole, including what others wrote into it: for owners of all of it only.

        Raises:
            Conflict: it changed since `obj` was read.
        """
        return await self._send("PUT", target_of(kind, obj, subresource), typed(kind, obj))

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str | None,
        body: Object | Sequence[Object],
        *,
        subresource: str | None = None,
        content: PatchType = PatchType.MERGE,
    ) -> Object:
        """Change parts of an object; if the body has a `metadata.resourceVersion`, only that version of it.

        Raises:
            Conflict: the object is not at that version any more.
        """
        return await self._send("PATCH", Target(kind, namespace, name, subresource), body, content=content)

    async def apply(
        self, kind: Kind, obj: Object, *, manager: str, force: bool = True, subresource: str | None = None
    ) -> Object:
        """Server-side apply: `manager` owns exactly the fields in `obj`; creates a missing object.

        Raises:
            Conflict: another manager owns one of the fields, and `force` is off.
        """
        query = {"fieldManager": manager, "force": "true" if force else ""}
        target = target_of(kind, obj, subresource)
        return await self._send("PATCH", target, typed(kind, obj), query=query, content=PatchType.APPLY)

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        uid: str | None = None,
    ) -> Object | None:
        """Ask for deletion, of the very object with `uid` if given; returns the object if it lives on.

        Raises:
            NotFound: it is gone already.
            Conflict: the name now belongs to another object.
        """
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        answer = await self._send("DELETE", Target(kind, namespace, name), options)
        # Some kinds answer a finished deletion with a Status, others with the last state of the object.
        return answer if answer.get("kind") != "Status" and is_terminating(answer) else None

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after `resource_version` and bookmarks until the server ends the stream, which is normal.

        `on_open` is called when the server has accepted the watch.

        Raises:
            Gone: the version is too old; list again.
            Unreachable: the connection broke, or nothing came for 70 s.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(lifetime()),
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        request = request_for("GET", Target(kind, namespace), query=query, verb="watch")
        async with (
            self._transport.stream(request) as chunks,
            aclosing(decode_stream(chunks, request.action)) as events,
        ):
            if on_open is not None:
                on_open()
            async for event in events:
                yield event

    async def raw(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Any request, such as `GET /version`; guarded like the others when it is not a read."""
        where = f"{path}?{urlencode(params)}" if params else path
        request = Request(method, where, body, tuple((headers or {}).items()), action=f"{method} {path}")
        return await self._transport.send(request, None if request.is_read else self._guard)

    async def stream(self, path: str, params: Mapping[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        """The chunks of an endless answer, such as a pod's log; ends with an error after 70 s of silence."""
        where = f"{path}?{urlencode(params)}" if params else path
        async with self._transport.stream(Request("GET", where, action=f"GET {path}")) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _send(
        self,
        method: str,
        target: Target,
        body: Object | Sequence[Object] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Object:
        request = request_for(method, target, body, query=query, content=content)
        return decoded(
            await self._transport.send(request, None if request.is_read else self._guard), dict, request
        )


def request_for(
    method: str,
    target: Target,
    body: Object | Sequence[Object] | None = None,
    *,
    query: Mapping[str, str] | None = None,
    content: str = "application/json",
    verb: str = "",
) -> Request:
    """A request for an object or a collection; empty values of `query` are left out."""
    chosen = {key: value for key, value in (query or {}).items() if value}
    kind = target.kind
    path = kind.path(target.namespace, target.name, target.subresource)
    return Request(
        method,
        f"{path}?{urlencode(chosen)}" if chosen else path,
        None if body is None else msgspec.json.encode(body),
        (("Content-Type", content),) if body is not None else (),
        action=f"{verb or VERBS[method]} {target}",
        whole_kind="" if target.subresource else f"{kind.resource} in {kind.api_version}",
    )


def target_of(kind: Kind, obj: Object, subresource: str | None) -> Target:
    """Where a stored object is."""
    return Target(kind, namespace_of(obj) or None, name_of(obj), subresource)


def typed(kind: Kind, obj: Object) -> Object:
    """The object with apiVersion and kind, which servers leave out of the items of a list."""
    if "kind" in obj and "apiVersion" in obj:
        return obj
    return {"apiVersion": kind.api_version, "kind": kind.kind, **obj}


def decoded(body: bytes, shape: type[Answer], request: Request) -> Answer:
    """An answer's JSON.

    Raises:
        KubeError: it is none; a proxy's page, for example.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.MsgspecError as error:
        raise KubeError(
            0, "", f"the answer is not what a Kubernetes API sends: {error}", action=request.action
        ) from error
