"""Pod templates: when are two the same, and the hash that names a template; pure."""

import hashlib
from typing import Any

import msgspec

from flagger.kube.objects import Object

HASH = "pod-template-hash"
ALPHABET = str.maketrans("0123456789", "456789bcdf")  # no vowels, so no words


def bare(template: Object) -> Any:
    """A template without what the controller adds, and without what says nothing."""
    metadata = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
    return significant({**template, "metadata": {**metadata, "labels": labels}})


def significant(value: Any) -> Any:
    """A value without members that are None, empty objects or empty lists."""
    if isinstance(value, dict):
        inner = {key: significant(member) for key, member in value.items()}
        return {key: member for key, member in inner.items() if member not in (None, {}, [])}
    if isinstance(value, list):
        return [significant(member) for member in value]
    return value


def same(one: Object, other: Object) -> bool:
    """Do two templates ask for the same pods?"""
    return bool(bare(one) == bare(other))


def template_hash(template: Object, collisions: int) -> str:
    """Up to ten characters that are the same for the same template; `collisions` gives another one."""
    text = msgspec.json.encode([bare(template), collisions], order="sorted")
    number = int.from_bytes(hashlib.blake2s(text, digest_size=4).digest(), "big")
    return str(number).translate(ALPHABET)
