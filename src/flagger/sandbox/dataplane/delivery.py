"""Gives Envoy what it shall serve, in an order in which no request meets a half-made change.

What is needed comes before what needs it (clusters, rules, listeners), and what is not needed any more goes last.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

from flagger.sandbox.dataplane.admin import Admin, AdminUnreachableError
from flagger.sandbox.dataplane.discovery import CLUSTERS, LISTENERS, ROUTES, Discovery, Topic
from flagger.sandbox.dataplane.emit import Resources

Json = dict[str, Any]
EMPTY = Resources({}, {}, {}, {})
ALL_CLUSTERS, ALL_LISTENERS = Topic(CLUSTERS), Topic(LISTENERS)
REFUSED_RULES = "Envoy refused the rules; envoy.log says more"


class Delivery:
    """What Envoy was given. `admin` is the running Envoy's admin port, None while there is none."""

    def __init__(self, discovery: Discovery, admin: Callable[[], Admin | None]) -> None:
        self._discovery = discovery
        self._admin = admin
        self._clusters: Mapping[str, Json] = {}  # as last published
        self._asked_for: Set[str] = set()  # routes that listeners have subscribed to
        self._done = EMPTY  # what the Envoy of this session has
        self._session = ""
        self._unbound: dict[str, str] = {}  # listeners that are not served, and why
        self._broken: dict[str, str] = {}  # those, and those with refused rules
        for topic in (ALL_CLUSTERS, ALL_LISTENERS):
            discovery.publish(topic, ())  # or Envoy would not become ready before the first delivery

    async def deliver(self, wanted: Resources) -> Mapping[str, str]:
        """Have Envoy serve exactly this; returns the listeners that it refused, with the reasons.

        Raises:
            NotAppliedError: Envoy is slow, or away for long.
            AdminUnreachableError: it went away meanwhile; like the former a reason to call again.
        """
        if wanted == self._done and self._session == self._discovery.session:
            return self._broken
        self._done, self._session = EMPTY, self._discovery.session
        await self._set_clusters({**self._clusters, **wanted.clusters})
        for name, resource in wanted.routes.items():
            self._discovery.publish(Topic(ROUTES, name), (resource,))
        await self._settle_routes(wanted.routes.keys() & self._asked_for)
        await self._set_listeners(wanted.listeners)
        self._asked_for = {name for listener, name in wanted.rules.items() if listener not in self._unbound}
        await self._settle_routes(self._asked_for)
        await self._set_clusters(wanted.clusters)
        self._discovery.forget(lambda topic: topic.type != ROUTES or topic.name in wanted.routes)
        refused = {name for name in wanted.routes if self._discovery.is_refused(Topic(ROUTES, name))}
        ruleless = (listener for listener, name in wanted.rules.items() if name in refused)
        self._broken = dict.fromkeys(ruleless, REFUSED_RULES) | self._unbound
        self._done = wanted
        return self._broken

    def try_again(self) -> None:
        """Offer Envoy the listeners again that it refused: a port may be free now."""
        if self._unbound:
            self._discovery.publish_again(ALL_LISTENERS)
            self._done = EMPTY

    async def _set_clusters(self, clusters: Mapping[str, Json]) -> None:
        self._clusters = clusters
        self._discovery.publish(ALL_CLUSTERS, clusters.values())
        await self._discovery.settle([ALL_CLUSTERS])

    async def _settle_routes(self, names: Iterable[str]) -> None:
        await self._discovery.settle([Topic(ROUTES, name) for name in names])

    async def _set_listeners(self, listeners: Mapping[str, Json]) -> None:
        """Ones that cannot be bound are left out by Envoy, the others are served."""
        self._discovery.publish(ALL_LISTENERS, listeners.values())
        await self._discovery.settle([ALL_LISTENERS])
        self._unbound = await self._refusals() if self._discovery.is_refused(ALL_LISTENERS) else {}

    async def _refusals(self) -> dict[str, str]:
        admin = self._admin()
        if admin is None:
            raise AdminUnreachableError("Envoy is not running")
        return await admin.listener_errors()
