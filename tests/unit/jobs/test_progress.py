"""Progress adds up over the parts of a job, and the lines of a job are bounded."""

from sqlalchemy import select

from headgate.bootstrap import Services
from headgate.db import tables
from headgate.jobs.progress import MAX_LINES, Amount, JobProgress


async def test_parts_add_up_and_the_rest_is_foretold(services: Services) -> None:
    progress = JobProgress(services.core.database, "one")
    await progress.report("a", "reading", Amount(1, 100), Amount(4, 400))
    await progress.report("b", "writing", Amount(1, 100), Amount(1, 400))
    await progress.flush()
    async with services.core.database.read() as connection:
        body = (await connection.execute(select(tables.job_progress.c.body))).scalar_one()
    assert (body["step"], body["done_items"], body["total_items"]) == ("reading; writing", 2, 5)
    assert (body["done_bytes"], body["total_bytes"]) == (200, 800)
    assert body["remaining_seconds"] >= body["elapsed_seconds"]


async def test_only_the_last_lines_are_kept(services: Services) -> None:
    progress = JobProgress(services.core.database, "one")
    other = JobProgress(services.core.database, "other")
    await other.say("mine stays")
    await other.flush()
    for start in range(0, MAX_LINES + 200, 100):
        for number in range(start, start + 100):
            await progress.say(f"line {number}")
        await progress.flush()
    columns = tables.job_line.c
    async with services.core.database.read() as connection:
        rows = await connection.execute(select(columns.job_id, columns.text).order_by(columns.id))
        lines = rows.all()
    mine = [text for job_id, text in lines if job_id == "one"]
    assert len(mine) <= MAX_LINES + 1
    assert mine[-1] == f"line {MAX_LINES + 199}"
    assert ("other", "mine stays") in lines
