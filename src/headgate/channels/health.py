"""What is not as it should be, as far as the database tells: mirrors that fail, feeds that are old, work that waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select

from headgate.advisories.feeds import Feed
from headgate.channels.signing import Signing
from headgate.db import tables
from headgate.db.engine import Database

_FEW_FREE_BYTES, _LEAST_FREE_BYTES = 10 << 30, 1 << 30
_OLD_FEED = timedelta(days=2)
_SOON = timedelta(days=30)


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: a sentence, and where more is to be seen (a path of ours) or what to do."""

    name: str
    level: Level
    sentence: str
    path: str | None = None


async def check_mirrors(database: Database) -> list[Check]:
    """One per subdir of a mirror whose last look failed."""
    channels, sources, places = tables.channel.c, tables.source.c, tables.source_subdir.c
    statement = (
        select(channels.name, sources.name.label("mirror"), places.name.label("subdir"), places.failure)
        .join(tables.source, sources.channel_id == channels.id)
        .join(tables.source_subdir, places.source_id == sources.id)
        .where(places.failure.is_not(None))
        .order_by(channels.name, sources.name, places.name)
    )
    async with database.read() as connection:
        failing = [
            Check(f"mirror {row.mirror} of {row.name}", Level.FAIL, f"{row.subdir}: {row.failure}")
            for row in await connection.execute(statement)
        ]
    return failing or [Check("mirrors", Level.OK, "Every mirror could be read when it was last looked at.")]


def check_feeds(feeds: list[Feed], now: datetime) -> list[Check]:
    """One per feed that failed or is old."""
    found = []
    for feed in feeds:
        if feed.failure is not None:
            found.append(Check(f"feed {feed.name}", Level.FAIL, feed.failure))
        elif feed.read_at is not None and now - feed.read_at > _OLD_FEED:
            found.append(
                Check(f"feed {feed.name}", Level.WARN, f"It was last read at {feed.read_at:%Y-%m-%d %H:%M} UTC.")
            )
    if not feeds:
        return [Check("feeds", Level.WARN, "No advisories are followed, so nothing is checked for vulnerabilities.")]
    return found or [Check("feeds", Level.OK, "Every feed was read lately.")]


def check_space(free_bytes: int, total_bytes: int) -> Check:
    """The disk of the data folder."""
    level = Level.OK if free_bytes >= _FEW_FREE_BYTES else Level.WARN if free_bytes >= _LEAST_FREE_BYTES else Level.FAIL
    sentence = f"{free_bytes / (1 << 30):.1f} GiB of {total_bytes / (1 << 30):.1f} GiB are free."
    return Check("disk space", level, sentence, "/admin/storage")


def check_backups(made_at: Sequence[datetime], concern: str | None, *, is_on: bool) -> Check:
    """How it stands with backups; `made_at`: of each, the newest first."""
    if not is_on:
        return Check("backups", Level.WARN, "Backups are off: set backup.folder in the settings.", "/admin/backups")
    if concern is not None:
        return Check("backups", Level.FAIL, concern, "/admin/backups")
    if not made_at:
        return Check("backups", Level.OK, "None is due yet.", "/admin/backups")
    return Check("backups", Level.OK, f"The newest is of {made_at[0]:%Y-%m-%d %H:%M} UTC.", "/admin/backups")


def check_signing(signing: Signing, now: datetime) -> Check | None:
    """Until when our own metadata hold; None where nothing is signed."""
    ends = [one.expires_at for one in (signing.root, signing.key_manager) if one is not None]
    if not ends:
        return None
    first = min(ends)
    level = Level.FAIL if first <= now else Level.WARN if first - now < _SOON else Level.OK
    return Check("signing", level, f"Our signing metadata hold until {first:%Y-%m-%d}.")


def check_stale(stale: int) -> Check:
    """Subdirs that are still to be judged again."""
    if stale:
        return Check(
            "policies", Level.WARN, f"{stale} subdirs are still to be judged again after a change.", "/admin/jobs"
        )
    return Check("policies", Level.OK, "Everything published has passed the policies as they are now.")


def check_failed(failed: int) -> Check:
    """Jobs that failed of late."""
    if failed:
        return Check("jobs", Level.WARN, f"{failed} of the last jobs failed.", "/admin/jobs?q=is:failed")
    return Check("jobs", Level.OK, "None of the last jobs failed.")
