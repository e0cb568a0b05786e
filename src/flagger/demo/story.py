"""What is seen of the release: the Canary and its events, followed through the API as `kubectl get -w` would."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from flagger.demo.scene import CANARY, NAME, NAMESPACE_NAME
from flagger.kube.cluster import Cluster
from flagger.kube.objects import EVENT, Object, name_of, namespace_of, uid_of

MOVES = (
    "Initialization done!",
    "New revision detected!",
    "Advance ",
    "Halt ",
    "Copying ",
    "Routing all traffic",
    "Promotion completed!",
    "Rolling back ",
)
"""How events begin that move phase, weight or failed checks."""

_JUDGED = re.compile(r"success rate (?P<value>[\d.]+)% < (?P<limit>[\d.]+)%")


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


@dataclass(slots=True)
class Chapter:
    """What happened during one act; times are the loop's, in seconds.

    `weights` are the canary weights in the order in which they came, `halts` the texts of failed checks, `told`
    those of all events.
    """

    weights: list[int] = field(default_factory=list)
    halts: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    first_halt: float | None = None

    @property
    def passes(self) -> int:
        """How often the analysis was asked: before every move but the first, which has nothing to look at."""
        return max(0, sum(text.startswith(("Advance ", "Halt ", "Copying ")) for text in self.told) - 1)

    @property
    def why(self) -> str:
        """The reason of a rollback as one sentence; empty when no check of the success rate failed."""
        judged = _JUDGED.search(self.halts[-1]) if self.halts else None
        if judged is None:
            return ""
        return (
            f"{NAME} was rolled back at {max(self.weights)} %: request-success-rate was {judged['value']} %, "
            f"below the limit of {judged['limit']} %, in {len(self.halts)} of {self.passes} passes."
        )


class Story:
    """Follows the Canary; `on_event` gets the text of each event that moves something.

    With it come the state then, and whether a pass of the analysis led to it.
    """

    def __init__(
        self,
        on_event: Callable[[State, str, bool], None],
        *,
        namespace: str = NAMESPACE_NAME,
        name: str = NAME,
    ) -> None:
        self.state = State()
        self.chapter = Chapter()
        self._on_event = on_event
        self._namespace, self._name = namespace, name
        self._known: set[tuple[str, int]] = set()
        self._changed = asyncio.Event()

    @property
    def initialized(self) -> bool:
        """Whether the first release is ready, and said so."""
        return self.state.phase == "Initialized" and self._said("Initialization done!")

    @property
    def over(self) -> bool:
        """Whether a run has ended, one way or another."""
        return self.state.phase in {"Succeeded", "Failed"}

    @property
    def last_word(self) -> bool:
        """Whether it has said so."""
        return self._said("Promotion completed!", "Rolling back ")

    def _said(self, *beginnings: str) -> bool:
        return any(text.startswith(beginnings) for text in self.chapter.told)

    def follow(self, cluster: Cluster) -> None:
        """Watch the Canary and its events; what `cluster` knows already is old news."""
        on_event, self._on_event = self._on_event, lambda *_: None
        cluster.subscribe(CANARY, self._canary)
        cluster.subscribe(EVENT, self._event)
        self._on_event = on_event

    def new_chapter(self) -> None:
        """An act begins."""
        self.chapter = Chapter([self.state.weight])

    async def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until `done`, which is asked after every change; False when that doesn't come in time."""
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _canary(self, _: Object | None, new: Object | None) -> None:
        if new is None or (namespace_of(new), name_of(new)) != (self._namespace, self._name):
            return
        self.state = State.of(new)
        weights = self.chapter.weights
        if not weights or weights[-1] != self.state.weight:
            weights.append(self.state.weight)
        self._changed.set()

    def _event(self, _: Object | None, new: Object | None) -> None:
        if new is None or not self._concerns(new.get("involvedObject", {})):
            return
        key, text = (uid_of(new), int(new.get("count") or 1)), str(new.get("message", ""))
        if key in self._known:
            return
        self._known.add(key)
        passes = self.chapter.passes
        self.chapter.told.append(text)
        if text.startswith("Halt "):
            self.chapter.halts.append(text)
            self.chapter.first_halt = self.chapter.first_halt or asyncio.get_running_loop().time()
        if text.startswith(MOVES):
            self._on_event(self.state, text, self.chapter.passes > passes)
        self._changed.set()

    def _concerns(self, about: Object) -> bool:
        told = (about.get("kind"), about.get("namespace"), about.get("name"))
        return told == (CANARY.kind, self._namespace, self._name)
