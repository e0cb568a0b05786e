"""What the translators read: the cluster's objects at one moment, and where this data plane may listen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address

from flagger.kube.objects import Kind, Object, key_of, namespace_of

LOWEST_FREE_PORT = 1024
PORT_OFFSET = 18000
"""Where ports below 1024 go when they may not be bound: 80 is served at 18080."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where this data plane listens, and how that went."""

    cidr: IPv4Network
    low_ports: bool = True  # may ports below 1024 be bound?
    proxy: tuple[str, int] = ("", 0)
    gateway_addresses: Mapping[str, str] = field(default_factory=dict)  # by "namespace/name"
    broken: Mapping[str, str] = field(default_factory=dict)  # listener name → why Envoy refused it

    def bound_port(self, port: int) -> int:
        """The port that is listened on for a wanted one."""
        return port if self.low_ports or port >= LOWEST_FREE_PORT else port + PORT_OFFSET

    def holds(self, address: str) -> bool:
        """Is this one of the addresses we serve?"""
        try:
            return ip_address(address) in self.cidr
        except ValueError:
            return False  # "", "None", a host name


class Snapshot:
    """All objects of the watched kinds at one moment; kinds that are not served have none."""

    def __init__(self, site: Site, objects: Mapping[Kind, Iterable[Object]]) -> None:
        self.site = site
        self._objects = {kind: sorted(items, key=key_of) for kind, items in objects.items()}
        self._by_key: dict[Kind, dict[str, Object]] = {}
        self._by_namespace: dict[Kind, dict[str, list[Object]]] = {}

    def has(self, kind: Kind) -> bool:
        """Is the kind known, with all its objects?"""
        return kind in self._objects

    def all(self, kind: Kind) -> Sequence[Object]:
        """Every object of a kind, by namespace and name."""
        return self._objects.get(kind, [])

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        index = self._by_key.get(kind)
        if index is None:
            index = self._by_key[kind] = {key_of(obj): obj for obj in self.all(kind)}
        return index.get(f"{namespace}/{name}" if kind.namespaced else name)

    def within(self, kind: Kind, namespace: str) -> Sequence[Object]:
        """The objects of a kind in one namespace."""
        index = self._by_namespace.get(kind)
        if index is None:
            index = self._by_namespace[kind] = {}
            for obj in self.all(kind):
                index.setdefault(namespace_of(obj), []).append(obj)
        return index.get(namespace, [])
