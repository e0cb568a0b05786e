"""Deployments: rolling out a template through ReplicaSets, step by step, and telling how far it has come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flagger.kube.apply import merge_patch
from flagger.kube.errors import AlreadyExists, Conflict
from flagger.kube.objects import (
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    Kind,
    Object,
    annotations_of,
    is_terminating,
    key_of,
    name_of,
    namespace_of,
    resource_version_of,
    uid_of,
)
from flagger.sandbox.controllers import deployment_status as progress
from flagger.sandbox.controllers import revisions, sizes
from flagger.sandbox.controllers.loop import Context
from flagger.sandbox.controllers.owned import Owned, controller_of, owner_keys
from flagger.sandbox.controllers.pods import FINISHED, condition_of, phase_of
from flagger.sandbox.controllers.template import same

DEADLINE_SLACK = 1.0  # seconds: times in conditions are whole seconds


@dataclass(slots=True)
class Sets:
    """A Deployment with its ReplicaSets, as the pass at hand sees and leaves them."""

    deployment: Object
    all: list[Object]
    new: Object | None = field(init=False)
    old: list[Object] = field(init=False)

    def __post_init__(self) -> None:
        self.sort()

    def sort(self) -> None:
        """Tell the current set from the others."""
        self.new = revisions.current(self.deployment, self.all)
        self.old = revisions.by_age(
            [one for one in self.all if self.new is None or uid_of(one) != uid_of(self.new)]
        )

    def put(self, one: Object) -> None:
        """Take over a new state of a set, or a new set."""
        self.all = [known for known in self.all if uid_of(known) != uid_of(one)] + [one]
        self.sort()


class Deployments:
    """Creates ReplicaSets, sizes them, numbers them, and removes the oldest."""

    kinds: Sequence[Kind] = (DEPLOYMENT, REPLICA_SET, POD)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._sets = Owned(context.cluster, REPLICA_SET)
        self._pods = Owned(context.cluster, POD)

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """The Deployment itself, the owner of a ReplicaSet; of a pod only when it has gone."""
        if kind == DEPLOYMENT:
            return {key_of(obj) for obj in (old, new) if obj}
        if kind == REPLICA_SET:
            return owner_keys(DEPLOYMENT, old, new)
        return self._owners_of_pod(old) if new is None and old is not None else ()

    def _owners_of_pod(self, pod: Object) -> Iterable[str]:
        """Recreate waits for the last old pod to go."""
        reference = controller_of(pod)
        owner = self._sets.by_uid(reference["uid"]) if reference else None
        return owner_keys(DEPLOYMENT, owner)

    async def reconcile(self, key: str) -> float | None:
        """Take the rollout one step further; what it changes leads to the next step."""
        namespace, _, name = key.partition("/")
        deployment = await self._cluster.get(DEPLOYMENT, namespace, name)
        if deployment is None:
            return None
        sets = Sets(deployment, await self._sets.claim(DEPLOYMENT, deployment))
        rolling = False
        if not is_terminating(deployment):
            await self._note_pause(sets)
            rolling = await self._step(sets)
        await self._write_status(sets, rolling=rolling)
        left = progress.deadline_left(sets.deployment, self._context.now())
        return left + DEADLINE_SLACK if rolling and left != float("inf") else None

    async def _step(self, sets: Sets) -> bool:
        """Do what is to be done first; False if only the size was looked after."""
        deployment = sets.deployment
        if deployment["spec"].get("paused") or self._is_scaled(sets):
            await self._find_current(sets, create=False)
            await self._scale(sets)
            return False
        if deployment["spec"].get("strategy", {}).get("type") == "Recreate":
            await self._recreate(sets)
        else:
            await self._roll(sets)
        if progress.is_complete(sets.deployment, progress.counters(sets.deployment, sets.all, sets.new)):
            for one in revisions.outdated(sets.deployment, sets.old):
                await self._cluster.delete(REPLICA_SET, name_of(one), namespace_of(one))
        return True

    async def _note_pause(self, sets: Sets) -> None:
        """Say in the condition that the rollout is paused, or goes on."""
        deployment = sets.deployment
        if not progress.has_deadline(deployment):
            return
        known = condition_of(deployment, "Progressing")
        noted = known is not None and known["reason"] == progress.PAUSED
        paused = bool(deployment["spec"].get("paused"))
        if paused == noted:
            return
        reason, text = (progress.PAUSED, "is paused") if paused else ("DeploymentResumed", "is resumed")
        moment = self._context.now()
        entry = progress.condition("Progressing", "Unknown", reason, f"Deployment {text}", moment)
        await self._set_condition(sets, entry, {})

    def _is_scaled(self, sets: Sets) -> bool:
        """Has the wanted size changed since the sets were sized?"""
        desired = str(sizes.wanted(sets.deployment))
        active = [one for one in sets.all if sizes.size(one)]
        return any(annotations_of(one).get(sizes.DESIRED, desired) != desired for one in active)

    async def _roll(self, sets: Sets) -> None:
        """One step of a rolling update: grow the new set if there is room, else shrink the old ones."""
        await self._find_current(sets, create=True)
        limits = sizes.limits_of(sets.deployment)
        if sets.new is None:
            return
        target = sizes.grown(limits, sets.all, sets.new)
        if await self._resize(sets, sets.new, target):
            return
        targets = sizes.shrunk(limits, sets.old, sets.new)
        for one in sets.old:
            await self._resize(sets, one, targets[name_of(one)])

    async def _recreate(self, sets: Sets) -> None:
        """All old pods go before the first new one comes."""
        await self._find_current(sets, create=False)
        shrunk = [await self._resize(sets, one, 0) for one in sets.old]
        pods = [pod for one in sets.old for pod in self._pods.of(one)]
        if any(shrunk) or any(phase_of(pod) not in FINISHED for pod in pods):
            return
        await self._find_current(sets, create=True)
        if sets.new is not None:
            await self._resize(sets, sets.new, sizes.wanted(sets.deployment))

    async def _scale(self, sets: Sets) -> None:
        """Give the sets that exist the wanted size between them."""
        replicas = sizes.wanted(sets.deployment)
        active = [one for one in sets.all if sizes.size(one)]
        latest = sets.new or (revisions.by_age(sets.old)[-1] if sets.old else None)
        if len(active) <= 1:
            if only := (active[0] if active else latest):
                await self._resize(sets, only, replicas)
        elif sets.new is not None and is_saturated(sets.new, replicas):
            for one in sets.old:
                await self._resize(sets, one, 0)
        elif sets.deployment["spec"].get("strategy", {}).get("type") != "Recreate":
            before = int(sets.deployment.get("status", {}).get("replicas", 0))
            limits = sizes.limits_of(sets.deployment)
            for name, target in sizes.proportional(limits, active, before).items():
                await self._resize(sets, next(one for one in active if name_of(one) == name), target)

    async def _find_current(self, sets: Sets, *, create: bool) -> None:
        """Number and annotate the current set; with `create`, make it if it does not exist."""
        revision = revisions.next_revision(sets.old)
        if sets.new is None:
            if create:
                await self._create(sets, revision)
            return
        known = sets.new
        wanted = revisions.annotations_for(sets.deployment, known, revision)
        seconds = sets.deployment["spec"].get("minReadySeconds", 0)
        patch = merge_patch(annotations_of(known), wanted)
        if patch or known["spec"].get("minReadySeconds", 0) != seconds:
            body = {"metadata": {"annotations": patch or {}}, "spec": {"minReadySeconds": seconds}}
            sets.put(await self._patch_set(known, body))
        number = annotations_of(sets.new).get(revisions.REVISION, str(revision))
        text = f'Found new replica set "{name_of(known)}"'
        moment = self._context.now()
        entry = progress.condition("Progressing", "True", "FoundNewReplicaSet", text, moment)
        missing = condition_of(sets.deployment, "Progressing") is None
        await self._set_condition(sets, entry if missing else None, {revisions.REVISION: number})

    async def _create(self, sets: Sets, revision: int) -> None:
        """Make the set of the present template, at the size that there is room for."""
        deployment = sets.deployment
        limits = sizes.limits_of(deployment)
        room = limits.replicas + limits.surge - sizes.total(sets.all)
        replicas = max(0, min(limits.replicas, room))
        if deployment["spec"].get("strategy", {}).get("type") == "Recreate":
            replicas = limits.replicas
        made = revisions.new_set(deployment, revision, replicas)
        try:
            made = await self._cluster.create(REPLICA_SET, made)
        except AlreadyExists as error:
            await self._collide(deployment, made, error)
        sets.put(made)
        text = f'Created new replica set "{name_of(made)}"'
        moment = self._context.now()
        entry = progress.condition("Progressing", "True", "NewReplicaSetCreated", text, moment)
        await self._set_condition(sets, entry, {revisions.REVISION: str(revision)})
        if replicas:
            self._scaled(deployment, made, 0, replicas)

    async def _collide(self, deployment: Object, made: Object, error: AlreadyExists) -> None:
        """The name is taken: by our own set that the cache does not know yet, or by another template.

        Raises:
            Conflict: in any case, so that everything is looked at again.
        """
        taken = await self._cluster.client.get(REPLICA_SET, name_of(made), namespace_of(made))
        reference = controller_of(taken)
        ours = reference is not None and reference["uid"] == uid_of(deployment)
        if not ours or not same(taken["spec"]["template"], made["spec"]["template"]):
            collisions = deployment.get("status", {}).get("collisionCount", 0) + 1
            await self._patch_status(deployment, {"status": {"collisionCount": collisions}})
        raise Conflict(409, "Conflict", f"{name_of(made)} exists already") from error

    async def _resize(self, sets: Sets, one: Object, replicas: int) -> bool:
        """Give a set a size, and what it has to know about the Deployment's; True if its size has changed."""
        before = sizes.size(one)
        noted = revisions.size_annotations(sets.deployment)
        patch = merge_patch(annotations_of(one), {**annotations_of(one), **noted})
        if before == replicas and not (patch and replicas):
            return False
        body = {"metadata": {"annotations": patch or {}}, "spec": {"replicas": replicas}}
        sets.put(await self._patch_set(one, body))
        if before != replicas:
            self._scaled(sets.deployment, one, before, replicas)
        return before != replicas

    def _scaled(self, deployment: Object, one: Object, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        text = f"Scaled {direction} replica set {name_of(one)} from {before} to {after}"
        self._context.recorder.record(DEPLOYMENT, deployment, "ScalingReplicaSet", text)

    async def _patch_set(self, one: Object, body: Object) -> Object:
        metadata = {**body["metadata"], "resourceVersion": resource_version_of(one)}
        return await self._cluster.patch(
            REPLICA_SET, name_of(one), namespace_of(one), {**body, "metadata": metadata}
        )

    async def _set_condition(self, sets: Sets, entry: Object | None, annotations: dict[str, str]) -> None:
        """Write a condition and annotations into the Deployment, if that changes it."""
        old = list(sets.deployment.get("status", {}).get("conditions") or ())
        new = old
        if entry is not None and progress.has_deadline(sets.deployment):
            new = progress.set_condition(old, entry)
        known = annotations_of(sets.deployment)
        changed = {key: value for key, value in annotations.items() if known.get(key) != value}
        if new != old or changed:
            body = {"metadata": {"annotations": changed}, "status": {"conditions": new}}
            sets.deployment = await self._patch_status(sets.deployment, body)

    async def _write_status(self, sets: Sets, *, rolling: bool) -> None:
        now = self._context.now()
        status = progress.status_of(sets.deployment, sets.all, sets.new, now, rolling=rolling)
        patch = merge_patch(sets.deployment.get("status") or {}, status)
        if patch is not None:
            sets.deployment = await self._patch_status(sets.deployment, {"status": patch})

    async def _patch_status(self, deployment: Object, body: Object) -> Object:
        """Patch `/status`, where annotations are taken too without a new generation."""
        version = {"resourceVersion": resource_version_of(deployment)}
        body = {**body, "metadata": {**body.get("metadata", {}), **version}}
        name, namespace = name_of(deployment), namespace_of(deployment)
        return await self._cluster.patch(DEPLOYMENT, name, namespace, body, subresource="status")


def is_saturated(new: Object, replicas: int) -> bool:
    """Does the current set have all the pods, available, that the Deployment had before it was scaled?"""
    desired = annotations_of(new).get(sizes.DESIRED, "")
    return sizes.size(new) == replicas and desired == str(replicas) and sizes.available(new) == replicas
