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
    """The address ranges are in use by other sandboxes."""


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
def take_slot(number: int | None = None) -> Iterator[Slot]:
    """The slot with this number, else the first free one; ours until the block is left or the process ends.

    Raises:
        NoFreeSlotError: somebody else has it, or all of them.
    """
    for candidate in range(SLOTS) if number is None else (number,):
        lock = _lock(candidate)
        if lock is not None:
            with lock:
                yield Slot(candidate)
            return
    what = f"all {SLOTS} address ranges are" if number is None else f"{Slot(number).services} is"
    raise NoFreeSlotError(f"{what} in use by another sandbox; stop one:  flagger sandbox down")


def _lock(number: int) -> socket.socket | None:
    """A bound socket of the slot, None when another process has it."""
    lock = socket.socket()
    try:
        lock.bind((f"127.{96 + number}.255.254", _LOCK_PORT))
    except OSError:
        lock.close()
        return None
    return lock
