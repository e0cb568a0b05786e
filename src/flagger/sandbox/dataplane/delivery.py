"""Hands Envoy its resources as files, in an order in which no request meets a half-made change.

Envoy watches its files and reads one when another is renamed onto it. What is needed comes before what needs
it (endpoints, clusters, rules, listeners), and what is not needed any more goes last.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from flagger.sandbox.dataplane.admin import Admin, AdminUnreachableError
from flagger.sandbox.dataplane.emit import Resources

Json = dict[str, Any]
CLUSTERS = "cluster_manager.cds"  # subscriptions, as Envoy's statistics call them
LISTENERS = "listener_manager.lds"
PATIENCE = 5.0  # seconds; a change usually takes a few milliseconds
EMPTY = Resources({}, {}, {}, {})
REFUSED_RULES = "Envoy refused the rules; envoy.log says why"
log = structlog.get_logger(__name__)


class NotAppliedError(Exception):
    """Envoy has not taken over what was written, and has not refused it either."""


class Delivery:
    """The files of one Envoy, in a directory of their own, which is emptied at first.

    `admin` gives the running Envoy's admin port, None while there is none.
    """

    def __init__(self, directory: Path, admin: Callable[[], Admin | None]) -> None:
        self._directory = directory
        self._admin = admin
        self._written: dict[str, bytes] = {}  # by path
        self._versions: dict[str, str] = {}  # wanted, by subscription
        self._refused: dict[str, str] = {}  # versions, by subscription
        self._rejections: dict[str, int] = {}  # counted so far, by subscription
        self._counted: Admin | None = None  # whose rejections these are
        self._version = 0
        self._done = EMPTY
        self._unbound: dict[str, str] = {}  # listeners that are not served, and why
        self._broken: dict[str, str] = {}  # those, and those with refused rules
        shutil.rmtree(directory, ignore_errors=True)
        for kind in ("eds", "rds"):
            (directory / kind).mkdir(parents=True, mode=0o700)
        self._write("cds", CLUSTERS, ())
        self._write("lds", LISTENERS, ())

    async def deliver(self, wanted: Resources) -> Mapping[str, str]:
        """Have Envoy serve exactly this; returns the listeners that it refused, with the reasons.

        Raises:
            AdminUnreachableError: Envoy is away; what was written so far it will read when it starts.
            NotAppliedError: Envoy is slow; like the former a reason to call again.
        """
        admin = self._running()
        if admin is not self._counted:
            self._counted, self._rejections, self._refused = admin, {}, {}
        elif wanted == self._done:
            return self._broken
        self._done = EMPTY
        for name, resource in wanted.endpoints.items():
            self._write(f"eds/{name}", "", (resource,))
        await self._set_clusters({**self._known(CLUSTERS), **wanted.clusters})
        for name, resource in wanted.routes.items():
            self._write(f"rds/{name}", rules_of(name), (resource,))
        live = self._known(LISTENERS).keys() - self._unbound
        await self._settle(rules_of(name) for name in wanted.routes if name in live)
        await self._set_listeners(wanted.listeners)
        await self._settle(rules_of(name) for name in wanted.routes if name not in self._unbound)
        await self._set_clusters(wanted.clusters)
        self._clean("eds", wanted.endpoints)
        self._clean("rds", wanted.routes)
        refused = (name for name in wanted.routes if self._is_refused(rules_of(name)))
        self._broken = self._unbound | dict.fromkeys(refused, REFUSED_RULES)
        self._done = wanted
        return self._broken

    def try_again(self) -> None:
        """Have the next delivery offer Envoy the listeners again that it refused: a port may be free now."""
        if LISTENERS in self._refused:
            self._written.pop("lds", None)
            self._done = EMPTY

    async def _set_clusters(self, clusters: Mapping[str, Json]) -> None:
        self._write("cds", CLUSTERS, clusters.values())
        await self._settle([CLUSTERS])

    async def _set_listeners(self, listeners: Mapping[str, Json]) -> None:
        """Ones that cannot be bound are left out by Envoy, the others are served."""
        self._write("lds", LISTENERS, listeners.values())
        await self._settle([LISTENERS])
        self._unbound = await self._running().listener_errors() if self._is_refused(LISTENERS) else {}

    def _is_refused(self, subscription: str) -> bool:
        return self._refused.get(subscription) == self._versions[subscription]

    def _running(self) -> Admin:
        admin = self._admin()
        if admin is None:
            raise AdminUnreachableError("Envoy is not running")
        return admin

    def _known(self, subscription: str) -> dict[str, Json]:
        """The resources last written for the clusters or the listeners, by name."""
        path = "cds" if subscription == CLUSTERS else "lds"
        resources = msgspec.json.decode(self._written[path]) if path in self._written else []
        return {resource["name"]: resource for resource in resources}

    def _write(self, path: str, subscription: str, resources: Iterable[Json]) -> None:
        """Write a file unless it says this already. Listeners hold private keys: files are for us alone."""
        body = msgspec.json.encode(list(resources))
        if self._written.get(path) == body:
            return
        self._version += 1
        answer = {"version_info": str(self._version), "resources": msgspec.Raw(body)}
        target = self._directory / f"{path}.json"
        fresh = target.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(answer))
        fresh.replace(target)
        self._written[path] = body
        if subscription:
            self._versions[subscription] = str(self._version)

    async def _settle(self, subscriptions: Iterable[str]) -> None:
        """Wait until Envoy has taken over, or refused, what was last written for each subscription.

        Raises:
            AdminUnreachableError, NotAppliedError: it has not.
        """
        waiting = [name for name in subscriptions if not self._is_refused(name)]
        if not waiting:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._has_settled(waiting):  # noqa: ASYNC110  # Envoy can only be asked
                    await asyncio.sleep(0.002)
        except TimeoutError as error:
            raise NotAppliedError(f"Envoy has not taken over {', '.join(waiting)}") from error

    async def _has_settled(self, waiting: Iterable[str]) -> bool:
        progress = await self._running().progress()
        for name in waiting:
            if progress.rejected.get(name, 0) > self._rejections.get(name, 0):
                self._refused[name] = self._versions[name]
        self._rejections.update(progress.rejected)
        return progress.warming == 0 and all(
            self._versions[name] in {progress.versions.get(name), self._refused.get(name)} for name in waiting
        )

    def _clean(self, kind: str, wanted: Mapping[str, Json]) -> None:
        for path in [path for path in self._written if path.startswith(f"{kind}/")]:
            name = path.removeprefix(f"{kind}/")
            if name not in wanted:
                del self._written[path]
                (self._directory / f"{path}.json").unlink(missing_ok=True)


def rules_of(listener: str) -> str:
    """The subscription to a listener's rules."""
    return f"http.{listener}.rds.{listener}"
