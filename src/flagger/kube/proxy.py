"""Which proxy, if any, leads to a server: `proxy-url` of the kubeconfig, else the environment."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from flagger.kube.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def proxy_for(server: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """The proxy for `server`; a configured one wins, the environment never proxies loopback (as in Go).

    Raises:
        ConfigError: the proxy is of a kind we cannot speak, such as SOCKS.
    """
    url = urlsplit(server)
    name = f"{url.scheme}_proxy"
    proxy = configured or environ.get(name.upper()) or environ.get(name)
    if not proxy:
        return None
    if not configured and bypasses(
        url.hostname or "", url.port, environ.get("NO_PROXY") or environ.get("no_proxy", "")
    ):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if urlsplit(proxy).scheme not in {"http", "https"}:
        raise ConfigError(
            f"proxy for {server}: {urlsplit(proxy).scheme} proxies are not supported; use an http one"
        )
    return proxy


def bypasses(host: str, port: int | None, no_proxy: str) -> bool:
    """Is this host asked directly? Knows names, `.suffixes`, `host:port`, addresses, CIDR blocks and `*`."""
    address = address_of(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(matches(entry.strip(), host, port, address) for entry in no_proxy.split(",") if entry.strip())


def address_of(host: str) -> Address | None:
    """The host as an address, None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def network_of(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """An address or CIDR block, None if it is neither."""
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def matches(entry: str, host: str, port: int | None, address: Address | None) -> bool:
    """Does one entry of NO_PROXY cover the host?"""
    if entry == "*":
        return True
    network = network_of(entry)
    if network is not None:
        return address is not None and address in network
    name, _, only_port = entry.partition(":")
    if only_port and only_port != str(port):
        return False
    name = name.removeprefix("*").lower()
    return host == name.removeprefix(".") or host.endswith(name if name.startswith(".") else f".{name}")
