"""What a channel's users are told of, as conda's notices.json: what is deprecated, and what policies changed lately."""

import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from headgate.channels.model import Channel
from headgate.channels.packages import Deprecation, read_deprecations
from headgate.channels.revising import CAUSE
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel import clock

_AGE = timedelta(days=7)
_MOST = 5


async def read_notices(database: Database, channel: Channel) -> list[dict[str, Any]]:
    """The newest notices of a channel, as conda reads them (CEP 6): deprecations, then changes."""
    columns = tables.revision.c
    statement = (
        select(tables.revision, tables.subdir.c.name)
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .where(
            tables.subdir.c.channel_id == channel.id,
            columns.cause.startswith(CAUSE, autoescape=True),
            columns.created_at > clock.now() - _AGE,
        )
        .order_by(columns.created_at.desc())
        .limit(_MOST)
    )
    async with database.read() as connection:
        rows = (await connection.execute(statement)).all()
        deprecated = await read_deprecations(connection, channel.id, _MOST)
    return [_of_deprecation(channel, one) for one in deprecated] + [
        {
            "id": f"{channel.name}-{row.name}-{row.number}",
            "message": (
                f"{channel.name}/{row.name}: {row.cause.removeprefix(CAUSE)}; packages of {row.changed} names came or "
                f"went. Ask `headgate why {channel.name} SPEC` about one that you miss."
            ),
            "level": "info",
            "created_at": row.created_at.isoformat(),
            "expires_at": (row.created_at + _AGE).isoformat(),
        }
        for row in rows
    ]


def _of_deprecation(channel: Channel, one: Deprecation) -> dict[str, Any]:
    digest = hashlib.sha256(f"{one.spec}\0{one.reason}".encode()).hexdigest()[:12]
    return {
        "id": f"{channel.name}-deprecated-{digest}",
        "message": f"{channel.name}: {one.spec} is deprecated. {one.reason}",
        "level": "warning",
        "created_at": one.created_at.isoformat(),
        "expires_at": (clock.now() + _AGE).isoformat(),
    }
