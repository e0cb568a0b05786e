"""Jobs end well or badly, with our controllers and with the real ones."""

from typing import Any

import pytest

from flagger.kube.objects import JOB, POD, Object
from tests.sandbox.controllers.world import World, a_template, condition, until


def a_job(*, exit_code: int | None, **spec: Any) -> Object:
    """A Job `check` whose container exits with a code, or never."""
    orders = {} if exit_code is None else {"exit": str(exit_code)}
    template = a_template(app="check", **orders)
    template["spec"]["restartPolicy"] = "Never"
    return {"metadata": {"name": "check"}, "spec": {"template": template, **spec}}


async def ended(world: World, kind: str) -> Object:
    """The Job once it has a condition."""
    return await world.when(JOB, "check", lambda job: condition(job, kind)[0] == "True", f"the Job is {kind}")


async def test_completes(world: World) -> None:
    """All completions are reached, in parallel where allowed; status and Event say so."""
    await world.create(JOB, a_job(exit_code=0, completions=3, parallelism=2))

    job = await ended(world, "Complete")

    assert job["status"]["succeeded"] == 3
    assert "active" not in job["status"]
    assert job["status"]["completionTime"]
    assert (await world.events("Completed"))[0]["message"] == "Job completed"
    assert len(await world.all(POD)) == 3
    assert all(pod["metadata"]["labels"]["job-name"] == "check" for pod in await world.all(POD))


async def test_fails_at_the_back_off_limit(world: World) -> None:
    """A limit of 0 allows no second attempt; there is no completion time."""
    await world.create(JOB, a_job(exit_code=1, backoffLimit=0))

    job = await ended(world, "Failed")

    assert condition(job, "Failed") == ("True", "BackoffLimitExceeded")
    assert job["status"]["failed"] == 1
    assert "completionTime" not in job["status"]


async def test_fails_at_the_deadline(world: World) -> None:
    """What still runs is stopped; a deadline may be set, or moved, while it runs."""
    await world.create(JOB, a_job(exit_code=None))
    await world.when(JOB, "check", lambda job: job["status"].get("active") == 1, "it runs")
    await world.patch(JOB, "check", {"spec": {"activeDeadlineSeconds": 1}})

    job = await ended(world, "Failed")

    assert condition(job, "Failed") == ("True", "DeadlineExceeded")

    async def stopped() -> bool:
        return not await world.pods()

    await until(stopped, "no pod runs")


async def test_is_removed_when_its_time_is_over(world: World) -> None:
    """`ttlSecondsAfterFinished` deletes the Job and its pods."""
    job = await world.create(JOB, a_job(exit_code=0, ttlSecondsAfterFinished=0))
    if "ttlSecondsAfterFinished" not in job["spec"]:
        pytest.skip("this server is from before Kubernetes 1.21 and drops the field")

    await world.gone(JOB, "check")

    async def no_pods() -> bool:
        return not await world.pods()

    await until(no_pods, "its pods are gone")
