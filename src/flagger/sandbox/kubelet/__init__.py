"""Pods as local processes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flagger.sandbox.kubelet.kubelet import Kubelet

__all__ = ["Kubelet"]


def __getattr__(name: str) -> Any:
    """Import the kubelet when it is asked for: the fork server lives in this package too, and has to stay small."""
    if name == "Kubelet":
        from flagger.sandbox.kubelet.kubelet import Kubelet

        return Kubelet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
