"""The watch stream: bytes in chunks of any size to events. Who asks for it, and again, is in `informer.py`.

Wire format: a JSON object per line, `{"type": …, "object": …}`, with the types ADDED, MODIFIED, DELETED,
BOOKMARK and ERROR.
"""

import random
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import msgspec

from flagger.kube.errors import KubeError, Unreachable, error_from_status
from flagger.kube.objects import Object

SHORTEST, LONGEST = (
    290,
    590,
)  # seconds, as client-go: streams move to another server now and then, not all at once


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A change. The object of a `BOOKMARK` has a resourceVersion and nothing else."""

    type: str
    object: Object


class Envelope(msgspec.Struct):
    """A line; its object is decoded by type, as bookmarks and errors are no objects of the kind."""

    type: str
    object: msgspec.Raw


ENVELOPE = msgspec.json.Decoder(Envelope)
OBJECT = msgspec.json.Decoder(dict)


def lifetime() -> int:
    """Seconds after which the server is to end a stream."""
    return random.randint(SHORTEST, LONGEST)  # spreads load, guards nothing


async def lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Whole lines of any length; a line cut off by the end of the stream is dropped."""
    rest: list[bytes] = []
    async for chunk in chunks:
        head, *complete = chunk.split(b"\n")
        rest.append(head)
        if not complete:
            continue
        yield b"".join(rest)
        for line in complete[:-1]:
            yield line
        rest = [complete[-1]]


async def decode_stream(chunks: AsyncIterator[bytes], action: str) -> AsyncGenerator[WatchEvent, None]:
    """The events of a stream.

    Raises:
        Gone: the server says that the version asked for is too old.
        KubeError: the server reports another error; `Unreachable` when it sends something else than events.
    """
    async for line in lines(chunks):
        if not line.strip():
            continue
        try:
            envelope = ENVELOPE.decode(line)
            obj = OBJECT.decode(envelope.object)
        except msgspec.MsgspecError as error:
            raise Unreachable(f"not a watch event: {error}", action=action) from error
        if envelope.type == "ERROR":
            raise refused(obj, action)
        yield WatchEvent(envelope.type, obj)


def refused(status: Object, action: str) -> KubeError:
    """The exception for the `Status` in an ERROR event."""
    code = status.get("code")
    return error_from_status(code if isinstance(code, int) else 500, status, action=action)
