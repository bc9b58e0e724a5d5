"""Feeds: where advisories come from, how old what they said is, and what became of the last attempt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from headgate.advisories.curating import end_claims
from headgate.advisories.importing import Importer, Outcome, get_feed_id, mark_failure
from headgate.advisories.store import (
    announce_ecosystems,
    announce_packages,
    drop_statements,
    next_revision,
    rebuild,
)
from headgate.audit.events import Action, record
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database, insert
from headgate.http.client import Outgoing
from headgate.http.masking import mask_url
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, HeadgateError, Invalid, NotFound, Unavailable

FEED_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_NAME = re.compile(FEED_NAME)
_URL = re.compile(r"(?:https?://[^\s\x00/@]+(?=[/?]|$)|file:///)[^\s\x00]*")
MAX_BYTES = 2 << 30
UPLOADS = "uploads"

KNOWN_URLS = MappingProxyType(
    {
        "osv-pypi": "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip",
        "osv-cran": "https://osv-vulnerabilities.storage.googleapis.com/CRAN/all.zip",
        "osv-bioconductor": "https://osv-vulnerabilities.storage.googleapis.com/Bioconductor/all.zip",
        "kev": "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        "epss": "https://epss.cyentia.com/epss_scores-current.csv.gz",
        "names": "https://raw.githubusercontent.com/prefix-dev/parselmouth/main/files/v0/compressed_mapping.json",
    }
)
"""Public feeds by the names they are best given; none is followed until somebody adds it."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as it stands. `read_at`: when it last was read with success, `failure`: why the last attempt was none."""

    name: str
    url: str | None
    interval_minutes: int
    is_whole: bool
    ecosystems: list[str]
    etag: str | None
    checked_at: datetime | None
    read_at: datetime | None
    failure: str | None
    note: str | None
    items: int

    @property
    def age_seconds(self) -> int | None:
        """How long ago it was read with success."""
        return None if self.read_at is None else int((clock.now() - self.read_at).total_seconds())

    def is_due(self, now: datetime) -> bool:
        """Whether it is time to look at its URL again."""
        if self.url is None:
            return False
        return self.checked_at is None or now - self.checked_at >= timedelta(minutes=self.interval_minutes)


class FeedService:
    """Adds, changes, removes and reads feeds."""

    def __init__(self, database: Database, importer: Importer) -> None:
        self._database = database
        self._importer = importer

    async def list_feeds(self) -> list[Feed]:
        """By name."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(tables.advisory_feed).order_by(tables.advisory_feed.c.name))
            return [_feed(row) for row in rows]

    async def get_feed(self, name: str) -> Feed:
        """Raises NotFound `feed-unknown`."""
        async with self._database.read() as connection:
            row = (
                await connection.execute(select(tables.advisory_feed).where(tables.advisory_feed.c.name == name))
            ).one_or_none()
        if row is None:
            raise NotFound("feed-unknown", f"There is no advisory feed {name}.")
        return _feed(row)

    async def add(
        self, actor: str, name: str, url: str | None, *, interval_minutes: int = 60, is_whole: bool = True
    ) -> None:
        """Add a feed; without a URL, one that only uploads fill.

        Raises Invalid `feed-name-invalid` or `url-invalid`, Conflict `feed-exists`.
        """
        _check(name, url)
        try:
            async with self._database.write() as connection:
                values = _new(name, url, interval_minutes, is_whole=is_whole)
                await connection.execute(tables.advisory_feed.insert().values(values))
                shown = None if url is None else mask_url(url)
                await record(connection, Action.ADVISORY_ADD_FEED, actor, subject=name, url=shown)
        except IntegrityError as error:
            raise Conflict("feed-exists", f"There is an advisory feed {name} already.") from error

    async def set_feed(
        self, actor: str, name: str, *, url: str | None = None, interval_minutes: int | None = None
    ) -> None:
        """Change what is given. Raises NotFound `feed-unknown`, Invalid `url-invalid`."""
        _check(name, url)
        values: dict[str, Any] = {} if interval_minutes is None else {"interval_minutes": interval_minutes}
        if url is not None:
            values |= {"url": url, "etag": None, "checked_at": None}
        async with self._database.write() as connection:
            number = await get_feed_id(connection, name)
            if values:
                chosen = tables.advisory_feed.c.id == number
                await connection.execute(update(tables.advisory_feed).where(chosen).values(values))
            shown = {"url": mask_url(url)} if url is not None else {}
            await record(
                connection, Action.ADVISORY_SET_FEED, actor, subject=name, interval_minutes=interval_minutes, **shown
            )

    async def remove(self, actor: str, name: str) -> None:
        """Remove a feed with all that only it says. Raises NotFound `feed-unknown`."""
        columns = tables.advisory_statement.c
        async with self._database.write() as connection:
            number = await get_feed_id(connection, name)
            rows = await connection.execute(select(columns.key).where(columns.feed_id == number))
            revision = await next_revision(connection)
            ids = await drop_statements(connection, number, [row[0] for row in rows])
            changed = await rebuild(connection, ids, revision)
            await announce_packages(connection, changed.packages)
            await end_claims(connection, actor, name)
            feeds = tables.advisory_feed.c
            covered = await connection.execute(select(feeds.ecosystems).where(feeds.id == number))
            await announce_ecosystems(connection, covered.scalar_one())
            await connection.execute(delete(tables.advisory_feed).where(feeds.id == number))
            await record(connection, Action.ADVISORY_REMOVE_FEED, actor, subject=name, advisories=len(ids))

    async def take(self, actor: str, name: str, path: Path, *, is_whole: bool = False) -> Outcome:
        """Read a file into a feed, which is made when there is none of that name.

        Raises Invalid `feed-invalid` or `feed-name-invalid`.
        """
        _check(name, None)
        async with self._database.write() as connection:
            statement = insert(connection, tables.advisory_feed).values(_new(name, None, 60, is_whole=is_whole))
            await connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
        return await self._importer.run(actor, name, path, is_whole=is_whole)

    async def fetch(self, actor: str, name: str, outgoing: Outgoing, scratch: Path) -> Outcome:
        """Ask a feed's URL for what is new, and read it. What was known stays when that fails.

        Raises NotFound `feed-unknown`, Conflict `feed-without-url`, Unavailable, Invalid `feed-invalid`.
        """
        feed = await self.get_feed(name)
        if feed.url is None:
            raise Conflict("feed-without-url", f"The advisory feed {name} has no URL; upload its files.")
        target = scratch / f"feed-{name}.part"
        try:
            etag = await _download(outgoing, feed, target)
            if etag is None:
                await self._unchanged(name)
                return Outcome(name, statements=feed.items)
            return await self._importer.run(actor, name, target, is_whole=feed.is_whole, etag=etag or None)
        except HeadgateError as error:
            async with self._database.write() as connection:
                await mark_failure(connection, name, error.message)
            raise
        finally:
            target.unlink(missing_ok=True)

    async def _unchanged(self, name: str) -> None:
        values = {"checked_at": clock.now(), "read_at": clock.now(), "failure": None}
        async with self._database.write() as connection:
            await next_revision(connection)
            await connection.execute(
                update(tables.advisory_feed).where(tables.advisory_feed.c.name == name).values(values)
            )


async def _download(outgoing: Outgoing, feed: Feed, target: Path) -> str | None:
    """The ETag of what now lies at `target` ("" without one); None when nothing is new."""
    assert feed.url is not None
    headers = {} if feed.etag is None else {"If-None-Match": feed.etag}
    async with outgoing.open(feed.url, headers=headers) as answer:
        if answer.status == 304:
            return None
        if answer.status != 200:
            raise Unavailable("feed-unavailable", f"{answer.url} answered {answer.status}.")
        size = 0
        with target.open("wb") as file:
            async for piece in answer.chunks():
                size += len(piece)
                answer.check_size(size, MAX_BYTES)
                file.write(piece)
        return answer.headers.get("ETag", "")


def due(feeds: Sequence[Feed]) -> list[str]:
    """Names of the feeds whose URL is to be asked now."""
    now = clock.now()
    return [one.name for one in feeds if one.is_due(now)]


def _check(name: str, url: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(
            "feed-name-invalid", f"{name[:64]!r} is no name for a feed: use lower-case letters, digits, '.', '_', '-'."
        )
    if url is not None and not (len(url) <= 2_000 and _URL.fullmatch(url)):
        raise Invalid("url-invalid", f"{mask_url(url[:200])!r} is not an http, https or file URL without a password.")


def _new(name: str, url: str | None, interval_minutes: int, *, is_whole: bool) -> dict[str, Any]:
    return {
        "name": name, "url": url, "interval_minutes": interval_minutes, "is_whole": is_whole, "ecosystems": [],
        "items": 0, "created_at": clock.now(),
    }  # fmt: skip


def _feed(row: Any) -> Feed:
    return Feed(
        row.name, row.url, row.interval_minutes, row.is_whole, row.ecosystems, row.etag, row.checked_at, row.read_at,
        row.failure, row.note, row.items,
    )  # fmt: skip
