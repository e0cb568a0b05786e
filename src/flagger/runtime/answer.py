"""Writes what became of acts, after the status that made it so: to the objects, the log and the counters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import structlog

from flagger.api.names import RESPONSE
from flagger.api.quantities import format_time
from flagger.api.release_action import ActionState
from flagger.api.status import CanaryStatus
from flagger.kube.errors import NotFound
from flagger.kube.objects import Object, name_of, namespace_of, uid_of
from flagger.rollout.act import ActResult, Order
from flagger.rollout.acts import NEXT
from flagger.rollout.pins import current_run
from flagger.rollout.state import Decision, Snapshot
from flagger.runtime.announce import shown
from flagger.runtime.kinds import CANARY, RELEASE_ACTION
from flagger.runtime.requests import Response, is_by_annotation, request_id, response_of
from flagger.runtime.snapshot import View
from flagger.runtime.world import World

log = structlog.get_logger(__name__)


async def answer(world: World, view: View, decision: Decision) -> None:
    """Say of each act what became of it; nothing is written where that has been said before.

    Raises:
        KubeError: the API refused; the act stays undecided, and the next tick says it again.
    """
    objects = {uid_of(obj): obj for obj in world.acts.waiting(view.canary.key)} if decision.results else {}
    for result in decision.results:
        if is_by_annotation(result.act):
            written = await _respond(world, view, result)
        else:
            written = await _write(world, view, decision, result, objects.get(result.act.uid))
        if written and result.answer.state is not ActionState.PENDING:
            _count(world, view, result)


async def _write(world: World, view: View, decision: Decision, result: ActResult, obj: Object | None) -> bool:
    """Write the status of a ReleaseAction; says whether there was anything to write."""
    if obj is None:
        return False
    said, verdict = obj.get("status") or {}, result.answer
    status: Object = {
        "state": str(verdict.state),
        "identity": str(result.act.identity),
        "code": verdict.name,
        "message": verdict.message,
    }
    if verdict.state is not ActionState.PENDING:
        status["at"] = format_time(view.seen.now)
        if not result.again:
            status["before"], status["after"] = _place(view.seen.status), _place(decision.status)
    if all(said.get(key) == value for key, value in status.items()):
        return False
    try:
        body = {"status": status}
        await world.cluster.patch(RELEASE_ACTION, name_of(obj), namespace_of(obj), body, subresource="status")
    except NotFound:  # somebody has deleted it meanwhile; what it did stays done
        return False
    return True


async def _respond(world: World, view: View, result: ActResult) -> bool:
    """Write the annotation that answers a request; the time of a pending one is that of its first sight."""
    verdict, before = result.answer, response_of(view.stored)
    identity, waits = request_id(result.act), verdict.state is ActionState.PENDING
    at = result.act.created if waits else view.seen.now
    response = Response(identity, str(verdict.state), verdict.name, verdict.message, format_time(at))
    if response == before:
        return False
    text = json.dumps(asdict(response), sort_keys=True)
    body = {"metadata": {"annotations": {RESPONSE: text}}}
    await world.cluster.patch(CANARY, view.canary.name, view.canary.namespace, body)
    return True


def _place(status: CanaryStatus) -> Object:
    return {"phase": str(status.phase), "weight": status.canary_weight}


def _count(world: World, view: View, result: ActResult) -> None:
    spec, verdict = result.act.spec, result.answer
    world.telemetry.acted(str(spec.action), str(verdict.state), spec.via)
    log.info(
        "act decided",
        canary=shown(view.canary),
        actor=spec.who,
        action=str(spec.action),
        gate=spec.gate,
        run=current_run(view.seen),
        revision=view.seen.status.last_applied_spec,
        via=spec.via,
        identity=str(result.act.identity),
        reason=spec.why,
        requestId=result.act.uid,
        state=str(verdict.state),
        code=verdict.name,
        message=verdict.message,
    )


def record_first(decision: Decision) -> bool:
    """Whether the record of the run must be there before the phase or weight is, where it is kept apart."""
    return any(
        result.act.order in (Order.RETRY, Order.STEP) and not result.again for result in decision.results
    )


def moments(seen: Snapshot, decision: Decision, interval: float) -> Iterator[float]:
    """Seconds after which something happens to a Canary by itself because of what people want."""
    codes = {result.answer.code for result in decision.results}
    if NEXT in codes:
        yield 0.0
    if "Unknown" in codes:
        yield interval  # whether it is permitted could not be told
    hold = decision.status.run.hold if decision.status.run else None
    waiting = [r.act.expires for r in decision.results if r.answer.state is ActionState.PENDING]
    for moment in (*waiting, *([hold.until] if hold is not None and hold.until else ())):
        if moment > seen.now:
            yield (moment - seen.now).total_seconds()
