"""The hash that names a revision.

Canonical JSON of what the API server returns: independent of this program's types, so that an upgrade of
the operator starts no run. The prefix tells it from upstream's hashes, which match `^[4-9bcdf]{1,10}$`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

PREFIX = "v1-"


def hash_of(value: Any) -> str:
    """A short, stable name for a JSON value; absent and null members count the same."""
    text = json.dumps(_present(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()[:10]


def _present(value: Any) -> Any:
    match value:
        case dict():
            return {key: _present(item) for key, item in value.items() if item is not None}
        case list():
            return [_present(item) for item in value]
        case _:
            return value


_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193  # FNV-1a, 32 bits
_DIGITS = str.maketrans("0123456789", "456789bcdf")


def upstream_hash(name: str) -> str:
    """Upstream's hash of a text, by which it names revisions of Knative Services."""
    value = _FNV_OFFSET
    for byte in f"(string){name}".encode():
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return str(value).translate(_DIGITS)
