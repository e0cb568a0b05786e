"""What controllers conclude from a pod's status, and how they make and remove pods."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from flagger.kube.cluster import Cluster
from flagger.kube.errors import NotFound
from flagger.kube.objects import (
    POD,
    Kind,
    Object,
    is_terminating,
    name_of,
    namespace_of,
    owner_reference,
)

FINISHED = frozenset({"Succeeded", "Failed"})


def stamp(moment: datetime) -> str:
    """A time as the API writes it, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text)


def phase_of(pod: Object) -> str:
    """The pod's phase."""
    return str(pod.get("status", {}).get("phase", "Pending"))


def is_active(pod: Object) -> bool:
    """Does the pod count as one of its owner's?"""
    return not is_terminating(pod) and phase_of(pod) not in FINISHED


def condition_of(obj: Object, kind: str) -> Object | None:
    """A condition in the status by its type."""
    conditions = obj.get("status", {}).get("conditions") or ()
    return next((condition for condition in conditions if condition["type"] == kind), None)


def ready_since(pod: Object) -> datetime | None:
    """Since when the pod is ready; None if it is not."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition["status"] != "True":
        return None
    return time_of(condition.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])


def is_ready(pod: Object) -> bool:
    """Is the pod ready?"""
    return ready_since(pod) is not None


def available_in(pod: Object, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the pod counts as available, 0 if it does; None if it is not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    if not min_ready_seconds:
        return 0.0
    return max(0.0, (since + timedelta(seconds=min_ready_seconds) - now).total_seconds())


def pod_from(template: Object, kind: Kind, owner: Object) -> Object:
    """A pod made from a template for an owner, which gives it its name."""
    metadata = template.get("metadata") or {}
    made: Object = {
        "metadata": {
            "generateName": f"{name_of(owner)}-",
            "namespace": namespace_of(owner),
            "labels": dict(metadata.get("labels") or {}),
            "ownerReferences": [owner_reference(kind, owner)],
        },
        "spec": template["spec"],
    }
    for field in ("annotations", "finalizers"):
        if metadata.get(field):
            made["metadata"][field] = metadata[field]
    return made


async def delete_pods(cluster: Cluster, pods: Iterable[Object]) -> None:
    """Delete pods; one that is gone already is as good as deleted."""
    for pod in pods:
        try:
            await cluster.delete(POD, name_of(pod), namespace_of(pod))
        except NotFound:
            continue
