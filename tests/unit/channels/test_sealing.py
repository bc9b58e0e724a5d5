"""What an earlier version kept in the clear is sealed at the start of this one."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import headgate.db.migrate
from headgate.bootstrap import Place, build_core, open_routes, open_sealer
from headgate.channels.catalog import get_channel
from headgate.channels.model import ChannelKind
from headgate.channels.sealing import seal_mirrors
from headgate.conda.names import ChannelName, Subdir
from headgate.db.engine import Database
from headgate.db.migrate import migrate

FIRST, SECOND = "https://me:s3cret@one.example/t/tok3n/main", "https://two.example/main"
SECRETS = (b"s3cret", b"tok3n", b"t0ld")


async def to_revision(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(headgate.db.migrate.__file__).parent / "migrations"))

    def downgrade(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

    async with database.write() as connection:
        await connection.run_sync(downgrade)


async def fill_old(database: Database, channel_id: int) -> None:
    """Two mirrors as the schema before names had them."""
    async with database.write() as connection:
        for number, url in enumerate((FIRST, SECOND), 1):
            await connection.execute(
                sa.text(
                    "INSERT INTO source (channel_id, position, kind, url, created_at) "
                    "VALUES (:channel, :position, 'upstream', :url, 0)"
                ),
                {"channel": channel_id, "position": number, "url": url},
            )
            for subdir, base in (("noarch", f"{url}/noarch/"), ("linux-64", "https://cdn.example/t/t0ld/x/")):
                await connection.execute(
                    sa.text(
                        "INSERT INTO source_subdir (source_id, name, base_url, info) "
                        "SELECT id, :name, :base, '{}' FROM source WHERE position = :position"
                    ),
                    {"name": subdir, "base": base, "position": number},
                )


async def everything(database: Database, folder: Path) -> bytes:
    """All that the database holds; on SQLite its files, free pages included."""
    if database.is_sqlite:
        return b"".join(path.read_bytes() for path in folder.glob("headgate.db*"))
    async with database.read() as connection:
        rows = [
            (await connection.execute(sa.text(f"SELECT * FROM {name}"))).all() for name in ("source", "source_subdir")
        ]
    return repr(rows).encode()


async def test_old_rows_get_names_and_end_sealed(place: Place) -> None:
    core, routes = build_core(place), open_routes(place)
    name = ChannelName("old")
    await core.channels.create("test", name, ChannelKind.MIRROR)
    async with core.database.read() as connection:
        number = (await get_channel(connection, name)).id
    await to_revision(core.database, "0006")
    await fill_old(core.database, number)
    await migrate(core.database)
    assert [secret in await everything(core.database, place.folder.root) for secret in SECRETS] == [True] * 3
    assert await seal_mirrors(core.database, open_sealer(place)) == 1
    assert await seal_mirrors(core.database, open_sealer(place)) == 0
    assert [secret in await everything(core.database, place.folder.root) for secret in SECRETS] == [False] * 3

    async with core.database.read() as connection:
        sources = (await get_channel(connection, name)).sources
        rows: Any = await connection.execute(sa.text("SELECT name, base_url FROM source_subdir ORDER BY id"))
        bases = [row.base_url for row in rows.all()]
    assert [source.name for source in sources] == ["main", "main-2"]
    assert [routes.of(source).urls for source in sources] == [(FIRST,), (SECOND,)]
    for source, kept in zip(sources, (bases[:2], bases[2:]), strict=True):
        route = routes.of(source)
        for subdir, base, expected in (
            ("noarch", kept[0], f"{route.urls[0]}/noarch/"),
            ("linux-64", kept[1], "https://cdn.example/t/t0ld/x/"),
        ):
            [root] = route.roots(Subdir(subdir))
            assert route.find_base(base, root) == expected
    await routes.close()
    await core.database.close()
