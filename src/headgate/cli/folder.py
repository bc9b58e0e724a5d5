"""Making a data folder ready: settings, database, administrator, two channels.

The administrator comes last: a folder that has one is initialised, and one that was left half-made is completed.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from headgate.access.secrets import generate_password
from headgate.bootstrap import Core, Place, open_place, open_sealer, opened_core
from headgate.channels.mirrors import Mirror
from headgate.channels.model import ChannelKind, Privacy
from headgate.channels.sealing import seal_mirrors
from headgate.cli.settings_file import render_settings
from headgate.conda.names import ChannelName
from headgate.db import tables
from headgate.db.migrate import migrate
from headgate.http.masking import mask_url
from headgate.jobs.engine import migrate_jobs
from headgate.kernel.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from headgate.storage.local import disk_errors
from headgate.storage.paths import DataFolder

ADMINISTRATOR = "admin"
MIRROR, HOSTED = ChannelName("unapproved-conda"), ChannelName("approved-conda")
DEFAULT_UPSTREAM = "https://conda.anaconda.org/conda-forge"
_ACTOR = "headgate init"


@dataclass(frozen=True, slots=True)
class Founding:
    """What `initialise` did: nothing, when the folder was ready; `password` is the one it made up."""

    is_new: bool
    password: str | None = None


def create_folder(root: Path, upstream: str) -> Place:
    """Make what is missing of the folders and the settings file, and read the settings.

    Raises Invalid `settings-invalid` or `url-invalid`, Unavailable `storage-failed`.
    """
    roots = _file_roots(upstream)
    folder = DataFolder(root.resolve())
    with disk_errors():
        is_empty = not folder.root.exists() or not any(folder.root.iterdir())
        folder.create()
        if is_empty:
            folder.root.chmod(0o700)
        if not folder.settings.exists():
            folder.settings.write_text(render_settings(roots), encoding="utf-8")
            folder.settings.chmod(0o600)
    return open_place(folder.root)


def open_initialised(root: Path) -> Place:
    """The settings of a data folder that must be there already. Raises NotFound `folder-unknown`."""
    folder = DataFolder(root.resolve())
    if not folder.root.is_dir():
        raise NotFound("folder-unknown", f"There is no data folder {folder.root}. `headgate init --data` makes one.")
    place = open_place(folder.root)
    if place.settings.database.url is None and not folder.database.exists():
        raise NotFound(
            "folder-unknown", f"{folder.root} is no data folder: it has no database. `headgate init --data` makes one."
        )
    return place


async def upgrade(place: Place) -> None:
    """Bring both databases to this version. Raises Unavailable `schema-newer`."""
    async with opened_core(place) as core:
        await migrate(core.database)
        await seal_mirrors(core.database, open_sealer(place))
    await migrate_jobs(place.jobs_url)


async def initialise(place: Place, upstream: str) -> Founding:
    """Database, channels, administrator; nothing on a folder that has an administrator."""
    async with opened_core(place) as core:
        if await _is_initialised(core):
            return Founding(is_new=False)
        _check_reachable(place, upstream)
        await migrate(core.database)
        await migrate_jobs(place.jobs_url)
        await _create_channels(core, upstream)
        return await _create_administrator(core)


async def _is_initialised(core: Core) -> bool:
    async with core.database.read() as connection:
        name = tables.user.name
        if not await connection.run_sync(lambda known: inspect(known).has_table(name)):
            return False
    return await core.access.has_users()


async def _create_channels(core: Core, upstream: str) -> None:
    # A conflict is what an earlier start left that was cut short.
    with contextlib.suppress(Conflict):
        followed = [Mirror(None, (upstream,))]
        await core.channels.create(_ACTOR, MIRROR, ChannelKind.MIRROR, privacy=Privacy.PUBLIC, mirrors=followed)
    with contextlib.suppress(Conflict):
        await core.channels.create(_ACTOR, HOSTED, ChannelKind.HOSTED, privacy=Privacy.PUBLIC)


async def _create_administrator(core: Core) -> Founding:
    given = os.environ.get("HEADGATE_ADMIN_PASSWORD")
    password = given or generate_password()
    await core.access.create_user(_ACTOR, ADMINISTRATOR, password, is_administrator=True)
    return Founding(is_new=True, password=None if given else password)


def _file_roots(upstream: str) -> list[Path]:
    """The folder that a file URL names. Raises Invalid `url-invalid` on what is no channel's URL."""
    if not upstream.startswith(("http://", "https://", "file:///")):
        raise Invalid("url-invalid", f"{mask_url(upstream)} is not an http, https or file:/// URL of a channel.")
    return [Path(unquote(urlsplit(upstream).path))] if upstream.startswith("file:") else []


def _check_reachable(place: Place, upstream: str) -> None:
    roots = place.settings.upstream.file_roots
    for path in _file_roots(upstream):
        if not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
            raise Refused("file-root", f"Add {path} to upstream.file_roots in {place.folder.settings} first.")


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turn a database that cannot be reached into a sentence."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise Unavailable(
            "database-failed", f"The database cannot be used: {cause[0] if cause else type(error).__name__}"
        ) from error


@contextlib.contextmanager
def held(folder: DataFolder) -> Iterator[None]:
    """Keep every other process from serving or founding this folder. Raises Conflict `folder-in-use`.

    The lock is the process's own (POSIX record lock): it goes with it, and children do not inherit it.
    """
    with disk_errors():
        file = folder.lock.open("a")
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("folder-in-use", f"Another process serves {folder.root} already.") from error
        yield
