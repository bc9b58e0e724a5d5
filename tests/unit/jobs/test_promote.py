"""What the jobs process does for requests when it looks around."""

from datetime import timedelta

from sqlalchemy import update

from headgate.access.principals import Principal
from headgate.approvals.request_rows import Wanted
from headgate.approvals.requests import Asked
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName, Subdir
from headgate.db.tables_requests import request as request_table
from headgate.jobs.promote import look_after_requests
from headgate.kernel import clock
from tests.packages import package
from tests.unit.approvals.making import upload

DAN, NADIA = Principal("dan", user_id=1), Principal("nadia", user_id=2)


async def jobs(services: Services) -> list[tuple[str, str]]:
    return sorted((one.kind, one.state) for one in await services.jobs.list_jobs(limit=10))


async def asked(services: Services) -> int:
    for name in ("outside", "inside"):
        await services.core.channels.create("test", ChannelName(name), ChannelKind.HOSTED)
    await services.snapshots.reload()
    await upload(services, "outside", *package("app", subdir="linux-64"))
    wanted = Wanted(ChannelName("outside"), ChannelName("inside"), ["app"], [Subdir("linux-64")])
    return (await services.requests.create(DAN, Asked(wanted))).id


async def look(services: Services) -> None:
    await look_after_requests(services.core.database, services.jobs)


async def test_an_approved_request_without_a_job_gets_one_and_no_second(services: Services) -> None:
    number = await asked(services)
    await look(services)
    assert await jobs(services) == []
    wanted = (await services.requests.get(number)).wanted
    approved = await services.requests.approve(NADIA, number, (await services.requests.look(wanted)).plan.digest)
    await look(services)
    await look(services)
    assert await jobs(services) == [("promote-artifacts", "queued")]
    await services.jobs.stop("ada", f"promotion-{approved.promotion}")
    await look(services)
    assert await jobs(services) == [("promote-artifacts", "stopped")], "what somebody stopped is not begun again"


async def test_requests_whose_time_is_over_are_given_to_a_job(services: Services) -> None:
    await asked(services)
    async with services.core.database.write() as connection:
        await connection.execute(update(request_table).values(expires_at=clock.now() - timedelta(seconds=1)))
    await look(services)
    await look(services)
    assert await jobs(services) == [("expire-requests", "queued")]
