"""Backups of this server: made, listed, and missed when there should be one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from headgate.audit.events import Action, record
from headgate.backups.copying import Copier, Order, Tally
from headgate.backups.papers import ELSEWHERE
from headgate.backups.shelf import Backup, BackupShelf
from headgate.channels.schedules import ScheduleSettings
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.schema import read_revision
from headgate.db.turns import Turns
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, HeadgateError, Unavailable
from headgate.storage.paths import DataFolder

COLLECTING = "blobs"
"""The turn in which bytes that nobody names are removed: not while a copied database still names them."""
_KEY = "backup"
_WATCH_S = 0.5
_ANSWER_S = 5.0
_PATIENCE = timedelta(days=1)

Report = Callable[[Tally], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """Where backups go (None: nowhere), how many stay, and when one is made by itself."""

    folder: Path | None = None
    keep: int = 7
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)

    def next_after(self, moment: datetime) -> datetime | None:
        """When one is made by itself for the first time after a moment; None: never."""
        return None if self.folder is None else self.schedule.next_after(moment, _KEY)

    def interval(self, now: datetime) -> timedelta | None:
        """The time between the next two that are made by themselves."""
        first = self.next_after(now)
        second = None if first is None else self.next_after(first)
        return None if first is None or second is None else second - first


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with backups: those that are there, the newest first, and what somebody should do about them."""

    is_on: bool
    backups: tuple[Backup, ...] = ()
    next_at: datetime | None = None
    concern: str | None = None
    """One sentence, when there is no backup as there should be."""
    elsewhere: str | None = None
    """One sentence, when part of the data is not in any of them."""


class BackupService:
    """Makes and lists backups."""

    def __init__(self, data: DataFolder, database: Database, plan: BackupPlan) -> None:
        self._data = data
        self._database = database
        self._turns = Turns(database, data.workers)
        self.plan = plan
        self._looking: asyncio.Task[list[Backup]] | None = None

    def check_on(self) -> BackupShelf:
        """Where they are. Raises Conflict `backup-off` where no folder is set."""
        if self.plan.folder is None:
            raise Conflict(
                "backup-off", "Backups are off: set backup.folder in headgate.toml to a folder outside the data folder."
            )
        return BackupShelf(self.plan.folder)

    async def standing(self) -> Standing:
        """What is there, and what is not as it should be; a folder that cannot be read is a concern, not an error."""
        elsewhere = None if self._database.is_sqlite else ELSEWHERE
        if self.plan.folder is None:
            return Standing(is_on=False, elsewhere=elsewhere)
        now = clock.now()
        backups: tuple[Backup, ...] = ()
        try:
            backups = tuple(await self._look(self.check_on()))
            concern = await self._concern(backups, now)
        except HeadgateError as error:
            concern = error.message
        return Standing(True, backups, self.plan.next_after(now), concern, elsewhere)

    async def _look(self, shelf: BackupShelf) -> list[Backup]:
        """One look at a time: a network disk that hangs takes one thread, and not those that everybody needs.

        Raises Unavailable `backup-folder-silent` and what `list_backups` raises.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(shelf.list_backups))
        looking = self._looking
        if not (await asyncio.wait({looking}, timeout=_ANSWER_S))[0]:
            what = f"The backup folder {shelf.folder} does not answer: look at the disk or the mount behind it."
            raise Unavailable("backup-folder-silent", what)
        return looking.result()

    async def make(
        self, actor: str, job: str, report: Report, settle: Callable[[Path, str], None]
    ) -> tuple[Backup, list[str]]:
        """Make one, and remove those that are too many; the backup, and the names of those that went.

        Cancelled, it leaves nothing; begun again after a kill, it finds what it had finished. Raises Conflict
        `backup-off`, and Unavailable as `Copier.run` does; that leaves an audit event as well.
        """
        shelf = self.check_on()
        try:
            async with self._turns.take(COLLECTING):
                await asyncio.to_thread(shelf.sweep)
                made = await asyncio.to_thread(shelf.find_of_job, job)
                if made is None:
                    made = await self._copy(shelf, actor, job, report, settle)
                gone = await asyncio.to_thread(shelf.prune, self.plan.keep)
        except HeadgateError as error:
            await self._record_failure(actor, job, error)
            raise
        await self._record(made, gone)
        return made, gone

    async def _copy(
        self, shelf: BackupShelf, actor: str, job: str, report: Report, settle: Callable[[Path, str], None]
    ) -> Backup:
        is_elsewhere = not self._database.is_sqlite
        schema = await self._read_schema() if is_elsewhere else None
        copier = Copier(self._data, shelf, Order(actor, job, is_elsewhere, schema, settle))
        copying = asyncio.create_task(asyncio.to_thread(copier.run))
        try:
            while not (await asyncio.wait({copying}, timeout=_WATCH_S))[0]:
                await report(copier.tally)
        except BaseException:
            copier.stop()
            await asyncio.gather(copying, return_exceptions=True)
            raise
        await report(copier.tally)
        return copying.result()

    async def _read_schema(self) -> str | None:
        async with self._database.read() as connection:
            return await connection.run_sync(read_revision)

    async def _record(self, made: Backup, gone: list[str]) -> None:
        """The event of a backup, once."""
        event, paper = tables.audit_event.c, made.paper
        told = select(event.id).where(event.action == Action.BACKUP_MAKE, event.subject == made.name).limit(1)
        async with self._database.write() as connection:
            if (await connection.execute(told)).first() is None:
                await record(
                    connection, Action.BACKUP_MAKE, paper.by, subject=made.name, folder=str(made.folder),
                    files=paper.files, bytes=paper.bytes, linked_files=paper.linked_files,
                    missing_files=paper.missing_files, removed=gone, job=paper.job,
                )  # fmt: skip

    async def _record_failure(self, actor: str, job: str, error: HeadgateError) -> None:
        async with self._database.write() as connection:
            await record(connection, Action.BACKUP_FAIL, actor, subject=job, code=error.code, reason=error.message)

    async def _concern(self, backups: tuple[Backup, ...], now: datetime) -> str | None:
        if not backups:
            if not await self._is_older(_PATIENCE, now):
                return None
            return f"There is no backup in {self.plan.folder} yet: make one now, or set when with backup.cron."
        newest, interval = backups[0].paper.made_at, self.plan.interval(now)
        if interval is not None and now - newest > 2 * interval:
            return f"The newest backup is of {newest:%Y-%m-%d %H:%M} UTC, although one is due every {_words(interval)}."
        return None

    async def _is_older(self, age: timedelta, now: datetime) -> bool:
        """Whether this server has been written to for longer."""
        event = tables.audit_event.c
        async with self._database.read() as connection:
            first: Any = (await connection.execute(select(event.at).order_by(event.number).limit(1))).scalar()
        return first is not None and now - first > age


def _words(interval: timedelta) -> str:
    hours = interval.total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours > 48 else f"{hours:.0f} hours" if hours > 1 else "hour"
