"""Weights as routing objects hold them. Pure."""

from __future__ import annotations

from flagger.rollout.state import TOTAL, Split


def split_between(primary: float, canary: float) -> Split:
    """The split that two weights make: they are shares of their sum, whoever wrote them."""
    total = primary + canary
    return Split(round(TOTAL * canary / total) if total else 0)
