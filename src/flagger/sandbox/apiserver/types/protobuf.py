r"""Protobuf request bodies of built-in kinds, as typed Go clients send them, turned into JSON objects.

The envelope is `k8s\0` and a message with apiVersion, kind and the encoded object; the field table of
`messages.py` gives the rest. Nothing is ever answered in protobuf.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from flagger.sandbox.apiserver.types.messages import Field, Message, message
from flagger.sandbox.apiserver.types.resources import RESOURCES

Object = dict[str, Any]
Wire = int | bytes
"""A number, or the bytes of a text, a message or a fixed-width number."""

MAGIC = b"k8s\x00"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownKind(ValueError):  # noqa: N818  # names what is wrong
    """A kind that cannot be sent as protobuf."""


@cache
def _kinds() -> Mapping[tuple[str, str], str]:
    """Return (apiVersion, kind) → message, for everything that clients send."""
    served = {
        (f"{group}/{version}" if group else version, row.kind): row.message
        for (group, version), rows in RESOURCES.items()
        for row in rows
        if group != "apiextensions.k8s.io"  # its schemas have a form of their own on the wire
    }
    others = {
        ("autoscaling/v1", "Scale"): "autoscaling.v1.Scale",
        ("authentication.k8s.io/v1", "TokenRequest"): "authentication.TokenRequest",
        ("policy/v1", "Eviction"): "policy.Eviction",
        ("policy/v1beta1", "Eviction"): "policy.Eviction",
    }
    options = {(version, "DeleteOptions"): "meta.DeleteOptions" for version, _ in served}
    return served | others | options | {("meta.k8s.io/v1", "DeleteOptions"): "meta.DeleteOptions"}


def decode(body: bytes) -> Object:
    """Return the object in a protobuf body.

    Raises:
        UnknownKind: the kind is not one of the table.
        ValueError: the body is not protobuf.
    """
    if not body.startswith(MAGIC):
        raise ValueError(
            "provided data does not appear to be a protobuf message, expected prefix "
            f"[{' '.join(map(str, MAGIC))}]"
        )
    envelope = _envelope(body[len(MAGIC) :])
    name = _kinds().get((envelope["apiVersion"], envelope["kind"]))
    if name is None:
        raise UnknownKind(f"{envelope['apiVersion']} {envelope['kind']} has no protobuf form")
    head = {"apiVersion": envelope["apiVersion"], "kind": envelope["kind"]}
    return head | _message(message(name), envelope["raw"])


def _envelope(data: bytes) -> Object:
    found: Object = {"apiVersion": "", "kind": "", "raw": b""}
    for number, value in _pairs(data):
        if number == 1:
            names = {1: "apiVersion", 2: "kind"}
            meta = {names[n]: _bytes(v).decode() for n, v in _pairs(_bytes(value)) if n in names}
            found |= meta
        elif number == 2:
            found["raw"] = _bytes(value)
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while position < len(data):
        byte = data[position]
        result |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return result, position
        if shift > 63:
            break
    raise ValueError("proto: integer overflow or unexpected end of data")


def _pairs(data: bytes) -> Iterator[tuple[int, Wire]]:
    """Yield (field number, value) of a message."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        size, position = _size(data, position, kind)
        if position + size > len(data):
            raise ValueError("proto: unexpected end of data")
        yield number, data[position : position + size]
        position += size


def _size(data: bytes, position: int, kind: int) -> tuple[int, int]:
    if kind == BYTES:
        return _varint(data, position)
    if kind in {FIXED64, FIXED32}:
        return (8 if kind == FIXED64 else 4), position
    raise ValueError(f"proto: illegal wire type {kind}")


def _wrong(what: str) -> ValueError:
    return ValueError(f"proto: wrong wire type: {what}")


def _bytes(value: Wire) -> bytes:
    if isinstance(value, int):
        raise _wrong("a number where bytes belong")
    return value


def _int(value: Wire) -> int:
    if isinstance(value, bytes):
        raise _wrong("bytes where a number belongs")
    return value - 2**64 if value >= 2**63 else value


def _message(entry: Message, data: bytes) -> Object:
    """Decode a message; zero values that JSON leaves out are absent."""
    result: Object = {}
    for number, value in _pairs(data):
        if number in entry.flattened:
            result |= _message(message(entry.flattened[number]), _bytes(value))
        elif number in entry.numbers:
            _add(result, entry.numbers[number], value)
    return result


def _add(result: Object, field: Field, value: Wire) -> None:
    if field.container == "[]":
        result.setdefault(field.name, []).append(_value(field.type, value))
    elif field.container == "{}":
        parts = dict(_pairs(_bytes(value)))
        key = _bytes(parts.get(1, b"")).decode()
        result.setdefault(field.name, {})[key] = _value(field.type, parts.get(2, b""))
    else:
        item = _value(field.type, value)
        if item is not None and (item or field.pointer):
            result[field.name] = item


def _value(kind: str, value: Wire) -> Any:
    read = READERS.get(kind)
    return read(value) if read is not None else _message(message(kind), _bytes(value))


def _parts(value: Wire) -> Mapping[int, Wire]:
    return dict(_pairs(_bytes(value)))


def _moment(value: Wire) -> datetime | None:
    parts = _parts(value)
    seconds, nanos = _int(parts.get(1, 0)), _int(parts.get(2, 0))
    return EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000) if seconds or nanos else None


def _time(value: Wire) -> str | None:
    moment = _moment(value)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _micro_time(value: Wire) -> str | None:
    moment = _moment(value)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def _int_or_string(value: Wire) -> int | str:
    parts = _parts(value)
    return _bytes(parts.get(3, b"")).decode() if parts.get(1) else _int(parts.get(2, 0))


def _json(value: Wire) -> Any:
    raw = _bytes(_parts(value).get(1, b""))
    return json.loads(raw) if raw else None


def _double(value: Wire) -> float:
    return float(struct.unpack("<d", _bytes(value))[0])


READERS: Mapping[str, Callable[[Wire], Any]] = {
    "string": lambda value: _bytes(value).decode(),
    "int": _int,
    "bool": lambda value: bool(_int(value)),
    "double": _double,
    "bytes": lambda value: base64.b64encode(_bytes(value)).decode(),
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": lambda value: _bytes(_parts(value).get(1, b"")).decode(),
    "IntOrString": _int_or_string,
    "RawExtension": _json,
    "FieldsV1": _json,
    "Strings": lambda value: [_bytes(item).decode() for _, item in _pairs(_bytes(value))],
}
"""Type of the field table → reader of its wire form; other types are messages."""
