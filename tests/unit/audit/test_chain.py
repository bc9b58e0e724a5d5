"""Audit events are chained by whoever writes them, whatever else is written at the same time."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.checkpoints import Retention
from headgate.audit.events import Action, record
from headgate.audit.signing import Signer
from headgate.audit.trail import AuditTrail, Wanted
from headgate.bootstrap import Services
from headgate.db import tables, tables_audit
from headgate.db.engine import advance_epoch, savepoint
from headgate.kernel import clock
from headgate.kernel.errors import NotFound

SIGNER = Signer(b"s" * 32)
EVENT = tables.audit_event


def trail_of(services: Services) -> AuditTrail:
    return AuditTrail(services.core.database, SIGNER)


async def write(services: Services, *subjects: str, actor: str = "ada") -> None:
    async with services.core.database.write() as connection:
        for subject in subjects:
            await record(connection, Action.CHANNEL_SET, actor, channel="team", subject=subject, privacy="ä\u2028")


async def test_events_of_one_transaction_stand_in_their_order(services: Services) -> None:
    await write(services, "a", "b", "c")
    await write(services, "d")
    events = [event async for event in trail_of(services).iter_events(Wanted())]
    assert [(one.number, one.subject) for one in events] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    proof = await trail_of(services).verify()
    assert (proof.is_whole, proof.checked, proof.first, proof.last) == (True, 4, 1, 4)
    assert proof.head == events[-1].hash.hex()


async def test_many_writers_at_once_make_one_chain_and_no_deadlock(services: Services) -> None:
    async def one(number: int) -> None:
        async with services.core.database.write() as connection:
            if number % 2:
                await advance_epoch(connection, "channels")
            await record(connection, Action.CHANNEL_SET, f"writer-{number}", channel="team")
            if not number % 2:
                await advance_epoch(connection, "channels")

    await asyncio.gather(*(one(number) for number in range(30)))
    proof = await trail_of(services).verify()
    assert (proof.complaints, proof.checked) == ((), 30)


async def test_what_is_rolled_back_leaves_no_gap(services: Services) -> None:
    async def fail(
        within: AbstractAsyncContextManager[AsyncConnection | None], connection: AsyncConnection | None
    ) -> None:
        async with within as opened:
            await record(connection or opened, Action.CHANNEL_SET, "ada", subject="refused")  # type: ignore[arg-type]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail(services.core.database.write(), None)
    async with services.core.database.write() as connection:
        await record(connection, Action.CHANNEL_SET, "ada", subject="kept")
        with pytest.raises(RuntimeError):
            await fail(savepoint(connection), connection)
    events = [event async for event in trail_of(services).iter_events(Wanted())]
    assert [(one.number, one.subject) for one in events] == [(1, "kept")]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (update(EVENT).where(EVENT.c.number == 2).values(actor="eve"), "Event 2 is not what was recorded"),
        (update(EVENT).where(EVENT.c.number == 2).values(detail={"privacy": "x"}), "Event 2 is not what was recorded"),
        (delete(EVENT).where(EVENT.c.number == 2), "event 2"),
        (delete(EVENT).where(EVENT.c.number == 1), "event 1"),
        (delete(EVENT).where(EVENT.c.number >= 3), "The end is missing: events 3 to 4."),
    ],
)
async def test_a_change_by_hand_is_found(services: Services, statement: object, said: str) -> None:
    await write(services, "a", "b", "c", "d")
    async with services.core.database.write() as connection:
        await connection.execute(statement)  # type: ignore[call-overload]
    proof = await trail_of(services).verify()
    assert not proof.is_whole
    assert said in proof.complaints[0]


async def test_the_chain_holds_after_old_events_were_pruned(services: Services) -> None:
    await write(services, "a", "b", "c")
    async with services.core.database.write() as connection:
        past = clock.now() - timedelta(days=40)
        # as if they had been recorded then: the hash of an event covers its moment
        await connection.execute(delete(EVENT))
        await connection.execute(update(tables_audit.audit_chain).values(number=0, hash=b"\0" * 32))
    await _write_at(services, past, "a", "b")
    await write(services, "new")
    retention = Retention(services.core.database, SIGNER, timedelta(days=30))
    assert await retention.prune() == 2
    assert await retention.prune() == 0
    proof = await trail_of(services).verify()
    assert proof.complaints == ()
    assert (proof.first, proof.last) == (3, 4)
    assert proof.checkpoint is not None
    assert proof.checkpoint.number == 2
    newest = (await trail_of(services).list_events(Wanted(), limit=1))[0]
    assert (newest.action, newest.subject, newest.detail) == ("audit:prune", "2", {"events": 2})
    others = await AuditTrail(services.core.database, Signer(b"other" * 8)).verify()
    assert "another key" in others.complaints[0]
    async with services.core.database.write() as connection:
        await connection.execute(update(tables_audit.audit_checkpoint).values(hash=b"1" * 32))
    assert len((await trail_of(services).verify()).complaints) == 2


async def test_nothing_is_pruned_that_a_stream_has_not_got(services: Services) -> None:
    await _write_at(services, clock.now() - timedelta(days=40), "a", "b")
    await write(services, "new")
    async with services.core.database.write() as connection:
        values = {"name": "siem", "kind": "syslog", "settings": {}, "failures": 0, "created_by": "ada"}
        await connection.execute(
            tables_audit.audit_stream.insert().values(**values, sent_number=1, created_at=clock.now())
        )
    assert await Retention(services.core.database, SIGNER, timedelta(days=30)).prune() == 1
    async with services.core.database.read() as connection:
        assert (await connection.execute(select(func.min(EVENT.c.number)))).scalar_one() == 2


async def test_events_are_found_by_what_they_say(services: Services) -> None:
    await write(services, "a")
    await write(services, "b", actor="ada (token ci)")
    await write(services, "c", actor="adam")
    async with services.core.database.write() as connection:
        await record(connection, Action.POLICY_SET, "grace", subject="age")
    trail = trail_of(services)

    async def subjects(**wanted: object) -> list[str | None]:
        return [one.subject for one in await trail.list_events(Wanted(**wanted))]  # type: ignore[arg-type]

    assert await subjects(actor="ada") == ["b", "a"]
    assert await subjects(action="channel") == ["c", "b", "a"]
    assert await subjects(action="policy:set") == ["age"]
    assert await subjects(subject="c") == ["c"]
    assert await subjects(since=clock.now() + timedelta(minutes=1)) == []
    assert [one.number for one in await trail.list_events(Wanted(), before=3, limit=1)] == [2]
    assert (await trail.get_event(4)).actor == "grace"
    with pytest.raises(NotFound) as refused:
        await trail.get_event(5)
    assert refused.value.code == "event-unknown"


async def _write_at(services: Services, moment: object, *subjects: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headgate.audit.events.clock.now_ms", lambda: clock.to_ms(moment))  # type: ignore[arg-type]
        await write(services, *subjects)
