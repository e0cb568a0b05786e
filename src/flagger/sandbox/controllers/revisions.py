"""The ReplicaSets of a Deployment as its history: which is current, how they are numbered and annotated; pure."""

from collections.abc import Sequence

from flagger.kube.objects import (
    DEPLOYMENT,
    Object,
    annotations_of,
    name_of,
    namespace_of,
    owner_reference,
)
from flagger.sandbox.controllers.sizes import DESIRED, MAXIMUM, limits_of
from flagger.sandbox.controllers.template import HASH, same, template_hash

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
NOT_COPIED = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAXIMUM}
)


def by_age(sets: Sequence[Object]) -> list[Object]:
    """Oldest first."""
    return sorted(sets, key=lambda one: (one["metadata"].get("creationTimestamp", ""), name_of(one)))


def current(deployment: Object, sets: Sequence[Object]) -> Object | None:
    """The set of the Deployment's present template; the oldest, should there be several."""
    template = deployment["spec"]["template"]
    return next((one for one in by_age(sets) if same(one["spec"]["template"], template)), None)


def revision_of(obj: Object) -> int:
    """The revision of a set, 0 if it has none."""
    text = annotations_of(obj).get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def next_revision(old: Sequence[Object]) -> int:
    """The revision that the current set must have at least, seeing the others."""
    return max((revision_of(one) for one in old), default=0) + 1


def size_annotations(deployment: Object) -> dict[str, str]:
    """What a set has to know about the Deployment's size, for scaling in proportion later."""
    limits = limits_of(deployment)
    return {DESIRED: str(limits.replicas), MAXIMUM: str(limits.replicas + limits.surge)}


def annotations_for(deployment: Object, known: Object | None, revision: int) -> dict[str, str]:
    """The annotations of the current set: the Deployment's, and its number in the history.

    A set that is taken up again gets a new number and remembers the old ones.
    """
    copied = {key: value for key, value in annotations_of(deployment).items() if key not in NOT_COPIED}
    if known is None:
        return {**copied, REVISION: str(revision), **size_annotations(deployment)}
    wanted = {**annotations_of(known), **copied}
    before = revision_of(known)
    if before < revision:
        wanted[REVISION] = str(revision)
        if before:
            history = [number for number in wanted.get(HISTORY, "").split(",") if number]
            wanted[HISTORY] = ",".join([*history, str(before)])
    return wanted


def new_set(deployment: Object, revision: int, replicas: int) -> Object:
    """A ReplicaSet for the Deployment's present template."""
    spec = deployment["spec"]
    collisions = deployment.get("status", {}).get("collisionCount", 0)
    suffix = template_hash(spec["template"], collisions)
    metadata = spec["template"].get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), HASH: suffix}
    selector = spec["selector"]
    return {
        "metadata": {
            "name": f"{name_of(deployment)}-{suffix}",
            "namespace": namespace_of(deployment),
            "labels": labels,
            "annotations": annotations_for(deployment, None, revision),
            "ownerReferences": [owner_reference(DEPLOYMENT, deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH: suffix}},
            "template": {**spec["template"], "metadata": {**metadata, "labels": labels}},
        },
    }


def outdated(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """The old sets that the history has no room for: empty ones, those with the lowest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit", 10)
    alive = sorted((one for one in old if "deletionTimestamp" not in one["metadata"]), key=revision_of)
    surplus = alive[: max(0, len(alive) - limit)]
    return [one for one in surplus if is_empty(one)]


def is_empty(one: Object) -> bool:
    """Has the set no pods, and is it not going to get any?"""
    status = one.get("status", {})
    seen = status.get("observedGeneration", 0) >= one["metadata"].get("generation", 1)
    return seen and not status.get("replicas", 0) and not one["spec"].get("replicas", 1)
