"""Canaries that upstream has operated: they are taken over as they are, without a run, where that is safe."""

from __future__ import annotations

import re

from msgspec.structs import replace

from flagger.api.phases import IDLE, Phase
from flagger.rollout.facts import Facts
from flagger.rollout.state import Decision, Event, Snapshot

_UPSTREAM = re.compile("[4-9bcdf]{1,10}")
_PROMOTED = frozenset({Phase.PROMOTING, Phase.FINALISING})


def is_upstreams(revision: str) -> bool:
    """Whether a hash is of upstream's form, which can't be compared with ours."""
    return _UPSTREAM.fullmatch(revision) is not None


def adopt(seen: Snapshot, _: Facts) -> Decision | None:
    """Write our hash where upstream's was, if the primary runs what the target holds; nothing else happens.

    Where it runs something else, or a config has changed, the revision is a new one and is released as such. A run
    that upstream began starts over, as nobody knows what of it was proven; one whose primary has got the revision
    already goes on to its end.
    """
    status, target, primary = seen.status, seen.target, seen.primary
    if target is None or primary is None or primary.revision != target.revision:
        return None
    if not is_upstreams(status.last_applied_spec) or is_upstreams(target.revision):
        return None
    text = f"Adopted {seen.name}, {seen.primary_name} already runs the revision of {seen.target_name}"
    unchanged = not _config_changed(seen)
    adopted = replace(status, last_applied_spec=target.revision)
    if unchanged and seen.configs is not None:
        adopted = replace(adopted, tracked_configs=dict(seen.configs))
    if seen.phase in IDLE and unchanged:
        adopted = replace(adopted, last_promoted_spec=target.revision)
    elif seen.phase not in _PROMOTED:
        return None
    return Decision(reason=text, status=adopted, told=(Event(text),))


def _config_changed(seen: Snapshot) -> bool:
    """Whether a config differs that upstream tracked too; its checksums are ours."""
    before, now = seen.status.tracked_configs or {}, seen.configs or {}
    return any(now[key] != checksum for key, checksum in before.items() if key in now)
