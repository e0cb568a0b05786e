"""Writes the Release of a Canary, at most once per tick, and only where the kind is served.

It begins with the first run or act: until then there is nothing that the Canary itself does not say.
"""

from __future__ import annotations

import structlog

from flagger.api.errors import FieldError
from flagger.api.names import RELEASE_API_VERSION
from flagger.api.release import Release, ReleaseStatus
from flagger.kube.apply import merge_patch
from flagger.kube.errors import AlreadyExists, KindMissing, KubeError
from flagger.kube.objects import Object
from flagger.rollout.state import Decision
from flagger.runtime.announce import shown
from flagger.runtime.chronicle import told
from flagger.runtime.commit import plain_model
from flagger.runtime.kinds import RELEASE
from flagger.runtime.snapshot import View
from flagger.runtime.world import World

log = structlog.get_logger(__name__)


async def chronicle(world: World, view: View, decision: Decision) -> None:
    """Bring the Release up to date; what fails is logged, as a record must not hold up a release."""
    begun = decision.status.run is not None or decision.results
    if not (world.acts.recorded and begun) or view.seen.deleting:
        return
    try:
        await _write(world, view, decision)
    except KindMissing:
        world.acts.served -= {RELEASE.plural}  # until it is there again
    except KubeError as error:
        log.warning("release not written", canary=shown(view.canary), problem=str(error))


async def _write(world: World, view: View, decision: Decision) -> None:
    canary = view.canary
    stored = await world.cluster.get(RELEASE, canary.namespace, canary.name)
    known = (stored or {}).get("status") or {}
    before = _read(stored) if stored else ReleaseStatus()
    patch = merge_patch(known, plain_model(told(view.seen, decision, before)))
    if patch is None:
        return
    if stored is None:
        await _create(world, view)
    body = {"status": patch}
    await world.cluster.patch(RELEASE, canary.name, canary.namespace, body, subresource="status")


def _read(stored: Object) -> ReleaseStatus:
    try:
        return Release.parse(stored).status
    except FieldError:  # somebody else wrote into it: it is written anew
        return ReleaseStatus()


async def _create(world: World, view: View) -> None:
    canary = view.canary
    metadata = {
        "name": canary.name,
        "namespace": canary.namespace,
        "ownerReferences": [canary.owner_reference],
    }
    obj = {"apiVersion": RELEASE_API_VERSION, "kind": "Release", "metadata": metadata}
    try:
        await world.cluster.create(RELEASE, obj)
    except AlreadyExists:
        return  # made a moment ago, and the cache has not heard of it
