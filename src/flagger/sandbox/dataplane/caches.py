"""The objects that the translators read, kept up to date, and a signal for every change."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from flagger.kube.cache import drop_managed_fields
from flagger.kube.client import Client
from flagger.kube.informer import Informer
from flagger.kube.objects import SECRET, Kind, Object
from flagger.sandbox.dataplane.snapshot import Site, Snapshot
from flagger.sandbox.dataplane.translators.gateway.sections import TLS_SECRET

FIRST_SYNC = 10.0  # seconds that the first lists are waited for


class Caches:
    """An informer for each kind. Kinds that the API does not serve are left out until it does."""

    def __init__(self, client: Client, kinds: Iterable[Kind], on_change: Callable[[], None]) -> None:
        self._informers = {
            kind: Informer(
                client,
                kind,
                on_change=lambda _old, _new: on_change(),
                slim=without_secrets if kind == SECRET else None,
            )
            for kind in kinds
        }

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers.values():
                group.create_task(informer.run())

    async def wait_listed(self) -> None:
        """Wait until each kind has been listed or refused; not for ever, as one may be in trouble."""
        settled = (informer.wait_synced() for informer in self._informers.values())
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SYNC):
                await asyncio.gather(*settled, return_exceptions=True)

    def snapshot(self, site: Site) -> Snapshot:
        """Everything as seen now."""
        return Snapshot(
            site,
            {kind: informer.items() for kind, informer in self._informers.items() if informer.synced},
        )

    def learn(self, kind: Kind, obj: Object) -> None:
        """Take over the server's answer to a write of ours."""
        self._informers[kind].learn(obj)


def without_secrets(obj: Object) -> Object:
    """A Secret without what is in it, unless it is a TLS identity."""
    if obj.get("type") == TLS_SECRET:
        return drop_managed_fields(obj)
    return {
        key: value for key, value in drop_managed_fields(obj).items() if key not in {"data", "stringData"}
    }
