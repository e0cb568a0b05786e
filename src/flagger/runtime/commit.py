"""The only writer of a Canary's status: a patch of what a tick changed, after its effects."""

from __future__ import annotations

import json
from typing import Any

import structlog

from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.model import decode
from flagger.api.names import RELEASE_GROUP
from flagger.api.quantities import format_time
from flagger.api.status import CanaryStatus, RunRecord
from flagger.kube.apply import merge_patch
from flagger.kube.cluster import Cluster
from flagger.kube.errors import Conflict, NotFound
from flagger.kube.objects import (
    Object,
    annotations_of,
    key_of,
    name_of,
    namespace_of,
    resource_version_of,
    uid_of,
)
from flagger.runtime.kinds import CANARY

log = structlog.get_logger(__name__)

RUN_ANNOTATION = f"{RELEASE_GROUP}/run"
"""Holds `status.run` where the cluster's CRD is upstream's, which drops fields that it doesn't know."""


OWNED = (
    *("phase", "failedChecks", "canaryWeight", "iterations", "trackedConfigs", "conditions", "run"),
    *("lastAppliedSpec", "lastPromotedSpec", "lastTransitionTime"),
    *("sessionAffinityCookie", "previousSessionAffinityCookie", "primarySessionAffinityCookie"),
)
"""The fields of the status that are ours to write; others stay as they are."""


class CanaryGone(Exception):  # noqa: N818 - a fact: somebody deleted it during its tick
    """The Canary was deleted, or deleted and made again, since the tick began."""


async def commit(cluster: Cluster, stored: Object, canary: Canary, status: CanaryStatus) -> None:
    """Write what differs between the Canary's status and `status`; nothing when nothing does.

    `stored` is the object that the tick started from. Somebody else's change of the spec doesn't matter; a
    change of the status does, as its decision would then rest on something that is no longer so.

    Raises:
        Conflict: the status was written by somebody else meanwhile.
        CanaryGone: there is no such Canary any more.
    """
    patch = merge_patch(_known(stored, canary.status.run), plain(status))
    if not patch:
        return
    try:
        answer = await _write(cluster, stored, patch)
    except Conflict:
        answer = await _write(cluster, await _unmoved(cluster, stored), patch)
    except NotFound as error:
        raise CanaryGone(f"{canary.key} was deleted during its tick") from error
    await _keep_run(cluster, answer, status.run)


async def _unmoved(cluster: Cluster, stored: Object) -> Object:
    """The Canary as it is now, provided that its status is still the one that the tick started from."""
    metadata = stored["metadata"]
    try:
        fresh = await cluster.client.get(CANARY, metadata["name"], metadata["namespace"])
    except NotFound as error:
        raise CanaryGone(f"{key_of(stored)} was deleted during its tick") from error
    if uid_of(fresh) != uid_of(stored):
        raise CanaryGone(f"{key_of(stored)} was deleted and made again during its tick")
    if fresh.get("status") != stored.get("status"):
        text = f"the status of {key_of(stored)} was written by somebody else meanwhile"
        raise Conflict(409, "Conflict", text)
    return fresh


def _known(stored: Object, run: RunRecord | None) -> Object:
    """What is stored of the fields that we write; `run` may be kept elsewhere."""
    status = stored.get("status") or {}
    known = {name: status[name] for name in OWNED if name in status}
    return known | ({"run": plain_run(run)} if run else {})


def plain(status: CanaryStatus) -> Object:
    """The status as the API has it: counters always there, texts only when they say something.

    Some API servers take an empty text for null, and refuse it.
    """
    texts = {
        "phase": str(status.phase),
        "lastAppliedSpec": status.last_applied_spec,
        "lastPromotedSpec": status.last_promoted_spec,
        "lastTransitionTime": format_time(status.last_transition_time) if status.last_transition_time else "",
        "sessionAffinityCookie": status.session_affinity_cookie,
        "previousSessionAffinityCookie": status.previous_session_affinity_cookie,
        "primarySessionAffinityCookie": status.primary_session_affinity_cookie,
    }
    return {
        "failedChecks": status.failed_checks,
        "canaryWeight": status.canary_weight,
        "iterations": status.iterations,
        **{name: text for name, text in texts.items() if text},
        **({} if status.tracked_configs is None else {"trackedConfigs": dict(status.tracked_configs)}),
        **({"conditions": [item.as_object() for item in status.conditions]} if status.conditions else {}),
        **({"run": plain_run(status.run)} if status.run else {}),
    }


def plain_run(run: RunRecord) -> Object:
    """The record of a run as the API has it; only what says something."""
    known: dict[str, Any] = {
        "number": run.number,
        "revision": run.revision,
        "started": format_time(run.started) if run.started else "",
        "preRollout": run.pre_rollout,
        "approved": run.approved,
        "waiting": run.waiting,
    }
    return {name: value for name, value in known.items() if value}


def run_of(stored: Object) -> RunRecord | None:
    """The record of the run from the annotation, for clusters whose CRD drops it from the status."""
    text = annotations_of(stored).get(RUN_ANNOTATION)
    if not text:
        return None
    try:
        return decode(json.loads(text), RunRecord)
    except (ValueError, FieldError) as error:
        where = f"{name_of(stored)}.{namespace_of(stored)}"
        log.warning("annotation ignored", canary=where, annotation=RUN_ANNOTATION, problem=str(error))
        return None


async def _write(cluster: Cluster, base: Object, patch: Object) -> Object:
    metadata = base["metadata"]
    body = {"metadata": {"resourceVersion": resource_version_of(base)}, "status": patch}
    return await cluster.patch(CANARY, metadata["name"], metadata["namespace"], body, subresource="status")


async def _keep_run(cluster: Cluster, answer: Object, run: RunRecord | None) -> None:
    """Fall back to the annotation when the server dropped the record."""
    if run is None or "run" in answer.get("status", {}):
        return
    text = json.dumps(plain_run(run), sort_keys=True)
    if annotations_of(answer).get(RUN_ANNOTATION) != text:
        metadata = answer["metadata"]
        body = {"metadata": {"annotations": {RUN_ANNOTATION: text}}}
        await cluster.patch(CANARY, metadata["name"], metadata["namespace"], body)
