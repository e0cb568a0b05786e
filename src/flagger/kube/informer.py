"""List and watch one kind, for ever: what the cache holds follows the server through every kind of trouble.

The order of things: list, watch from the list's version, watch again from the last version seen; list again
when that version is too old (410) or the server was gone.
"""

import asyncio
import random
from collections.abc import Iterable
from contextlib import aclosing

import structlog

from flagger.kube.cache import Cache, OnChange, Slim, drop_managed_fields
from flagger.kube.client import Client
from flagger.kube.errors import Forbidden, Gone, KindMissing, KubeError, Unauthorized, Unreachable
from flagger.kube.objects import Kind, Object, namespace_of

SHORTEST = 0.1  # seconds before anything is asked again
LONGEST = 10.0  # seconds, for a server in trouble
LONGEST_MISSING = 30.0  # seconds, for a kind that is not installed
MISSING_FOR_GOOD = 30.0  # seconds; a server that is just starting may not know its custom kinds yet
STEADY = 30.0  # seconds after which a stream counts as having worked, even if nothing happened
log = structlog.get_logger(__name__)


class Informer:
    """The objects of one kind, in one namespace or all, as a cache with change notices."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: str = "",
        on_change: OnChange | None = None,
        slim: Slim | None = None,
    ) -> None:
        """`labels` is a selector; `slim` reduces what is kept (by default `managedFields` goes).

        `on_change(old, new)` is called for every difference, also those found by listing; None is "absent".
        """
        self.kind = kind
        self.problem: KubeError | None = None  # why the cache may be out of date just now
        self._client = client
        self._namespace = namespace if kind.namespaced else None
        self._labels = labels
        self._slim = slim or drop_managed_fields
        self._cache = Cache(on_change, slim=self._slim)
        self._settled = asyncio.Event()  # the first list succeeded, or was refused for good
        self._refused: KubeError | None = None
        self._opened = False
        self._failures = 0
        self._missing_since: float | None = None

    @property
    def synced(self) -> bool:
        """Does the cache hold a whole list (which may be getting old while the server is away)?"""
        return self._settled.is_set() and self._refused is None

    async def wait_synced(self) -> None:
        """Wait for the first list.

        Raises:
            KindMissing, Forbidden, Unauthorized: the server refuses to list the kind; `run` keeps trying.
        """
        await self._settled.wait()
        if self._refused is not None:
            raise self._refused.with_traceback(None)

    def get(self, namespace: str | None, name: str) -> Object | None:
        """One object as last seen; not to be changed."""
        return self._cache.get(namespace or "", name)

    def items(self, namespace: str | None = None) -> Iterable[Object]:
        """The objects of a namespace, or all, as last seen; not to be changed."""
        return self._cache.items(namespace)

    def learn(self, obj: Object) -> None:
        """Take over the answer to our own write, so that it is read at once.

        With a label selector only known objects are updated: which others match is the server's to say.
        """
        if self._namespace in {None, namespace_of(obj)}:
            self._cache.learn(obj, only_known=bool(self._labels))

    def forget(self, namespace: str | None, name: str, uid: str) -> None:
        """Take over our own deletion of the object with this uid."""
        self._cache.forget(namespace or "", name, uid)

    async def run(self) -> None:
        """Keep the cache up to date until cancelled."""
        while True:
            try:
                await self._list()
                await self._follow()
            except Gone:
                await self._rest()
            except KubeError as error:
                self._note(error)
                longest = LONGEST_MISSING if isinstance(error, KindMissing) else LONGEST
                await self._rest(longest, at_least=error.retry_after or 0.0)

    async def _list(self) -> None:
        items: list[Object] = []
        version = ""
        async with aclosing(self._client.pages(self.kind, self._namespace, labels=self._labels)) as pages:
            async for page in pages:
                if page.first:
                    items.clear()
                items += [self._slim(item) for item in page.items]
                version = page.resource_version
        self._cache.replace(items, version)
        self._refused = self._missing_since = None
        self._settled.set()

    async def _follow(self) -> None:
        """Watch from the last version seen, again and again; returns never.

        Raises:
            KubeError: the place is lost (`Gone`), the server is away, or refuses to be watched.
        """
        while True:
            started, self._opened = now(), False
            try:
                await self._stream()
            except Unreachable:
                # A stream that broke or fell silent is resumed. A server that is not there may come back as
                # another one, with a history of its own: then the list is what to trust.
                if not self._opened:
                    raise
            if now() - started >= STEADY:
                self._failures = 0
            await self._rest()

    async def _stream(self) -> None:
        events = self._client.watch(
            self.kind,
            self._namespace,
            resource_version=self._cache.position,
            labels=self._labels,
            on_open=self._recover,
        )
        async with aclosing(events):
            async for event in events:
                self._failures = 0
                self._cache.observe(event)

    async def _rest(self, longest: float = LONGEST, *, at_least: float = 0.0) -> None:
        """Sleep, longer after each failure in a row; spread, so that many clients don't come back at once."""
        backoff = min(longest, SHORTEST * 2.0**self._failures)
        await asyncio.sleep(max(at_least, backoff) * random.uniform(1.0, 2.0))
        self._failures = min(self._failures + 1, 16)

    def _note(self, error: KubeError) -> None:
        """Remember the trouble and say so, once until it is over."""
        if isinstance(error, KindMissing) and self.synced:
            self._missing_since = self._missing_since or now()
            if now() - self._missing_since >= MISSING_FOR_GOOD:
                self._cache.clear()  # its definition is gone, and all objects with it
                self._refused = error
        elif isinstance(error, KindMissing | Forbidden | Unauthorized) and not self._settled.is_set():
            self._refused = error
            self._settled.set()
        if type(error) is not type(self.problem):
            log.warning("cannot follow a kind; retrying", kind=self.kind.resource, problem=str(error))
        self.problem = error

    def _recover(self) -> None:
        self._opened = True
        if self.problem is not None:
            log.info("following a kind again", kind=self.kind.resource)
            self.problem = None


def now() -> float:
    """Seconds on the loop's clock."""
    return asyncio.get_running_loop().time()
