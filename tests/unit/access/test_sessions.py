"""Sessions, on both databases: how long they last, and what ends them."""

from datetime import timedelta

import pytest
from sqlalchemy import event, select, update

from headgate.access.arrivals import Arrival, ArrivalService
from headgate.access.sessions import Beginning, Lifetime, Sessions, SessionService
from headgate.access.users import UserChange
from headgate.bootstrap import Services
from headgate.db import tables
from headgate.db.tables_sign_in import session
from headgate.kernel import clock
from headgate.kernel.errors import NotFound, Refused

PASSWORD = "a long enough password"
HERE = Beginning("192.0.2.1", "browser")


@pytest.fixture
async def writing(services: Services) -> SessionService:
    await services.core.access.users.create("test", "ada", PASSWORD)
    await services.core.access.users.create("test", "bob", PASSWORD)
    return services.core.sessions


@pytest.fixture
def sessions(services: Services) -> Sessions:
    return services.cookies.sessions


async def is_live(services: Services, text: str) -> bool:
    await services.snapshots.reload()
    return await services.cookies.sessions.find(text) is not None


async def set_times(services: Services, **ago: timedelta) -> None:
    values = {name: clock.now() - since for name, since in ago.items()}
    async with services.core.database.write() as connection:
        await connection.execute(update(session).values(values))
    services.snapshots._epochs.clear()


async def test_only_a_digest_is_kept(services: Services, writing: SessionService) -> None:
    text = await writing.begin("ada", HERE)
    async with services.core.database.read() as connection:
        row = (await connection.execute(select(session))).one()
    assert len(text) >= 43
    assert text.encode() not in bytes(row.digest)
    assert text not in str(tuple(row))
    assert await is_live(services, text)
    assert not await is_live(services, text + "x")
    assert not await is_live(services, row.digest.hex())


async def test_live_session_is_found_without_the_database(services: Services, writing: SessionService) -> None:
    text = await writing.begin("ada", HERE)
    assert await is_live(services, text)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(services.core.database.engine.sync_engine, "before_cursor_execute", note)
    for _ in range(3):
        assert await services.cookies.sessions.find(text) is not None
    assert asked == []


async def test_session_ends_when_old_or_idle(services: Services, writing: SessionService) -> None:
    text = await writing.begin("ada", HERE)
    await set_times(services, used_at=timedelta(hours=23))
    assert await is_live(services, text)
    await set_times(services, used_at=timedelta(hours=25))
    assert not await is_live(services, text)
    second = await writing.begin("ada", HERE)
    await set_times(services, expires_at=timedelta(seconds=1))
    assert not await is_live(services, second)
    assert await writing.list_sessions("ada") == []


async def test_use_is_noted_once_a_minute(services: Services, writing: SessionService, sessions: Sessions) -> None:
    text = await writing.begin("ada", HERE)
    await set_times(services, used_at=timedelta(minutes=5))
    assert await is_live(services, text)
    (noted,) = await writing.list_sessions("ada")
    assert clock.now() - noted.used_at < timedelta(minutes=1)
    await sessions.find(text)
    assert await writing.list_sessions("ada") == [noted]


async def test_session_used_elsewhere_is_not_idle_here(services: Services, writing: SessionService) -> None:
    """Another worker noted the use; this one's memory is old."""
    text = await writing.begin("ada", HERE)
    await set_times(services, used_at=timedelta(hours=30))
    here = Sessions(services.core.database, services.cookies.sessions._secret, Lifetime())
    async with services.core.database.read() as connection:
        await here.load(connection)
    await set_times(services, used_at=timedelta(minutes=2))
    assert await here.find(text) is not None


async def test_revoked_session_is_dead_even_before_word_of_it_has_come(
    services: Services, writing: SessionService, sessions: Sessions
) -> None:
    text = await writing.begin("ada", HERE)
    await set_times(services, used_at=timedelta(minutes=2))
    await services.snapshots.reload()
    await writing.end("test", "ada")
    assert await sessions.find(text) is None


@pytest.mark.parametrize(
    "change", [UserChange(password="another long password"), UserChange(is_disabled=True)], ids=["password", "disabled"]
)
async def test_change_of_the_user_ends_their_sessions_alone(
    services: Services, writing: SessionService, change: UserChange
) -> None:
    text, other = await writing.begin("ada", HERE), await writing.begin("bob", HERE)
    await services.core.access.users.change("test", "ada", change)
    assert not await is_live(services, text)
    assert await is_live(services, other)


async def test_other_changes_of_the_user_end_nothing(services: Services, writing: SessionService) -> None:
    text = await writing.begin("ada", HERE)
    await services.core.access.users.change("test", "ada", UserChange(is_administrator=True))
    assert await is_live(services, text)


async def test_deleted_and_dismissed_people_have_no_sessions(services: Services, writing: SessionService) -> None:
    text = await writing.begin("ada", HERE)
    await services.core.access.users.create("test", "root", PASSWORD, is_administrator=True)
    await services.core.access.users.delete("test", "ada")
    assert not await is_live(services, text)
    arrivals = ArrivalService(services.core.database)
    await arrivals.welcome(Arrival("ldap:corp", "1", "eve"))
    second = await writing.begin("eve", HERE)
    await arrivals.dismiss("ldap:corp", ())
    assert not await is_live(services, second)


async def test_disabled_user_begins_none(services: Services, writing: SessionService) -> None:
    await services.core.access.users.change("test", "ada", UserChange(is_disabled=True))
    with pytest.raises(Refused) as caught:
        await writing.begin("ada", HERE)
    assert caught.value.code == "user-disabled"


async def test_one_or_all_are_ended_and_written_down(services: Services, writing: SessionService) -> None:
    for _ in range(3):
        await writing.begin("ada", HERE)
    first = (await writing.list_sessions("ada"))[0]
    assert await writing.end("root", "ada", first.id) == 1
    with pytest.raises(NotFound) as caught:
        await writing.end("root", "ada", first.id)
    assert caught.value.code == "session-unknown"
    with pytest.raises(NotFound):
        await writing.end("root", "bob", (await writing.list_sessions("ada"))[0].id)
    assert await writing.end("root", "ada") == 2
    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        rows = await connection.execute(
            select(columns.action, columns.actor).where(columns.action.startswith("session:")).order_by(columns.id)
        )
        assert [tuple(row) for row in rows] == [("session:begin", "ada")] * 3 + [("session:end", "root")] * 3


async def test_id_token_is_sealed(services: Services, writing: SessionService) -> None:
    await writing.begin("ada", Beginning("192.0.2.1", "x", "oidc:sso", "sid", "the.id.token"))
    async with services.core.database.read() as connection:
        row = (await connection.execute(select(session))).one()
    assert "the.id.token" not in row.id_token
    assert await writing.find_id_token(row.id) == "the.id.token"
