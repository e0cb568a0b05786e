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
