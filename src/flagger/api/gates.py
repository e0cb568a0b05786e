"""Gates that need no service: `gate://NAME?approvals=2&expires=8h` as the URL of a confirm-* hook."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from flagger.api.analysis import HookType, Webhook
from flagger.api.quantities import parse_duration

SCHEME = "gate"
CONFIRMING = (HookType.CONFIRM_ROLLOUT, HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION)
"""Types of hooks that can be such a gate, in the order in which a run meets them."""


@dataclass(frozen=True, slots=True)
class NativeGate:
    """A gate that people open: by how many approvals of different people, and for how long each counts."""

    name: str
    approvals: int = 1
    expires: timedelta | None = None


def is_native(hook: Webhook) -> bool:
    """Say whether a hook is a gate of our own, which nothing is asked about."""
    return hook.url.startswith(f"{SCHEME}://")


def native_gate(url: str) -> NativeGate:
    """Return what a `gate://` URL says.

    Raises:
        ValueError: it has no name, or a parameter that is unknown or can't be read.
    """
    parts = urlsplit(url)
    if not parts.netloc or parts.path not in ("", "/") or parts.fragment:
        raise ValueError("is not of the form gate://NAME?approvals=2&expires=8h")
    approvals, expires = 1, None
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "approvals":
            approvals = _count(value)
        elif name == "expires":
            expires = parse_duration(value)
            if expires <= timedelta():
                raise ValueError("has an expiry that is not longer than zero")
        else:
            raise ValueError(f"has the unknown parameter {name!r}, only approvals and expires are known")
    return NativeGate(parts.netloc, approvals, expires)


def gate_names(hook: Webhook) -> frozenset[str]:
    """Return the names by which people may call a gate: that of its hook, and that in a `gate://` URL."""
    return frozenset({hook.name, urlsplit(hook.url).netloc} if is_native(hook) else {hook.name})


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 9:
        raise ValueError(f"needs between 1 and 9 approvals, not {text!r}")
    return int(text)
