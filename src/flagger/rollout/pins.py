"""Whether an act is meant for what the release is doing now."""

from __future__ import annotations

from flagger.api.phases import Phase
from flagger.api.release_action import Action
from flagger.rollout import record
from flagger.rollout.act import Act, Answer, pending, refused, superseded
from flagger.rollout.approvals import candidate
from flagger.rollout.state import Snapshot

_UNDER_WAY = frozenset({Phase.WAITING, Phase.PROGRESSING, Phase.WAITING_PROMOTION})


def misplaced(seen: Snapshot, act: Act) -> Answer | None:
    """What becomes of an act that names another run, revision or image; None where it names this one."""
    pin = act.spec.pin
    if pin.run is not None and (current := current_run(seen)) != pin.run:
        if pin.run > current:
            return refused("Moved", f"there is no run {pin.run} yet: the last one is {current}")
        return superseded("Moved", f"run {pin.run} is over: the current one is {current}")
    if pin.revision and pin.revision != (current_revision := candidate(seen)):
        return superseded("Moved", f"the revision is {current_revision}, not {pin.revision}")
    return _awaited(seen, act) if pin.image else None


def current_run(seen: Snapshot) -> int:
    """The run that people see: a candidate that waits, or was refused while it waited, counts as one."""
    status = seen.status
    number = status.run.number if status.run else 0
    unstarted = status.run is None or status.run.revision != status.last_applied_spec
    refused_before = seen.phase is Phase.FAILED and unstarted and not record.half_started(status)
    return record.next_run(status) if seen.phase is Phase.WAITING or refused_before else number


def _awaited(seen: Snapshot, act: Act) -> Answer | None:
    """An act for an image may come before the image does, as both may come from one commit."""
    image = act.spec.pin.image
    if image not in seen.images:
        return pending("Waits", f"waits for the image {image}")
    revision = seen.target.revision if seen.target else ""
    if act.spec.action is Action.APPROVE and (seen.phase not in _UNDER_WAY or revision != candidate(seen)):
        return pending("Waits", f"waits for a run of the image {image}")
    return None
