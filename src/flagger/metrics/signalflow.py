"""The binary data messages of SignalFlow, versions 1 to 3. Pure."""

import struct
import zlib

DATA = 5  # the type of messages that carry values
GZIP, JSON = 1, 2  # flags
LARGEST = 1024 * 1024  # bytes of an unpacked message

_HEADER = struct.Struct(">BBBx16s")
_BEGIN = struct.Struct(">qI")  # time in ms, number of points
_DELAYED = struct.Struct(">qqI")  # the same with a delay between them, from version 2 on
_POINT = struct.Struct(">B8s8s")
_VALUES = {1: struct.Struct(">q"), 2: struct.Struct(">d"), 3: struct.Struct(">i")}


def points(message: bytes) -> list[tuple[bytes, float]]:
    """Return series and value of each point that has a value.

    Raises:
        ValueError: the message is cut off, or of a version or type of value that is not known.
    """
    try:
        return _points(message)
    except (struct.error, EOFError, OSError, zlib.error) as error:
        raise ValueError("a message cannot be read") from error


def _points(message: bytes) -> list[tuple[bytes, float]]:
    version, kind, flags, _ = _HEADER.unpack_from(message)
    if kind != DATA:
        return []
    if version not in (1, 2, 3) or flags & JSON:
        raise ValueError(f"a data message has version {version} and flags {flags}")
    body = message[_HEADER.size :]
    if flags & GZIP:
        body = _unpacked(body)
    begin = _BEGIN if version == 1 else _DELAYED
    count, at = begin.unpack_from(body)[-1], begin.size
    if len(body) < at + count * _POINT.size:
        raise ValueError("a message is shorter than it says")
    found = (_POINT.unpack_from(body, at + index * _POINT.size) for index in range(count))
    return [(series, _value(kind, payload)) for kind, series, payload in found if kind != 0]


def _unpacked(body: bytes) -> bytes:
    unpacked = zlib.decompressobj(wbits=31).decompress(body, LARGEST)
    if len(unpacked) == LARGEST:
        raise ValueError("a message is too large")
    return unpacked


def _value(kind: int, payload: bytes) -> float:
    form = _VALUES.get(kind)
    if form is None:
        raise ValueError(f"a value has the unknown type {kind}")
    return float(form.unpack_from(payload)[0])
