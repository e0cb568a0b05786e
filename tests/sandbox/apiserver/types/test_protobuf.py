"""Protobuf bodies: recorded ones, every kind of field, and garbage."""

import base64
from typing import Any

import pytest

from flagger.sandbox.apiserver.types import protobuf
from tests.sandbox.apiserver.types.builders import samples

RECORDED = samples("protobuf")


@pytest.mark.parametrize("sample", RECORDED, ids=lambda sample: sample["decoded"]["kind"])
def test_recorded_bodies(sample: Any) -> None:
    """A body sent by kubectl means exactly its JSON form."""
    assert protobuf.decode(base64.b64decode(sample["body"])) == sample["decoded"]


def varint(number: int) -> bytes:
    """A number on the wire; negative ones take ten bytes."""
    number %= 1 << 64
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def number(field: int, value: int) -> bytes:
    """A field with a number."""
    return varint(field << 3) + varint(value)


def chunk(field: int, *parts: bytes | str) -> bytes:
    """A field with text or a message."""
    body = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return varint(field << 3 | 2) + varint(len(body)) + body


def body(api_version: str, kind: str, *parts: bytes) -> bytes:
    """A whole request body."""
    return protobuf.MAGIC + chunk(1, chunk(1, api_version), chunk(2, kind)) + chunk(2, *parts)


def spec_of(kind: str, api_version: str, *parts: bytes) -> Any:
    """The decoded `spec`."""
    return protobuf.decode(body(api_version, kind, chunk(2, *parts)))["spec"]


def test_maps_bytes_and_pointers() -> None:
    """Maps become objects, bytes base64; a pointer keeps its zero, a plain field does not."""
    secret = protobuf.decode(body("v1", "Secret", chunk(2, chunk(1, "k"), chunk(2, "v")), chunk(3, "Opaque")))
    deployment = spec_of("Deployment", "apps/v1", number(1, 0), number(5, 0), number(7, 0))

    assert secret["data"] == {"k": base64.b64encode(b"v").decode()}
    assert secret["type"] == "Opaque"
    assert deployment == {"replicas": 0}


def test_negative_numbers() -> None:
    """Negative numbers are ten-byte varints."""
    assert spec_of("Deployment", "apps/v1", number(1, -4)) == {"replicas": -4}


def test_times() -> None:
    """Times are seconds, with six decimals where the type has them; zero is absent."""
    moment = number(1, 1767323045) + number(2, 500_000_000)
    lease = spec_of("Lease", "coordination.k8s.io/v1", chunk(3, moment), chunk(4, moment))
    meta = protobuf.decode(body("v1", "ConfigMap", chunk(1, chunk(1, "c"), chunk(8, moment))))["metadata"]
    unset = protobuf.decode(body("v1", "ConfigMap", chunk(1, chunk(1, "c"), chunk(8))))["metadata"]

    assert lease == {"acquireTime": "2026-01-02T03:04:05.500000Z", "renewTime": "2026-01-02T03:04:05.500000Z"}
    assert meta == {"name": "c", "creationTimestamp": "2026-01-02T03:04:05Z"}
    assert unset == {"name": "c"}


def test_numbers_or_texts() -> None:
    """IntOrString is told by its type."""
    both = chunk(
        4,
        chunk(2, chunk(1, number(1, 1), number(2, 0), chunk(3, "25%")), chunk(2, number(1, 0), number(2, 3))),
    )

    assert spec_of("Deployment", "apps/v1", both)["strategy"]["rollingUpdate"] == {
        "maxUnavailable": "25%",
        "maxSurge": 3,
    }


def test_flattened_messages() -> None:
    """The source of a volume is part of the volume."""
    source = chunk(2, chunk(2, chunk(1, "")))
    volume = chunk(1, chunk(1, "v"), source)

    assert spec_of("Pod", "v1", volume)["volumes"] == [{"name": "v", "emptyDir": {}}]


def test_unknown_fields_are_skipped() -> None:
    """Fields that the table does not have do no harm, whatever their form."""
    junk = (
        number(200, 7) + chunk(201, "x") + varint(202 << 3 | 1) + b"12345678" + varint(203 << 3 | 5) + b"1234"
    )

    assert protobuf.decode(body("v1", "ConfigMap", chunk(1, chunk(1, "c")), junk))["metadata"] == {
        "name": "c"
    }


def test_delete_options_of_any_version() -> None:
    """Options of a delete come in the version of the object."""
    options = protobuf.decode(body("apps/v1", "DeleteOptions", chunk(4, "Background")))

    assert options["propagationPolicy"] == "Background"


@pytest.mark.parametrize("kind", ["CustomResourceDefinition", "Nope"])
def test_kinds_without_a_table(kind: str) -> None:
    """A kind that is not in the table is told apart from garbage."""
    with pytest.raises(protobuf.UnknownKind, match=kind):
        protobuf.decode(body("apiextensions.k8s.io/v1", kind))


def truncated(whole: bytes) -> list[bytes]:
    """All beginnings of a body."""
    return [whole[:size] for size in range(len(whole))]


@pytest.mark.parametrize("garbage", [b"", b"x", b'{"kind":', protobuf.MAGIC + b"\xff" * 30], ids=repr)
def test_garbage(garbage: bytes) -> None:
    """What is no protobuf is a ValueError with the text of a 400."""
    with pytest.raises(ValueError, match=r"proto|prefix"):
        protobuf.decode(garbage)


def test_truncated_bodies_never_crash() -> None:
    """Any beginning of a body is refused or decoded, never anything else."""
    for part in truncated(base64.b64decode(RECORDED[2]["body"])):
        try:
            protobuf.decode(part)
        except ValueError:
            continue
