"""Hands what a tick has to tell to those who deliver it; nothing here waits."""

from __future__ import annotations

from collections.abc import Iterable

from flagger.api.canary import Canary
from flagger.api.phases import Phase
from flagger.kube.objects import Object, name_of, namespace_of, uid_of
from flagger.notify.events import Announcer, Level
from flagger.rollout.state import Announcement, Event
from flagger.runtime.world import World

_ENDS = frozenset({Phase.SUCCEEDED, Phase.FAILED})


def announce(world: World, canary: Canary, told: Iterable[Announcement], phase: Phase) -> None:
    """Record events and send alerts, each in order; events without a phase carry the one the tick began in."""
    for item in told:
        if isinstance(item, Event):
            level = Level.WARNING if item.warning else Level.INFO
            shown = phase if item.phase is None else item.phase
            world.announcer.announce(canary, item.text, level, phase=shown, final=item.phase in _ENDS)
        else:
            world.alerts.tell(canary, item)


def shown(canary: Canary) -> str:
    """`<name>.<namespace>`, as log lines name a Canary."""
    return f"{canary.name}.{canary.namespace}"


def announce_rejection(announcer: Announcer, stored: Object, text: str) -> None:
    """Tell of a Canary that can't be read as one; only its name and identity are known."""
    announcer.announce(_nameplate(stored), text, Level.WARNING)


def _nameplate(stored: Object) -> Canary:
    return Canary.parse(
        {
            "metadata": {"name": name_of(stored), "namespace": namespace_of(stored), "uid": uid_of(stored)},
            "spec": {"targetRef": {"apiVersion": "", "kind": "Deployment", "name": ""}, "analysis": {}},
        }
    )
