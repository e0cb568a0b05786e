"""What VirtualServices may say and this data plane doesn't do, so that nobody takes it for done."""

from collections.abc import Iterator, Sequence
from typing import Any

from flagger.kube.objects import Object

EACH = "*"
_WHO_ASKS = "never holds, as the data plane can't tell who asks"
_LEFT_OUT = "is left out"
UNSERVED: Sequence[tuple[str, str]] = (
    ("tls", "is not served"),
    ("exportTo", _LEFT_OUT),
    *(
        (f"{section}.*.match.*.{field}", _WHO_ASKS)
        for section in ("http", "tcp")
        for field in ("sourceLabels", "sourceNamespace")
    ),
    ("http.*.route.*.destination.subset", _LEFT_OUT),
    ("http.*.mirror.subset", _LEFT_OUT),
    ("http.*.rewrite.uriRegexRewrite", _LEFT_OUT),
    ("http.*.fault.delay.exponentialDelay", _LEFT_OUT),
    ("http.*.fault.abort.grpcStatus", _LEFT_OUT),
    ("http.*.fault.abort.http2Error", _LEFT_OUT),
    ("http.*.retries.backoff", _LEFT_OUT),
    ("http.*.corsPolicy.unmatchedPreflights", _LEFT_OUT),
    ("tcp.*.route.*.destination.subset", _LEFT_OUT),
    ("tcp.*.match.*.destinationSubnets", _LEFT_OUT),
)
"""Paths below `spec`, and what becomes of them."""


def unserved(spec: Object) -> Iterator[str]:
    """What is not done of a VirtualService, a sentence each."""
    for path, fate in UNSERVED:
        for at in _found(spec, path.split("."), "spec"):
            yield f"{at} {fate}"


def _found(node: Any, path: Sequence[str], at: str) -> Iterator[str]:
    match path:
        case []:
            yield at
        case [first, *rest] if first == EACH:
            for index, item in enumerate(node):
                yield from _found(item, rest, f"{at}[{index}]")
        case [key, *rest] if node.get(key):
            yield from _found(node[key], rest, f"{at}.{key}")
