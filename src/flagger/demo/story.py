"""What is seen of the release: the Canary and its events, followed through the API as `kubectl get -w` would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from flagger.demo.scene import CANARY, NAME
from flagger.kube.cluster import Cluster
from flagger.kube.objects import EVENT, Object, name_of, uid_of

_ASIDES = (
    "all the metrics providers",
    "Starting canary analysis",
    "Canary failed!",
    "checkout-primary.shop not ready",
    "canary deployment checkout.shop not ready",
)
"""Events that move neither phase, weight nor failed checks."""


@dataclass(frozen=True, slots=True)
class State:
    """The Canary's status."""

    phase: str = ""
    weight: int = 0
    failed_checks: int = 0

    @classmethod
    def of(cls, canary: Object) -> State:
        """Read the status of the stored object."""
        status = canary.get("status", {})
        return cls(status.get("phase", ""), status.get("canaryWeight", 0), status.get("failedChecks", 0))


class Story:
    """Follows the Canary; `on_event` gets the text of each event that moves something, with the state then."""

    def __init__(self, on_event: Callable[[State, str], None]) -> None:
        self.state = State()
        self.weights: list[int] = []
        self._on_event = on_event
        self._heard: set[tuple[str, int]] = set()
        self._changed = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()

    def follow(self, cluster: Cluster) -> None:
        """Watch the Canary and the events."""
        cluster.subscribe(CANARY, self._canary)
        cluster.subscribe(EVENT, self._event)

    def new_act(self) -> None:
        """Forget the weights of the act before."""
        self.weights = []

    async def until(self, done: Callable[[State], bool], seconds: float) -> bool:
        """Wait for a state; False when it doesn't come in time."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: done(self.state))
        except TimeoutError:
            return False
        return True

    def _canary(self, _: Object | None, new: Object | None) -> None:
        if new is None or name_of(new) != NAME:
            return
        self.state = State.of(new)
        if not self.weights or self.weights[-1] != self.state.weight:
            self.weights.append(self.state.weight)
        task = asyncio.get_running_loop().create_task(self._notify())
        self._wakers.add(task)
        task.add_done_callback(self._wakers.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _event(self, _: Object | None, new: Object | None) -> None:
        if new is None or new.get("involvedObject", {}).get("kind") != "Canary":
            return
        heard = (uid_of(new), int(new.get("count") or 1))
        text = str(new.get("message", ""))
        if heard not in self._heard and not text.startswith(_ASIDES):
            self._on_event(self.state, text)
        self._heard.add(heard)
