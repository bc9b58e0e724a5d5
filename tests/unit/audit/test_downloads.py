"""Downloads are counted once each, folded or not."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, inspect

from headgate.audit.access_log import Access, AccessLog
from headgate.audit.access_store import AccessStore
from headgate.audit.access_tables import SCHEMA, access_day
from headgate.audit.downloads import DayCount, DownloadCounts, FileCount
from headgate.audit.masking import Kind, Masking
from headgate.audit.room import open_store
from headgate.bootstrap import Place
from headgate.db.engine import Database
from headgate.kernel import clock

EVERYTHING = frozenset(Kind)


def access(filename: str = "pkg-1-0.conda", **given: object) -> Access:
    values = {
        "kind": Kind.DOWNLOAD, "method": "GET", "channel": "team", "subdir": "noarch", "filename": filename,
        "package": filename.partition("-")[0], "sha256": "ab" * 32, "who": "ada", "token": "ci", "address": "192.0.2.7",
        "agent": "pixi/0.40.0", "verdict": "allow", "status": 200, "size_bytes": 10,
    }  # fmt: skip
    return Access(**{**values, **given})  # type: ignore[arg-type]


@pytest.fixture
async def store(place: Place) -> AsyncIterator[AccessStore]:
    database = Database(place.database_url)
    store = open_store(database, place.folder.access_log)
    await store.open()
    yield store
    await store.close()
    await database.close()


def log_to(store: AccessStore, dropped: list[int] | None = None) -> AccessLog:
    return AccessLog(store, Masking(b"secret"), EVERYTHING, (dropped if dropped is not None else []).append)


async def write(store: AccessStore, *accesses: Access) -> None:
    log = log_to(store)
    for one in accesses:
        log.note(one)
    assert await log.flush()


async def test_counts_are_the_same_before_a_fold_after_it_and_half_way(store: AccessStore) -> None:
    counts, since = DownloadCounts(store), clock.now() - timedelta(days=1)
    await write(store, access(), access(), access("other-2-0.conda"))
    assert await counts.by_name("team", since) == {"pkg": 2, "other": 1}
    assert await store.fold() == 2
    assert await store.fold() == 0
    assert await counts.by_name("team", since) == {"pkg": 2, "other": 1}
    await write(store, access())
    assert await counts.by_name("team", since) == {"pkg": 3, "other": 1}
    assert await counts.by_file("team", since) == [
        FileCount("noarch", "pkg-1-0.conda", 3),
        FileCount("noarch", "other-2-0.conda", 1),
    ]
    assert await counts.by_file("team", since, "other") == [FileCount("noarch", "other-2-0.conda", 1)]


async def test_days_without_downloads_are_zero(store: AccessStore) -> None:
    counts, now = DownloadCounts(store), clock.now()
    await write(store, access(), access("pkg-2-0.conda"))
    series = await counts.daily("team", now - timedelta(days=2), name="pkg")
    assert [one.downloads for one in series[:-1]] == [0] * (len(series) - 1)
    assert series[-1] == DayCount(clock.now().date(), 2)
    alone = await counts.daily("team", now, filename="pkg-2-0.conda")
    assert sum(one.downloads for one in alone) == 1


async def test_only_whole_files_that_were_sent_are_downloads(store: AccessStore) -> None:
    await write(
        store, access(method="HEAD"), access(status=304), access(status=206), access(status=403),
        access(kind=Kind.INDEX), access(channel="elsewhere"), access(status=302),
    )  # fmt: skip
    assert await DownloadCounts(store).by_name("team", clock.now()) == {"pkg": 1}


async def test_what_is_old_is_forgotten_and_its_part_dropped(store: AccessStore) -> None:
    log = log_to(store)
    log.note(access())
    next(iter(log._waiting.values())).at -= 100 * 86_400_000
    log.note(access("new-1-0.conda"))
    assert await log.flush()
    await store.fold()
    await store.prune(timedelta(days=30), timedelta(days=365))
    counts = DownloadCounts(store)
    assert await counts.by_name("team", clock.now() - timedelta(days=200)) == {"pkg": 1, "new": 1}
    await store.prune(timedelta(days=30), timedelta(days=50))
    assert await counts.by_name("team", clock.now() - timedelta(days=200)) == {"new": 1}
    await write(store, access())
    assert await counts.by_name("team", clock.now()) == {"pkg": 1, "new": 1}


async def test_what_finds_no_room_is_counted_and_nobody_waits(
    store: AccessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.audit.access_log._MOST_WAITING", 2)
    dropped: list[int] = []
    log = log_to(store, dropped)
    for number in range(5):
        log.note(access(f"pkg{number}-1-0.conda"))
    log.note(access("pkg0-1-0.conda"))
    assert await log.flush()
    assert dropped == [3]
    assert await DownloadCounts(store).by_name("team", clock.now()) == {"pkg0": 2, "pkg1": 1}


async def test_a_log_that_lacks_an_index_gets_it_when_it_is_opened(store: AccessStore) -> None:
    def drop(connection: Connection) -> None:
        for index in access_day.indexes:
            index.drop(connection)

    def names(connection: Connection) -> set[str]:
        schema = None if connection.dialect.name == "sqlite" else SCHEMA
        return {str(one["name"]) for one in inspect(connection).get_indexes("access_day", schema=schema)}

    async with store.database.write() as connection:
        wanted = await connection.run_sync(names)
        await connection.run_sync(drop)
        assert not await connection.run_sync(names)
    await store.open()
    async with store.database.read() as connection:
        assert await connection.run_sync(names) == wanted
