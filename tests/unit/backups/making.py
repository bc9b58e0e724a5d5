"""What tests of backups do."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

from headgate.backups.copying import Tally
from headgate.backups.papers import PAPER, Paper, name_of, render_paper
from headgate.backups.service import BackupService
from headgate.backups.shelf import Backup
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName, Sha256
from headgate.jobs.backups import forget_job
from tests.packages import package


async def report(_tally: Tally) -> None:
    """Nobody watches."""


async def make(backups: BackupService, job: str) -> tuple[Backup, list[str]]:
    """Make a backup, as a job of that id does."""
    return await backups.make("ada", job, report, forget_job)


async def upload(services: Services, name: str) -> Sha256:
    """Give a channel a file; its sha256."""
    team = ChannelName("team")
    if services.catalog.find(team) is None:
        await services.core.channels.create("test", team, ChannelKind.HOSTED)
        await services.snapshots.reload()
    filename, data = package(name, content=name.encode() * 1000)

    async def body() -> AsyncIterator[bytes]:
        yield data

    taken = await services.uploads.take("test", services.catalog.get(team), filename, body())
    await services.snapshots.reload()
    return taken.sha256


def put(folder: Path, moment: datetime, *, is_whole: bool = True, job: str = "") -> Path:
    """A backup of that moment with nothing in it."""
    paper = Paper(is_whole=is_whole, made_at=moment, by="ada", job=job, version="1", schema_revision=None)
    place = folder / (name_of(moment) if is_whole else f"{name_of(moment)}.part")
    place.mkdir()
    (place / PAPER).write_bytes(render_paper(paper))
    return place
