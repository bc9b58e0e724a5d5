"""What the doctor looks at. Nothing here changes anything that lasts."""

import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, func, select

from headgate.backups.shelf import BackupShelf
from headgate.bootstrap import Core, Place, open_routes, opened_core
from headgate.channels.catalog import read_channels
from headgate.channels.model import SourceKind
from headgate.cli.folder import database_errors, open_initialised
from headgate.db import tables
from headgate.db.migrate import known_revisions
from headgate.db.schema import read_revision
from headgate.http.client import Outgoing
from headgate.http.masking import mask_url
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError
from headgate.storage.local import disk_errors, move_durably
from headgate.storage.paths import DataFolder

_LEAST_FREE_BYTES, _FEW_FREE_BYTES = 1 << 30, 10 << 30
_MOST_SKEW_S = 60.0
_INDEXES = ("repodata_shards.msgpack.zst", "repodata.json.zst", "repodata.json")


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and what to do when that is not good."""

    check: str
    state: State
    sentence: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


async def examine(root: Path) -> list[Finding]:
    """Every check that can be made; without settings or a database, those that need none."""
    try:
        place = open_initialised(root)
    except HeadgateError as error:
        return [Finding("settings", State.FAIL, error.message, "Correct what is named, then look again.")]
    findings = [Finding("settings", State.OK, f"{place.folder.settings} is understood.")]
    findings += [*_storage(place.folder), _space(place.folder), *_backups(place)]
    try:
        with database_errors():
            findings += [one async for one in _with_database(place)]
    except HeadgateError as error:
        findings.append(Finding("database", State.FAIL, error.message, "See that the database is there and runs."))
    return findings


async def _with_database(place: Place) -> AsyncIterator[Finding]:
    async with opened_core(place) as core:
        schema = await _schema(core)
        yield schema
        yield _jobs(place)
        if schema.state is State.FAIL:
            return
        yield await _clock(core)
        async for finding in _upstreams(core):
            yield finding


def _storage(folder: DataFolder) -> Iterator[Finding]:
    for path, most in ((folder.root, 0o700), (folder.secret, 0o600)):
        if path.exists():
            yield _permissions(path, most)
    probe = folder.incoming / f"{secrets.token_hex(8)}.probe"
    renamed = probe.with_suffix(".renamed")
    try:
        with disk_errors():
            with probe.open("wb") as file:
                file.write(b"headgate")
                file.flush()
                os.fsync(file.fileno())
            move_durably(probe, renamed)
            renamed.unlink()
    except HeadgateError as error:
        yield Finding(
            "storage", State.FAIL, error.message, f"{folder.root} must be on a local disk, and be the user's."
        )
        return
    yield Finding("storage", State.OK, f"{folder.root} can be written, flushed and renamed in.")


def _permissions(path: Path, most: int) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~most:
        state = State.WARN if path.is_dir() else State.FAIL
        return Finding("permissions", state, f"{path} has mode {mode:04o}.", f"chmod {most:o} {path}")
    return Finding("permissions", State.OK, f"{path} has mode {mode:04o}.")


def _space(folder: DataFolder) -> Finding:
    free = shutil.disk_usage(folder.root).free
    sentence = f"{free / (1 << 30):.1f} GiB are free below {folder.root}."
    if free >= _FEW_FREE_BYTES:
        return Finding("disk space", State.OK, sentence)
    state = State.WARN if free >= _LEAST_FREE_BYTES else State.FAIL
    return Finding("disk space", state, sentence, "Free some space, or move the data folder to a larger disk.")


def _backups(place: Place) -> Iterator[Finding]:
    """Nothing where they are off: other ways to keep a copy are as good."""
    folder = place.settings.backup.folder
    if folder is None:
        return
    try:
        backups = BackupShelf(folder).list_backups()
    except HeadgateError as error:
        yield Finding("backups", State.FAIL, error.message, "See that the folder is there, and is the user's.")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("backups", State.FAIL, f"{folder} cannot be written.", "Give it to the user of the server.")
    elif backups:
        made_at = backups[0].paper.made_at
        yield Finding(
            "backups", State.OK, f"{len(backups)} in {folder}; the newest is of {made_at:%Y-%m-%d %H:%M} UTC."
        )
    else:
        yield Finding("backups", State.WARN, f"There is none in {folder}.", "`headgate backup make --wait` makes one.")


async def _schema(core: Core) -> Finding:
    async with core.database.read() as connection:
        current = await connection.run_sync(read_revision)
    known = known_revisions()
    shown = core.database.url.render_as_string(hide_password=True)
    if current == known[0]:
        return Finding("database", State.OK, f"{shown} answers; its schema is {current}.")
    if current is None:
        return Finding("database", State.FAIL, f"{shown} has no tables.", "`headgate init` makes them.")
    if current in known:
        return Finding(
            "database", State.WARN, f"{shown} has the older schema {current}.", "The next start brings it up to date."
        )
    return Finding(
        "database", State.FAIL, f"{shown} has schema {current}, which is newer.", "Start the version that wrote it."
    )


def _jobs(place: Place) -> Finding:
    if place.settings.database.url is None and not place.folder.jobs.exists():
        return Finding("jobs database", State.WARN, f"{place.folder.jobs} is not there.", "The next start makes it.")
    engine = create_engine(place.jobs_url)
    try:
        with database_errors(), engine.connect() as connection:
            connection.execute(select(1))
    except HeadgateError as error:
        return Finding("jobs database", State.FAIL, error.message, "Put it back from a backup, or remove it.")
    finally:
        engine.dispose()
    return Finding("jobs database", State.OK, "It answers.")


async def _clock(core: Core) -> Finding:
    """Against the database server's clock, and against the newest audit event: time must not run backwards."""
    async with core.database.read() as connection:
        newest = (await connection.execute(select(func.max(tables.audit_event.c.at)))).scalar_one_or_none()
        other = None if core.database.is_sqlite else (await connection.execute(select(func.now()))).scalar_one()
    now = clock.now()
    if newest is not None and (newest - now).total_seconds() > _MOST_SKEW_S:
        return _skewed(f"The newest audit event is of {newest:%Y-%m-%d %H:%M:%S} UTC, which is still to come.")
    if other is not None and abs((other - now).total_seconds()) > _MOST_SKEW_S:
        return _skewed(f"The database's clock shows {other:%Y-%m-%d %H:%M:%S} UTC, this machine's {now:%H:%M:%S}.")
    return Finding("clock", State.OK, f"It shows {now:%Y-%m-%d %H:%M:%S} UTC.")


def _skewed(sentence: str) -> Finding:
    return Finding("clock", State.WARN, sentence, "Set the clock of this machine by NTP.")


async def _upstreams(core: Core) -> AsyncIterator[Finding]:
    routes = open_routes(core.place)
    try:
        async with core.database.read() as connection:
            channels = await read_channels(connection)
            await routes.load(connection)
        for channel in channels:
            for source in channel.sources:
                if source.kind is SourceKind.UPSTREAM:
                    route = routes.of(source)
                    for url in route.urls:
                        yield await _upstream(route.outgoing, f"mirror {source.name} of {channel.name}", url)
    finally:
        await routes.close()


async def _upstream(outgoing: Outgoing, check: str, url: str) -> Finding:
    shown, status = mask_url(url), 0
    try:
        for name in _INDEXES:
            async with outgoing.open(f"{url.rstrip('/')}/noarch/{name}") as answer:
                status, date = answer.status, answer.headers.get("date")
            if status == 200:
                return _seen(check, f"{shown} has noarch/{name}.", date)
    except HeadgateError as error:
        remedy = "See that this machine may reach it: name, proxy, firewall, file_roots."
        return Finding(check, State.FAIL, error.message, remedy)
    state = State.FAIL if status in {401, 403, 407} or status >= 500 else State.WARN
    return Finding(check, state, f"{shown} answers {status} for its index.", "Check the URL and its credentials.")


def _seen(check: str, sentence: str, date: str | None) -> Finding:
    try:
        skew_s = abs((parsedate_to_datetime(date) - clock.now()).total_seconds()) if date else 0.0
    except (TypeError, ValueError):
        skew_s = 0.0
    if skew_s > _MOST_SKEW_S:
        sentence = f"{sentence} Its clock and this machine's are {skew_s:.0f} s apart."
        return Finding(check, State.WARN, sentence, "Set the clock of this machine by NTP.")
    return Finding(check, State.OK, sentence)
