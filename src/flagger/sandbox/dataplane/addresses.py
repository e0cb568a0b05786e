"""Which address the forward proxy and each Gateway get.

API servers keep the lowest part of the Service range for addresses that somebody asks for and draw the
others from above it. Ours come from that lowest part too, from its end downwards, as its beginning is what
people ask for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from flagger.kube.objects import Object, key_of

IP_ADDRESS = "IPAddress"


def proxy_address(cidr: IPv4Network) -> str:
    """The forward proxy's address: the last one of the part that is kept, before its 255th."""
    return str(cidr[_kept(cidr) - 2])


def _kept(cidr: IPv4Network) -> int:
    return min(256, cidr.num_addresses // 16)


def assign(
    gateways: Sequence[Object], cidr: IPv4Network, taken: Iterable[str], remembered: Mapping[str, str]
) -> dict[str, str]:
    """An address for each Gateway by its key: the one it has, else the one it asks for, else a free one.

    `taken` are the Services' addresses, which come from the same range. A Gateway that the answer lacks found
    none free.
    """
    addresses: dict[str, str] = {}
    used = {proxy_address(cidr), *taken}
    for gateway in gateways:
        for wanted in _wishes(gateway, cidr, remembered):
            if wanted not in used:
                addresses[key_of(gateway)] = wanted
                used.add(wanted)
                break
    rest = _free(cidr, used)
    for gateway in gateways:
        if key_of(gateway) not in addresses and (address := next(rest, None)):
            addresses[key_of(gateway)] = address
    return addresses


def _wishes(gateway: Object, cidr: IPv4Network, remembered: Mapping[str, str]) -> Iterator[str]:
    if key_of(gateway) in remembered:
        yield remembered[key_of(gateway)]
    for part in ("spec", "status"):
        for entry in gateway.get(part, {}).get("addresses") or []:
            value = entry.get("value", "")
            if entry.get("type", IP_ADDRESS) == IP_ADDRESS and _within(value, cidr):
                yield value


def _within(value: str, cidr: IPv4Network) -> bool:
    try:
        return IPv4Address(value) in cidr
    except ValueError:
        return False


def _free(cidr: IPv4Network, used: set[str]) -> Iterator[str]:
    kept = _kept(cidr)
    for offset in (*range(kept - 3, 1, -1), *range(kept, cidr.num_addresses - 1)):
        address = str(cidr[offset])
        if address not in used:
            yield address
