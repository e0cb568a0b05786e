"""Addresses for pods, each its own in a range of 127.0.0.0/8."""

from collections import deque
from ipaddress import IPv4Network


class Addresses:
    """Gives out the addresses of a range; one that was given back is used again as late as possible."""

    def __init__(self, cidr: str) -> None:
        """`cidr` is the range; its first two addresses are never given out."""
        network = IPv4Network(cidr)
        self._fresh = (str(network[number]) for number in range(2, network.num_addresses - 1))
        self._returned: deque[str] = deque()

    def take(self) -> str:
        """A free address.

        Raises:
            RuntimeError: the range is used up.
        """
        address = next(self._fresh, None)
        if address is None and self._returned:
            address = self._returned.popleft()
        if address is None:
            raise RuntimeError("no pod address is free")
        return address

    def give_back(self, address: str) -> None:
        """The pod that had it is gone."""
        self._returned.append(address)
