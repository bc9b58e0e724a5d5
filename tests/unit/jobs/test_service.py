"""Jobs are asked for once, rest when told to, and are forgotten in the end."""

from datetime import timedelta

import pytest

from headgate.bootstrap import Services
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, NotFound


async def test_same_sync_is_asked_for_once(services: Services) -> None:
    first = await services.jobs.sync("ada", "outer")
    assert await services.jobs.sync("bob", "outer") == first
    assert await services.jobs.sync("bob", "outer", ["noarch"]) != first
    assert (await services.jobs.get_job(first)).actor == "ada"


async def test_paused_job_rests_until_resumed(services: Services) -> None:
    job_id = await services.jobs.sync("ada", "outer")
    paused = await services.jobs.pause("ada", job_id)
    assert (paused.state, paused.has_ended, paused.ended_at) == ("paused", True, None)
    with pytest.raises(Conflict) as refused:
        await services.jobs.pause("ada", job_id)
    assert refused.value.code == "job-ended"
    resumed = await services.jobs.resume("ada", job_id)
    assert resumed.state == "queued"
    assert await services.jobs.sync("bob", "outer") == job_id, "it is the one that does this"
    with pytest.raises(Conflict) as refused:
        await services.jobs.resume("ada", job_id)
    assert refused.value.code == "job-not-paused"


async def test_stop_ends_a_paused_job(services: Services) -> None:
    job_id = await services.jobs.sync("ada", "outer")
    await services.jobs.pause("ada", job_id)
    assert (await services.jobs.stop("ada", job_id)).state == "stopped"
    assert (await services.jobs.retry("ada", job_id)).state == "queued"


async def test_resumed_job_does_not_run_beside_its_successor(services: Services) -> None:
    job_id = await services.jobs.sync("ada", "outer")
    await services.jobs.pause("ada", job_id)
    await services.jobs.sync("ada", "outer")
    with pytest.raises(Conflict) as refused:
        await services.jobs.resume("ada", job_id)
    assert refused.value.code == "job-running-already"


async def test_own_id_happens_once(services: Services) -> None:
    assert await services.jobs.sync("schedule", "outer", job_id="tick-1") == "tick-1"
    await services.jobs.stop("ada", "tick-1")
    await services.jobs.sync("schedule", "outer", job_id="tick-1")
    assert [job.state for job in await services.jobs.list_jobs()] == ["stopped"]


async def test_old_jobs_are_forgotten_with_their_lines(services: Services) -> None:
    ended = await services.jobs.sync("ada", "outer")
    await services.jobs.stop("ada", ended)
    waiting = await services.jobs.sync("ada", "other")
    assert await services.jobs.forget_old(clock.now() - timedelta(days=1)) == 0
    assert await services.jobs.forget_old(clock.now() + timedelta(minutes=1)) == 1
    assert [job.id for job in await services.jobs.list_jobs()] == [waiting]
    with pytest.raises(NotFound):
        await services.jobs.read_log(ended)
