"""Session cookies: which one a run's clients carry. Whether they get one is the router's business.

The cookie of a run marks the version, not the user, so everybody gets the same one. It is derived from the run
instead of drawn: a tick that is repeated after a crash comes to the same cookie, and pinned clients stay.
"""

from __future__ import annotations

import hashlib
import string

from msgspec.structs import replace

from flagger.api.analysis import SessionAffinity, Strategy
from flagger.api.status import CanaryStatus
from flagger.rollout.effects import SetSplit
from flagger.rollout.state import Decision, Feature, Snapshot, Split

LENGTH = 10  # letters, as upstream's
LETTERS = string.ascii_letters


def with_cookies(seen: Snapshot, decision: Decision) -> Decision:
    """The decision with the cookies that belong to the split it leaves."""
    set_to = [effect.split for effect in decision.effects if isinstance(effect, SetSplit)]
    split = set_to[-1] if set_to else seen.split
    return decision if split is None else decision.with_status(pinned(seen, decision.status, split))


def pinned(seen: Snapshot, status: CanaryStatus, split: Split) -> CanaryStatus:
    """The status with the cookies that belong to a split.

    The first weight of a run brings them; weight 0 retires the canary's, which routers then tell clients to
    drop. The primary's is kept until the next run, it expires by itself.
    """
    affinity = seen.canary.spec.analysis.session_affinity
    if affinity is None or not _pins(seen):
        return status
    return _given(seen, affinity, status) if split.canary else _retired(status)


def _pins(seen: Snapshot) -> bool:
    strategy = seen.canary.spec.analysis.strategy
    return Feature.AFFINITY in seen.features and strategy is not Strategy.AB


def _given(seen: Snapshot, affinity: SessionAffinity, status: CanaryStatus) -> CanaryStatus:
    if status.session_affinity_cookie:
        return status
    canary, primary = affinity.cookie_name, affinity.primary_cookie_name
    return replace(
        status,
        session_affinity_cookie=f"{canary}={_identifier(seen, status, 'canary')}",
        primary_session_affinity_cookie=f"{primary}={_identifier(seen, status, 'primary')}"
        if primary
        else "",
    )


def _retired(status: CanaryStatus) -> CanaryStatus:
    if not status.session_affinity_cookie:
        return status
    retired = status.session_affinity_cookie
    return replace(status, session_affinity_cookie="", previous_session_affinity_cookie=retired)


def _identifier(seen: Snapshot, status: CanaryStatus, side: str) -> str:
    """Ten letters that name one side of one run of one Canary."""
    number = status.run.number if status.run else 0
    named = f"{seen.canary.metadata.uid}/{number}/{side}"
    digest = hashlib.sha256(named.encode()).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:LENGTH])
