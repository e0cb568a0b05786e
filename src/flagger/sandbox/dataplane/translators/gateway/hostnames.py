"""Hostnames of listeners and routes: what two of them have in common, and which one is more specific.

A hostname is exact, `*.suffix` (one label or more in the star's place), or "" for all.
"""

ANY = ""


def common(one: str, other: str) -> str | None:
    """The hostname for what both stand for, None if they have nothing in common."""
    if covers(one, other):
        return other
    return one if covers(other, one) else None


def covers(pattern: str, hostname: str) -> bool:
    """Is everything that `hostname` stands for in `pattern` too?"""
    if pattern in {ANY, hostname}:
        return True
    return (
        pattern.startswith("*.")
        and hostname.removeprefix("*").endswith(pattern[1:])
        and hostname != pattern[2:]
    )


def precedence(hostname: str) -> tuple[int, int]:
    """Sorts the more specific first: exact ones, then by length."""
    return (hostname.startswith("*") or hostname == ANY, -len(hostname))


def domain(hostname: str) -> str:
    """How the data plane writes it."""
    return hostname or "*"
