"""Before the first release: the primary is bootstrapped while users are still served by the target."""

from __future__ import annotations

from flagger.api.phases import INITIAL, Phase
from flagger.rollout import record
from flagger.rollout.effects import PauseScaler, ScaleDown
from flagger.rollout.facts import Facts, Probe
from flagger.rollout.state import Alert, Decision, Event, Severity, Snapshot, Wait


def bootstrap(seen: Snapshot, facts: Facts) -> Probe | Decision | None:
    """Wait for the primary; once it serves, the target is parked and the Canary is initialized.

    The repairs of the same tick have made the primary and, as soon as it was ready, moved the traffic to it.
    The target is never parked before that, not even past a deadline.
    """
    if seen.phase not in INITIAL or seen.target is None:
        return None
    told: tuple[Event, ...] = ()
    if not seen.canary.skip_analysis:
        if facts.provider_faults is None:
            return Probe()
        told = (_availability(facts.provider_faults),)
        if seen.primary is None or not seen.primary.readiness.ready:
            return _wait(seen, told)
    text = f"Initialization done! {seen.name}"
    kind = seen.canary.spec.target_ref.kind
    alert = Alert(f"New {kind} detected, initialization completed", Severity.INFO, facts=True)
    return Decision(
        reason=text,
        effects=(PauseScaler(), ScaleDown()),
        status=record.initialized(seen, seen.target.revision),
        told=(*told, Event(text, phase=Phase.INITIALIZED), alert),
    )


def _wait(seen: Snapshot, told: tuple[Event, ...]) -> Decision:
    unready = (
        seen.primary.readiness.message
        if seen.primary
        else f"{seen.primary_name} not ready: it does not exist"
    )
    status = seen.status if seen.phase is Phase.INITIALIZING else record.moved(seen, Phase.INITIALIZING)
    return Decision(
        reason=unready, status=status, told=(*told, Event(unready, warning=True)), waits_for=Wait.PRIMARY
    )


def _availability(faults: tuple[str, ...]) -> Event:
    if not faults:
        return Event("all the metrics providers are available!")
    return Event(f"Error checking metric providers: {'; '.join(faults)}", warning=True)
