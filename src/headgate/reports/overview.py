"""Advisories by what they mean here: how many files of which channels each affects, worked out beside the pages.

Assessing a large channel for the first time takes a minute, so nobody waits for it: a question gets what is known as of the last
round, and starts the next one when channels or advisories have changed since.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from headgate.advisories.findings import HARMLESS, Finding
from headgate.channels.exposure import Exposure, SubdirCoverage
from headgate.channels.model import Channel
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Matter:
    """An advisory that affects something: its files by channel, how many of them stand, and how many were judged here.

    `open_files`: by channel, those that nobody has said it does not harm.
    """

    finding: Finding
    files: dict[str, int] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    standing: int = 0
    curated: int = 0
    open_files: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overview:
    """What a round came to."""

    matters: Mapping[str, Matter]
    coverage: Mapping[str, Sequence[SubdirCoverage]]
    made_at: datetime

    def seen_by(self, channels: Sequence[Channel]) -> list[Matter]:
        """The advisories that matter in some channels, the most important first."""
        names = {one.name for one in channels}
        return sorted((one for one in self.matters.values() if names & one.files.keys()), key=_importance)


class Overviews:
    """Keeps the newest overview of all channels."""

    def __init__(self, exposure: Exposure) -> None:
        self._exposure = exposure
        self._last: Overview | None = None
        self._key: tuple[Any, ...] = ()
        self._task: asyncio.Task[None] | None = None

    def find(self, channels: Sequence[Channel], knowledge: object) -> tuple[Overview | None, bool]:
        """The newest overview, if there is one yet, and whether a round is under way. `channels`: all of them."""
        key = (knowledge, *((one.id, one.revision) for one in channels))
        if key != self._key and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._look(list(channels), key))
        return self._last, self._task is not None and not self._task.done()

    async def close(self) -> None:
        """Leave a round that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def gather(self, channels: Sequence[Channel]) -> Overview:
        """An overview of some channels as they are now, however long it takes."""
        matters: dict[str, Matter] = {}
        coverage: dict[str, Sequence[SubdirCoverage]] = {}
        for channel in channels:
            name = channel.name
            coverage[name] = await self._exposure.coverage(channel)
            async for exposed in self._exposure.iter_affected(channel):
                for finding in exposed.findings:
                    one = matters.setdefault(finding.advisory, Matter(finding))
                    one.files[name] = one.files.get(name, 0) + 1
                    one.open_files[name] = one.open_files.get(name, 0) + (finding.status not in HARMLESS)
                    one.packages.add(exposed.name)
                    one.standing += exposed.is_affected
                    one.curated += finding.is_curated
        return Overview(matters, coverage, clock.now())

    async def _look(self, channels: list[Channel], key: tuple[Any, ...]) -> None:
        try:
            self._last = await self.gather(channels)
        except HeadgateError as error:  # a channel was deleted meanwhile: the next question begins anew
            log.info("overview_left", code=error.code)
            return
        self._key = key


def _importance(one: Matter) -> tuple[Any, ...]:
    finding = one.finding
    return (
        not one.standing,
        not finding.is_malicious,
        not finding.is_known_exploited,
        -(finding.epss or 0.0) if (finding.epss or 0.0) >= 0.1 else 0.0,
        -(finding.cvss or 0.0),
        finding.advisory,
    )
