"""What adapters get: reads from caches that fill themselves, writes that the caches know of at once."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from flagger.kube.cache import OnChange, Slim
from flagger.kube.client import Client, PatchType
from flagger.kube.errors import Unreachable
from flagger.kube.informer import Informer
from flagger.kube.objects import Kind, Object, has_labels, namespace_of, uid_of

FIRST_SYNC = 30.0  # seconds to wait for a kind's first list


class Cluster:
    """A cluster, or one namespace of it; an async context manager, inside which the informers run.

    Objects it returns are shared with everybody: copy before changing.
    """

    def __init__(
        self, client: Client, *, namespace: str | None = None, slim: Mapping[Kind, Slim] | None = None
    ) -> None:
        """With `namespace`, nothing is watched cluster-wide; other namespaces are watched when they are read.

        `slim` says for some kinds which part of an object is worth keeping.
        """
        self.client = client
        self.writes = 0
        """Number of writes that succeeded; tells whether somebody changed anything in between."""
        self._namespace = namespace
        self._slim = slim or {}
        self._informers: dict[tuple[Kind, str | None], Informer] = {}
        self._listeners: dict[Kind, list[OnChange]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Cluster":
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        for informer in self._informers.values():
            self._start(informer)
        return self

    async def __aexit__(self, *_: object) -> None:
        group, self._group = self._group, None
        for task in self._tasks:
            task.cancel()
        if group is not None:
            # An error of the block goes on as it is; only one of an informer's own comes out in a group.
            await group.__aexit__(None, None, None)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """One object, or None. The first call for a kind waits until the kind has been listed.

        Raises:
            KindMissing: the server does not serve the kind; it is looked for again now and then.
            Forbidden: we may not list it.
            Unreachable: it could not be listed so far.
        """
        informer = await self._synced(kind, namespace)
        return informer.get(namespace if kind.namespaced else None, name)

    async def list(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> Sequence[Object]:
        """The objects of a namespace, or all, that carry `labels`; in no order. Raises as `get` does."""
        informer = await self._synced(kind, namespace)
        items = informer.items(namespace if kind.namespaced else None)
        return [obj for obj in items if has_labels(obj, labels)] if labels else list(items)

    def subscribe(self, kind: Kind, on_change: OnChange) -> None:
        """Call `on_change(old, new)` for every object there is and every change to come; starts the watch."""
        self._listeners.setdefault(kind, []).append(on_change)
        for obj in self._informer(kind, None).items():
            on_change(None, obj)

    def is_synced(self, kind: Kind) -> bool:
        """Has the kind been listed? Asking starts the watch."""
        return self._informer(kind, None).synced

    def problems(self) -> dict[str, str]:
        """The kinds whose caches may be out of date just now (`deployments.apps`), and why."""
        found = {informer.kind.resource: informer.problem for informer in self._informers.values()}
        return {kind: str(problem) for kind, problem in found.items() if problem is not None}

    async def create(self, kind: Kind, obj: Object) -> Object:
        """Store a new object. Raises as `Client.create` does."""
        return self._learned(kind, await self.client.create(kind, obj))

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
        """Change parts of an object. Raises as `Client.patch` does."""
        answer = await self.client.patch(
            kind, name, namespace, body, subresource=subresource, content=content
        )
        # Some subresources answer with a kind of their own, such as Scale.
        return self._learned(kind, answer) if answer.get("kind") == kind.kind else answer

    async def apply(self, kind: Kind, obj: Object, *, manager: str, force: bool = True) -> Object:
        """Server-side apply. Raises as `Client.apply` does."""
        return self._learned(kind, await self.client.apply(kind, obj, manager=manager, force=force))

    async def delete(
        self, kind: Kind, name: str, namespace: str | None = None, *, propagation: str = "Background"
    ) -> None:
        """Ask for deletion. Raises as `Client.delete` does."""
        known = [(informer, informer.get(namespace, name)) for informer in self._caches(kind, namespace)]
        left = await self.client.delete(kind, name, namespace, propagation=propagation)
        self.writes += 1
        for informer, obj in known:
            if left is not None:
                informer.learn(left)
            elif obj is not None:
                informer.forget(namespace, name, uid_of(obj))

    async def _synced(self, kind: Kind, namespace: str | None) -> Informer:
        informer = self._informer(kind, namespace)
        if not informer.synced:
            try:
                async with asyncio.timeout(FIRST_SYNC):
                    await informer.wait_synced()
            except TimeoutError as error:
                problem = informer.problem or Unreachable(f"no list of {kind.resource} in {FIRST_SYNC:.0f} s")
                raise problem from error
        return informer

    def _informer(self, kind: Kind, namespace: str | None) -> Informer:
        scope = (namespace or self._namespace) if kind.namespaced and self._namespace else None
        informer = self._informers.get((kind, scope))
        if informer is None:
            informer = Informer(
                self.client,
                kind,
                namespace=scope,
                on_change=partial(self._changed, kind),
                slim=self._slim.get(kind),
            )
            self._informers[kind, scope] = informer
            self._start(informer)
        return informer

    def _start(self, informer: Informer) -> None:
        if self._group is not None:
            name = f"informer of {informer.kind.resource}"
            self._tasks.append(self._group.create_task(informer.run(), name=name))

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        for listener in self._listeners.get(kind, ()):
            listener(old, new)

    def _caches(self, kind: Kind, namespace: str | None) -> tuple[Informer, ...]:
        """The informers that know of this kind in this namespace; none are started."""
        found = (self._informers.get((kind, scope)) for scope in {None, namespace})
        return tuple(informer for informer in found if informer is not None)

    def _learned(self, kind: Kind, obj: Object) -> Object:
        self.writes += 1
        for informer in self._caches(kind, namespace_of(obj)):
            informer.learn(obj)
        return obj
