"""Loopback addresses that nobody else uses, so that ports need not be searched for."""

import itertools
import os

_numbers = itertools.count(1)


def an_address() -> str:
    """An address of this test alone."""
    pid = os.getpid()
    return f"127.{64 + pid % 32}.{pid // 32 % 256}.{next(_numbers)}"
