"""What people want done with a Canary, from its ReleaseActions and annotations, as the core takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flagger.api.errors import FieldError
from flagger.api.model import decode
from flagger.api.names import HOLD, REQUEST, RESPONSE
from flagger.api.release_action import (
    Action,
    ActionSpec,
    ActionState,
    Identity,
    ReleaseAction,
    plain_text,
)
from flagger.api.status import Hold
from flagger.kube.objects import Object, annotations_of, uid_of
from flagger.rollout.act import Act
from flagger.runtime.identity import Vouching, objection, vouching
from flagger.runtime.snapshot import View
from flagger.runtime.world import World

ID_LIMIT = 63  # characters of a request's own identity
_BY_ANNOTATION = "annotation/"
"""Begins the identity of an act that was asked for by the annotation."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the annotation says has become of the last request."""

    id: str = ""
    state: str = ""
    code: str = ""
    message: str = ""
    at: str = ""


def hold_of(stored: Object) -> str | None:
    """Why the object itself asks for a pause; None when it does not."""
    reason = annotations_of(stored).get(HOLD)
    return None if reason is None else plain_text(reason)


def has_requests(world: World, stored: Object, key: str) -> bool:
    """Whether there is anything to decide."""
    return bool(world.acts.waiting(key)) or request_of(stored) is not None


async def with_requests(world: World, view: View, *, early: bool) -> View:
    """The view with what people want; costs nothing where nobody wants anything."""
    reason, waiting = hold_of(view.stored), world.acts.waiting(view.canary.key)
    request = request_of(view.stored)
    if reason is None and not waiting and request is None:
        return view
    setting, now = world.settings.unverified_actions, view.seen.now
    vouched = await vouching(world.cluster.client) if waiting else Vouching()
    acts = [_act_of(obj, vouched, setting) for obj in waiting]
    if request is not None:
        acts.append(_asked_by_annotation(view.stored, request, setting, now))
    wanted = any(act.spec.pin.image for act in acts)
    seen = replace(
        view.seen,
        acts=tuple(sorted(acts, key=lambda act: (act.created, act.uid))),
        hold=None if reason is None else Hold(reason=reason),
        early=early,
        images=frozenset(await _images(world, view)) if wanted else frozenset(),
    )
    return replace(view, seen=seen)


def request_of(stored: Object) -> tuple[str, str] | None:
    """Identity and text of the request in the annotation, unless it has been decided."""
    text = annotations_of(stored).get(REQUEST)
    if not text:
        return None
    identity = _identity_of(text)
    answered = response_of(stored)
    decided = answered.id == identity and answered.state not in ("", ActionState.PENDING)
    return None if decided else (identity, text)


def response_of(stored: Object) -> Response:
    """What is written about the last request; nothing where that can't be read."""
    try:
        found = json.loads(annotations_of(stored).get(RESPONSE) or "{}")
        return Response(**{name: str(found.get(name, "")) for name in Response.__dataclass_fields__})
    except (ValueError, AttributeError):
        return Response()


def is_by_annotation(act: Act) -> bool:
    """Whether the answer goes to the annotation."""
    return act.uid.startswith(_BY_ANNOTATION)


def request_id(act: Act) -> str:
    """The identity that the request gave itself, or was given."""
    return act.uid.removeprefix(_BY_ANNOTATION)


def _identity_of(text: str) -> str:
    try:
        given = json.loads(text).get("id")
    except (ValueError, AttributeError):
        given = None
    return plain_text(str(given))[:ID_LIMIT] if given else hashlib.sha256(text.encode()).hexdigest()[:8]


def _act_of(obj: Object, vouched: Vouching, setting: str) -> Act:
    metadata, status = obj["metadata"], obj.get("status") or {}
    created = str(metadata.get("creationTimestamp", ""))
    identity, against = vouched.identity(created), None
    try:
        spec = ReleaseAction.parse(obj).spec
    except FieldError as error:
        spec, against = _unreadable(obj["spec"].get("canary", "")), ("Invalid", str(error))
    if metadata.get("generation", 1) > 1:
        against = ("Changed", "its spec was changed after it was created: create another one")
    return Act(
        uid=uid_of(obj),
        spec=spec,
        created=datetime.fromisoformat(created),
        identity=identity,
        objection=against or objection(spec, identity, setting),
        pending=str(status.get("message", "")),
    )


def _asked_by_annotation(stored: Object, request: tuple[str, str], setting: str, now: datetime) -> Act:
    identity, text = request
    before = response_of(stored)
    against: tuple[str, str] | None = None
    try:
        spec = decode(_as_spec(json.loads(text)), ActionSpec)
        against = objection(spec, Identity.UNVERIFIED, setting)
    except (ValueError, FieldError) as error:
        spec, against = _unreadable("-"), ("Invalid", f"the annotation {REQUEST} can't be read: {error}")
    since = datetime.fromisoformat(before.at) if before.id == identity and before.at else now
    return Act(
        uid=f"{_BY_ANNOTATION}{identity}", spec=spec, created=since, objection=against, pending=before.message
    )


def _as_spec(given: Any) -> dict[str, Any]:
    """The request in the form of a ReleaseAction's spec; `by` and `run` are short for what they mean."""
    if not isinstance(given, dict):
        raise FieldError("", "it is no JSON object", 'write for example {"action": "pause"}')
    pin = {"run": given["run"]} if "run" in given else {}
    by = {"requestedBy": {"username": given["by"]}} if "by" in given else {}
    return {"canary": "-", "via": "annotation", **by, **given, "pin": {**pin, **(given.get("pin") or {})}}


def _unreadable(canary: str) -> ActionSpec:
    """Stands for an act whose spec can't be read; it is refused."""
    return ActionSpec(canary=str(canary), action=Action.PAUSE)


async def _images(world: World, view: View) -> Iterator[str]:
    """The images of the target's containers."""
    canary, workload = view.canary, view.workload
    kind = workload.kind if workload else None
    target = await world.cluster.get(kind, canary.namespace, canary.target_name) if kind else None
    template = ((target or {}).get("spec") or {}).get("template") or {}
    containers = (template.get("spec") or {}).get("containers") or ()
    return (str(container.get("image", "")) for container in containers)
