"""What a client may have to wait for: the first sync of a subdir, a document of the newest revision."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from headgate.channels.catalog import Catalog
from headgate.channels.model import Channel, ChannelKind, Document, SourceKind
from headgate.channels.service import ChannelService
from headgate.conda.names import KNOWN_SUBDIRS, Subdir
from headgate.db.snapshots import Snapshots
from headgate.jobs.service import JobService
from headgate.kernel import clock
from headgate.kernel.errors import NotFound, Unavailable

_NOARCH, _USUAL = Subdir("noarch"), Subdir("linux-64")
_POLL_S = 0.02
_JOB_POLL_S = 0.1
_STALE_AFTER = timedelta(seconds=3)


class Freshness:
    """Asks for syncs and documents in the name of clients, each at most once at a time."""

    def __init__(
        self,
        catalog: Catalog,
        snapshots: Snapshots,
        channels: ChannelService,
        jobs: JobService,
        *,
        recheck_s: float,
        first_sync_wait_s: float,
    ) -> None:
        self._channels = channels
        self._catalog = catalog
        self._snapshots = snapshots
        self._jobs = jobs
        self._recheck_s = recheck_s
        self._first_sync_wait_s = first_sync_wait_s
        self._asked: dict[tuple[int, str], float] = {}
        self._absent: dict[tuple[int, str], float] = {}
        self._tasks: set[asyncio.Task[str]] = set()

    async def close(self) -> None:
        """Wait for what is being asked for in the background."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def notice(self, channel: Channel, subdir: str) -> None:
        """A client looks at this index: see to it that its upstreams have been looked at lately, in the background."""
        for mirror in self._mirrors(channel):
            key = (mirror.id, subdir)
            if (
                subdir in mirror.subdirs
                and time.monotonic() - self._asked.get(key, -self._recheck_s) >= self._recheck_s
            ):
                self._asked[key] = time.monotonic()
                task = asyncio.create_task(self._jobs.sync("headgate", mirror.name, [subdir]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def is_first(self, channel: Channel, subdir: Subdir) -> bool:
        """True when the subdir is not there, or a mirror behind it has never been read."""
        return subdir not in channel.subdirs or any(
            subdir not in mirror.subdirs and self._may_have(mirror, subdir) for mirror in self._mirrors(channel)
        )

    async def first_sync(self, channel: Channel, subdir: Subdir) -> Channel:
        """The channel once it has the subdir: mirrors that never saw it are synced while the client waits.

        Raises NotFound `subdir-unknown`, Unavailable `first-sync-running` when that takes too long.
        """
        waiting = [
            mirror
            for mirror in self._mirrors(channel)
            if subdir not in mirror.subdirs and self._may_have(mirror, subdir)
        ]
        deadline = time.monotonic() + self._first_sync_wait_s
        for mirror in waiting:
            await self._finished(await self._jobs.sync("headgate", mirror.name, [subdir]), deadline, mirror, subdir)
        if channel.kind is not ChannelKind.MIRROR and subdir in KNOWN_SUBDIRS:
            # A 404 would be remembered by clients for days, and the first upload may come tomorrow.
            await self._channels.open_subdir(channel, subdir)
        await self._snapshots.reload()
        self._absent.update({(mirror.id, subdir): time.monotonic() for mirror in waiting})
        now = self._catalog.get(channel.name)
        if subdir not in now.subdirs:
            raise NotFound("subdir-unknown", f"Channel {channel.name} has no {subdir}.")
        return now

    async def read_first(self, channel: Channel, platforms: Sequence[Subdir]) -> Channel:
        """The channel once each of the platforms, and noarch, was read if it can be; without any, the usual one.

        Raises Unavailable as `first_sync` does.
        """
        known = [Subdir(name) for name in channel.subdirs]
        for subdir in (*(platforms or known or [_USUAL]), _NOARCH):
            if self.is_first(channel, subdir):
                with contextlib.suppress(NotFound):
                    channel = await self.first_sync(channel, subdir)
        return channel

    async def document(self, channel: Channel, subdir: str, name: str) -> Document:
        """The document at its newest revision, or the one before it when the newest takes long to render.

        Raises Unavailable `document-rendering` when there is none yet.
        """
        found = channel.documents.get((subdir, name))
        revision, revised_at = _newest(channel, subdir)
        if found is not None and found.revision >= revision:
            return found
        await self._jobs.publish(channel.name, subdir, name)
        if found is not None and clock.now() - revised_at > _STALE_AFTER:
            return found

        def look() -> Document | None:
            now = self._catalog.find(channel.name)
            document = None if now is None else now.documents.get((subdir, name))
            if document is None:
                return None
            is_new = document.revision >= revision
            return document if is_new or clock.now() - revised_at > _STALE_AFTER else None

        document = await self._poll(look, time.monotonic() + self._first_sync_wait_s)
        if document is None:
            raise Unavailable("document-rendering", f"{name} is being rendered for the first time. Ask again.")
        return document

    def _mirrors(self, channel: Channel) -> list[Channel]:
        """The channel if it is a mirror, and the mirrors among its members at any depth."""
        if channel.kind is ChannelKind.MIRROR:
            return [channel]
        members = (self._catalog.find(source.member or "") for source in channel.sources)
        return [mirror for member in members if member is not None for mirror in self._mirrors(member)]

    def _may_have(self, mirror: Channel, subdir: Subdir) -> bool:
        lately = time.monotonic() - self._absent.get((mirror.id, subdir), -self._recheck_s) < self._recheck_s
        named = [
            KNOWN_SUBDIRS if source.subdirs is None else source.subdirs
            for source in mirror.sources
            if source.kind is SourceKind.UPSTREAM
        ]
        return not lately and any(subdir in offered for offered in named)

    async def _finished(self, job_id: str, deadline: float, mirror: Channel, subdir: str) -> None:
        async def poll() -> bool:
            return (await self._jobs.get_job(job_id)).has_ended

        while not await poll():
            if time.monotonic() > deadline:
                raise Unavailable(
                    "first-sync-running",
                    f"{mirror.name}/{subdir} is being read for the first time. Ask again in a while.",
                )
            await asyncio.sleep(_JOB_POLL_S)
        job = await self._jobs.get_job(job_id)
        if job.failure is not None:
            raise Unavailable("upstream-failed", job.failure)

    async def _poll(self, look: Callable[[], Document | None], deadline: float) -> Document | None:
        found = look()
        while found is None and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
            if not self._snapshots.is_current():
                await self._snapshots.refresh()
            found = look()
        return found


def _newest(channel: Channel, subdir: str) -> tuple[int, datetime]:
    if subdir:
        state = channel.subdirs[subdir]
        return state.revision, state.revised_at
    return channel.revision, max(state.revised_at for state in channel.subdirs.values())
