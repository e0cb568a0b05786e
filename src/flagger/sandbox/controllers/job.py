"""Jobs: pods that are to end well a number of times. Indexed completion is not done."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from flagger.kube.apply import merge_patch
from flagger.kube.objects import (
    JOB,
    POD,
    Kind,
    Object,
    is_terminating,
    key_of,
    name_of,
    namespace_of,
    resource_version_of,
)
from flagger.sandbox.controllers import job_status
from flagger.sandbox.controllers.job_status import Count, Verdict, back_off, counted, finished_at
from flagger.sandbox.controllers.loop import Context
from flagger.sandbox.controllers.owned import Owned, owner_keys
from flagger.sandbox.controllers.pods import delete_pods, is_active, pod_from, stamp


class Jobs:
    """Creates the pods of Jobs, counts their ends, and removes Jobs whose time is over."""

    kinds: Sequence[Kind] = (JOB, POD)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._pods = Owned(context.cluster, POD)

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """The Job itself, or the owner of a pod."""
        return {key_of(obj) for obj in (old, new) if obj} if kind == JOB else owner_keys(JOB, old, new)

    async def reconcile(self, key: str) -> float | None:
        """Start what is to run, stop what is not, and tell how it stands."""
        namespace, _, name = key.partition("/")
        job = await self._cluster.get(JOB, namespace, name)
        if job is None or is_terminating(job):
            return None
        now = self._context.now()
        if (ended := finished_at(job)) is not None:
            return await self._remove_later(job, ended, now)
        pods = self._pods.of(job)
        if "startTime" not in (job.get("status") or {}) and not job["spec"].get("suspend"):
            job = await self._write(job, {**(job.get("status") or {}), "startTime": stamp(now)})
        verdict = job_status.verdict(job, counted(pods), now)
        if verdict is not None:
            await self._end(job, pods, verdict)
            return None
        wait = await self._size(job, pods, now)
        await self._write(job, job_status.status_of(job, counted(self._pods.of(job)), None, now))
        return earliest(wait, job_status.deadline_in(job, now))

    async def _remove_later(self, job: Object, ended: datetime, now: datetime) -> float | None:
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return None
        left = (ended + timedelta(seconds=ttl) - now).total_seconds()
        if left <= 0:
            await self._cluster.delete(JOB, name_of(job), namespace_of(job))
            return None
        return left

    async def _end(self, job: Object, pods: Sequence[Object], verdict: Verdict) -> None:
        """The Job is over: nothing of it goes on running."""
        await delete_pods(self._cluster, [pod for pod in pods if is_active(pod)])
        count = counted(pods)
        if not verdict.good:  # what had to be stopped counts as failed
            count = Count(active=0, succeeded=count.succeeded, failed=count.failed + count.active)
        await self._write(job, job_status.status_of(job, count, verdict, self._context.now()))
        record = self._context.recorder.record
        record(JOB, job, verdict.event, verdict.message or "Job completed", warning=not verdict.good)

    async def _size(self, job: Object, pods: Sequence[Object], now: datetime) -> float | None:
        """Have as many pods as may run now; seconds to wait before the next attempt after a failure."""
        active = [pod for pod in pods if is_active(pod)]
        wanted = job_status.parallel(job, counted(pods))
        if len(active) > wanted:
            await delete_pods(self._cluster, active[wanted:])
        missing = wanted - len(active)
        wait = back_off(pods, now) if missing > 0 else 0.0
        if wait > 0:
            return wait
        for _ in range(missing):
            pod = await self._cluster.create(POD, pod_from(job["spec"]["template"], JOB, job))
            self._context.recorder.record(JOB, job, "SuccessfulCreate", f"Created pod: {name_of(pod)}")
        return None

    async def _write(self, job: Object, status: Object) -> Object:
        patch = merge_patch(job.get("status") or {}, status)
        if patch is None:
            return job
        body = {"metadata": {"resourceVersion": resource_version_of(job)}, "status": patch}
        return await self._cluster.patch(JOB, name_of(job), namespace_of(job), body, subresource="status")


def earliest(*waits: float | None) -> float | None:
    """The shortest of several waits, None being no wait at all."""
    return min((wait for wait in waits if wait is not None), default=None)
