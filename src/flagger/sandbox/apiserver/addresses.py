"""Cluster IPs: allocation from one range, kept in step with the stored Services."""

from __future__ import annotations

import ipaddress
import itertools
import random

from flagger.sandbox.apiserver.objects import Entry, Key
from flagger.sandbox.apiserver.store import Change, Store
from flagger.sandbox.apiserver.types.causes import Cause, invalid
from flagger.sandbox.apiserver.types.resource_type import Object

SERVICES = "services"
NO_ADDRESS = "None"
KUBERNETES = 1
"""Offset of the address of the `kubernetes` Service; it and the network's ends are never given out."""


class ServiceAddresses:
    """Which address of the range belongs to which Service."""

    def __init__(self, cidr: str, store: Store) -> None:
        self.network = ipaddress.IPv4Network(cidr)
        self._taken: dict[str, Key] = {}
        self._of: dict[Key, str] = {}
        for entry in store.entries(SERVICES):
            self._learn(entry)
        store.listeners.append(self._changed)

    @property
    def kubernetes(self) -> str:
        """The address of the `kubernetes` Service."""
        return str(self.network[KUBERNETES])

    def _changed(self, change: Change) -> None:
        if change.storage == SERVICES:
            self._forget(change.entry.key)
            if not change.gone:
                self._learn(change.entry)

    def _learn(self, entry: Entry) -> None:
        address = entry.load()["spec"].get("clusterIP", "")
        if address and address != NO_ADDRESS:
            self._taken[address] = entry.key
            self._of[entry.key] = address

    def _forget(self, key: Key) -> None:
        self._taken.pop(self._of.pop(key, ""), None)

    def assign(self, service: Object) -> list[Cause]:
        """Give a Service the address it asks for, or a free one; returns what is wrong with its wish."""
        spec = service["spec"]
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == NO_ADDRESS:
            return []
        wish = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if wish and (problems := self._objections(wish, service)):
            return problems
        address = wish or self._free()
        if address is None:
            return [
                Cause("InternalError", "failed to allocate a serviceIP: range is full", "spec.clusterIPs")
            ]
        spec["clusterIP"], spec["clusterIPs"] = address, [address]
        return []

    def _objections(self, wish: str, service: Object) -> list[Cause]:
        metadata = service["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if not _is_address(wish) or ipaddress.IPv4Address(wish) not in self.network:
            text = f"failed to allocate IP {wish}: the provided IP is not in the valid range."
            whole = f"{text} The range of valid IPs is {self.network}"
            return [invalid("spec.clusterIPs", [wish], whole)]
        if self._taken.get(wish, key) != key:
            text = f"failed to allocate IP {wish}: provided IP is already allocated"
            return [invalid("spec.clusterIPs", [wish], text)]
        return []

    def _free(self) -> str | None:
        """Return a random free address; the lower end of the range is left to those who ask for one."""
        size = self.network.num_addresses
        first = min(256, size // 16) + KUBERNETES
        start = random.randrange(first, size - 1)
        offsets = itertools.chain(range(start, size - 1), range(first, start))
        addresses = (str(self.network[offset]) for offset in offsets)
        return next((address for address in addresses if address not in self._taken), None)


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
