"""Environments that were approved into a channel, and which of them would miss files that leave it."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from headgate.approvals.plans import ItemState
from headgate.approvals.promotions import PromotionState
from headgate.db.engine import Database, chunks
from headgate.db.tables_promotions import promotion, promotion_item

_THERE = (ItemState.NEW, ItemState.PRESENT, ItemState.ENDING)


@dataclass(frozen=True, slots=True)
class Environment:
    """What one promotion brought, of which `missing` files would be gone; `request` is the one that asked for it."""

    promotion: int
    request: int | None
    wants: Sequence[str]
    applied_at: datetime
    missing: int


async def find_broken(database: Database, channel: str, leaving: Collection[tuple[str, str]]) -> list[Environment]:
    """The environments that would miss some of the files, (subdir, filename) each; who misses most stands first."""
    if not leaving:
        return []
    items, columns = promotion_item.c, promotion.c
    statement = (
        select(items.promotion_id, items.subdir, items.filename)
        .join(promotion, columns.id == items.promotion_id)
        .where(columns.target == channel, columns.state == PromotionState.APPLIED, items.state.in_(_THERE))
    )
    missing: Counter[int] = Counter()
    async with database.read() as connection:
        for row in await connection.execute(statement):
            if (row.subdir, row.filename) in leaving:
                missing[row.promotion_id] += 1
        found = [
            Environment(row.id, row.request_id, row.wants, row.applied_at, missing[row.id])
            for some in chunks(sorted(missing))
            for row in await connection.execute(select(promotion).where(columns.id.in_(some)))
        ]
    return sorted(found, key=lambda one: (-one.missing, one.promotion))
