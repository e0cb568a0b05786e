"""Which proxy serves which URL, as the environment says it. Pure."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from yarl import URL


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy serves which URL; the rules of Go's `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`."""

    http: str = ""
    https: str = ""
    exempt: tuple[str, ...] = ()
    """Entries of NO_PROXY: `*`, host, `.domain`, address or CIDR, each with an optional port."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the three variables, upper case first."""

        def value(name: str) -> str:
            return environ.get(name.upper()) or environ.get(name, "")

        entries = tuple(entry.strip().lower() for entry in value("no_proxy").split(",") if entry.strip())
        return cls(value("http_proxy"), value("https_proxy"), entries)

    def for_url(self, url: URL) -> str | None:
        """Return the proxy for `url`, or None for a direct connection. Loopback is always direct."""
        proxy = self.https if url.scheme == "https" else self.http
        host = (url.host or "").lower().rstrip(".")
        if not proxy or host == "localhost" or _is_loopback(host):
            return None
        if any(_exempts(entry, host, url.port) for entry in self.exempt):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _exempts(entry: str, host: str, port: int | None) -> bool:
    """Tell whether a NO_PROXY entry covers `host` (lower case) and `port`."""
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        try:
            return ipaddress.ip_address(host) in network
        except ValueError:
            return False
    name, _, wanted = entry.partition(":")
    if wanted and wanted != str(port):
        return False
    name = name.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
