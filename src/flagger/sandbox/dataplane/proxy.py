"""The forward proxy: one listener that reaches all Services and Gateways by name, for `http_proxy`.

It is there for machines on which names cannot be given to pods, or ports below 1024 cannot be bound.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from flagger.sandbox.dataplane.routes import (
    Answer,
    HttpListener,
    Listener,
    Match,
    Rule,
    TcpListener,
    VirtualHost,
    forward_to,
)

NAME = "forward_proxy"
PORT = 3128
HTTP_PORT = 80
UNKNOWN = Rule(Match(), Answer(502, "sandbox proxy: no Service or Gateway has this name and port\n"))


def forward_proxy(address: str, listeners: Sequence[Listener]) -> HttpListener:
    """A listener with the hosts of all others under the names that their clients would use.

    Where two listeners claim a name the first one has it.
    """
    taken: set[str] = set()
    hosts: list[VirtualHost] = []
    for host in _offers(listeners):
        free = tuple(domain for domain in host.domains if domain not in taken)
        if free:
            hosts.append(replace(host, domains=free))
            taken.update(free)
    hosts.append(VirtualHost(("*",), (UNKNOWN,)))
    return HttpListener(NAME, address, PORT, PORT, tuple(hosts), any_port=False)


def _offers(listeners: Iterable[Listener]) -> Iterator[VirtualHost]:
    for listener in listeners:
        if isinstance(listener, TcpListener):
            # A proxy is asked for HTTP alone: a port that does not say what it speaks can be tried.
            yield VirtualHost(_authorities(listener.names, listener), (forward_to(listener.cluster),))
        elif not listener.certificates:
            for host in listener.hosts:
                names = [name for domain in host.domains for name in _asked_as(domain, listener)]
                yield replace(host, domains=_authorities(names, listener))


def _asked_as(domain: str, listener: HttpListener) -> Iterable[str]:
    return listener.names if domain == "*" else (domain,)


def _authorities(names: Iterable[str], listener: Listener) -> tuple[str, ...]:
    """Names with the ports that may follow them in a URL; browsers and libraries leave port 80 out."""
    ports = dict.fromkeys((listener.port, listener.bound))
    bare = listener.port == HTTP_PORT
    return tuple(
        authority
        for name in names
        if name
        for authority in ([name] if bare else []) + [f"{name}:{port}" for port in ports]
    )
