"""A range of loopback addresses for each sandbox on a machine: slot k of 16.

Services and Gateways live in 127.(96+k).0.0/16, pods in 127.(128+k).0.0/16.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SLOTS = 16
_LOCK_PORT = 19601  # bound on an address of the slot for as long as the slot is in use


class NoFreeSlotError(Exception):
    """Every address range is in use by another sandbox."""

    def __init__(self) -> None:
        super().__init__(
            f"all {SLOTS} address ranges are in use by other sandboxes; stop one (flagger sandbox down)"
        )


@dataclass(frozen=True, slots=True)
class Slot:
    """The address ranges of one sandbox."""

    number: int

    @property
    def services(self) -> str:
        """The range of Services and Gateways."""
        return f"127.{96 + self.number}.0.0/16"

    @property
    def pods(self) -> str:
        """The range of pods."""
        return f"127.{128 + self.number}.0.0/16"


@contextmanager
def take_slot() -> Iterator[Slot]:
    """The first free slot, ours until the block is left or the process ends.

    Raises:
        NoFreeSlotError: there is none.
    """
    for number in range(SLOTS):
        lock = socket.socket()
        try:
            lock.bind((f"127.{96 + number}.255.254", _LOCK_PORT))
        except OSError:
            lock.close()
            continue
        with lock:
            yield Slot(number)
            return
    raise NoFreeSlotError
