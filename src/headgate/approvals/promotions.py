r"""Promotions: a plan that was decided on, carried out in one revision per subdir, and perhaps undone.

planned --bytes here, applied--> applied --undo--> undone
   \------cannot be applied----> failed
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.approvals.judging import UNASKED, Opinion, judge_in
from headgate.approvals.pipelines import require_step
from headgate.approvals.plans import Item, ItemState, Plan
from headgate.audit.events import Action, record
from headgate.channels.catalog import get_channel
from headgate.channels.model import Channel
from headgate.conda.names import ArtifactName, ChannelName, Sha256, Subdir
from headgate.conda.records import to_wire
from headgate.conda.shards import Shard
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.tables_promotions import promotion as promotion_table
from headgate.db.tables_promotions import promotion_item
from headgate.intake.hosted import Add, Change, apply_together, delete
from headgate.intake.lapsing import Prolong
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, NotFound, Refused
from headgate.policy.verdicts import Verdict
from headgate.storage.local import BlobStore


class PromotionState(StrEnum):
    """Where a promotion stands. Stored."""

    PLANNED = "planned"
    APPLIED = "applied"
    FAILED = "failed"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion with what it brings; `wants` as they were asked for."""

    id: int
    source: ChannelName
    target: ChannelName
    wants: Sequence[str]
    platforms: Sequence[Subdir]
    comment: str
    state: PromotionState
    failure: str | None
    created_at: datetime
    created_by: str
    applied_at: datetime | None
    undone_at: datetime | None
    undone_by: str | None
    request: int | None = None
    """The request that it carries out."""
    approvers: Sequence[str] = ()
    ends_at: datetime | None = None
    """Until when what it brings stays."""
    items: Sequence[Item] = ()

    @property
    def new(self) -> list[Item]:
        """What the target gets, or got."""
        return [item for item in self.items if item.state is ItemState.NEW]

    @property
    def ending(self) -> list[Item]:
        """What the target had until a moment, and keeps for longer."""
        return [item for item in self.items if item.state is ItemState.ENDING]

    def brings(self, subdir: str, filename: str) -> bool:
        """Whether a file is among them."""
        return any((one.subdir, one.filename) == (subdir, filename) for one in self.new)


Follower = Callable[[AsyncConnection, Promotion, str | None], Awaitable[None]]
"""Told of a promotion that was applied, or why it could not be."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Who decided, why, in answer to which request, and until when."""

    actor: str
    comment: str = ""
    request: int | None = None
    approvers: Sequence[str] = ()
    ends_at: datetime | None = None


async def write_down(connection: AsyncConnection, plan: Plan, decided: Decided) -> int:
    """Write a plan down as decided, in the open transaction; its id. Raises as `PromotionService.create` does."""
    if plan.hindrances:
        raise Conflict("promotion-hindered", "Some files cannot pass.", plan.hindrances)
    wish = plan.wish
    if plan.is_empty:
        raise Conflict("promotion-empty", f"Channel {wish.target.name} has all of it already.")
    await require_step(connection, wish.source.name, wish.target.name)
    values = {
        "source": wish.source.name,
        "target": wish.target.name,
        "wants": list(wish.texts),
        "platforms": list(plan.platforms),
        "comment": decided.comment,
        "state": PromotionState.PLANNED,
        "created_at": clock.now(),
        "created_by": decided.actor,
        "request_id": decided.request,
        "approvers": list(decided.approvers),
        "ends_at": decided.ends_at,
    }
    made = await connection.execute(promotion_table.insert().values(values).returning(promotion_table.c.id))
    number: int = made.scalar_one()
    await connection.execute(promotion_item.insert(), [_row(number, item) for item in plan.items])
    detail = {"source": wish.source.name, "wants": list(wish.texts), "comment": decided.comment, "new": len(plan.new)}
    if decided.request is not None:
        detail |= {"request": decided.request, "approvers": list(decided.approvers)}
    await record(
        connection, Action.PROMOTION_CREATE, decided.actor, channel=wish.target.name, subject=str(number), **detail
    )
    return number


class PromotionService:
    """Decides on plans, and carries them out; each step one transaction with its audit events."""

    def __init__(self, database: Database, store: BlobStore, followers: Sequence[Follower] = ()) -> None:
        """`followers` are called in the transaction in which a promotion is applied or has failed."""
        self._database = database
        self._store = store
        self._followers = followers

    async def create(self, actor: str, plan: Plan, *, digest: str | None = None, comment: str = "") -> int:
        """Write the plan down as decided; its id.

        `digest` is that of the plan which the person saw. Raises Conflict `promotion-outdated` when the facts are others
        now, `promotion-hindered` with a reason for each file that cannot pass, `promotion-empty` when nothing is new, `stage-skipped` when a
        pipeline forbids that way.
        """
        if digest is not None and digest != plan.digest:
            raise Conflict(
                "promotion-outdated", "Something changed since the preview. Look at a new one, and decide again."
            )
        async with self._database.write() as connection:
            return await write_down(connection, plan, Decided(actor, comment))

    async def apply(self, number: int) -> Promotion:
        """Put what is new into the target's index, all of it or nothing; its bytes must be here.

        Doing it again changes nothing. Raises NotFound `promotion-unknown` or `channel-unknown`, Conflict
        `artifact-exists`, `artifact-deleted` or `promotion-state`, Refused `policy-blocked` for what the target's policy
        holds back by now.
        """
        async with self._database.write() as connection:
            found = await _get(connection, number, is_locked=True)
            if found.state is PromotionState.APPLIED:
                return found
            if found.state is not PromotionState.PLANNED:
                raise Conflict("promotion-state", f"Promotion {number} is {found.state}; it cannot be applied.")
            target = await get_channel(connection, found.target)
            await _refuse_withheld(connection, target, found)
            about = await _about(connection, found)
            changes: list[Change] = [
                self._add(found, item, about.get((item.subdir, item.filename))) for item in found.new
            ]
            changes += [self._prolong(found, item) for item in found.ending]
            await apply_together(connection, target, changes, f"promotion {number} from {found.source}")
            await _set(connection, number, state=PromotionState.APPLIED, applied_at=clock.now(), failure=None)
            await record(
                connection, Action.PROMOTION_APPLY, found.created_by, channel=found.target, subject=str(number),
                source=found.source, files=len(found.new), comment=found.comment, request=found.request,
                approvers=list(found.approvers),
            )  # fmt: skip
            for told in self._followers:
                await told(connection, found, None)
        return await self.get(number)

    async def fail(self, number: int, failure: str) -> None:
        """Write down why a planned promotion could not be applied."""
        async with self._database.write() as connection:
            found = await _get(connection, number, is_locked=True)
            if found.state is PromotionState.PLANNED:
                await _set(connection, number, state=PromotionState.FAILED, failure=failure)
                for told in self._followers:
                    await told(connection, found, failure)

    async def undo(self, actor: str, number: int, kept: Sequence[tuple[str, str]] = ()) -> None:
        """Take out of the target what the promotion brought, but for the (subdir, file name) of `kept`.

        Raises NotFound `promotion-unknown`, Conflict `promotion-state` unless it is applied.
        """
        async with self._database.write() as connection:
            found = await _get(connection, number, is_locked=True)
            if found.state is not PromotionState.APPLIED:
                raise Conflict("promotion-state", f"Promotion {number} is {found.state}; only applied ones are undone.")
            target = await get_channel(connection, found.target)
            there = await _still_there(connection, target, found) - await _prolonged(connection, found)
            changes = [
                delete(actor, item.subdir, ArtifactName.parse(item.filename))
                for item in found.new
                if (item.subdir, item.filename) in there and (item.subdir, item.filename) not in kept
            ]
            await apply_together(connection, target, changes, f"promotion {number} undone")
            await _shorten(connection, target, found)
            await _set(connection, number, state=PromotionState.UNDONE, undone_at=clock.now(), undone_by=actor)
            await record(
                connection, Action.PROMOTION_UNDO, actor, channel=found.target, subject=str(number),
                files=len(changes), kept=["/".join(one) for one in kept],
            )  # fmt: skip

    async def get(self, number: int) -> Promotion:
        """One promotion with its items. Raises NotFound `promotion-unknown`."""
        async with self._database.read() as connection:
            return await _get(connection, number)

    async def list_promotions(self, *, before: int | None, limit: int) -> list[Promotion]:
        """The newest first, without their items; only those with a smaller id than `before`."""
        columns = promotion_table.c
        statement = select(promotion_table).order_by(columns.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(columns.id < before)
        async with self._database.read() as connection:
            return [_promotion(row, ()) for row in await connection.execute(statement)]

    def _prolong(self, promotion: Promotion, item: Item) -> Prolong:
        return Prolong(
            actor=promotion.created_by, subdir=item.subdir, artifact=ArtifactName.parse(item.filename),
            ends_at=promotion.ends_at, cause=f"promotion {promotion.id}",
        )  # fmt: skip

    def _add(self, promotion: Promotion, item: Item, about: dict[str, Any] | None) -> Add:
        return Add(
            actor=promotion.created_by,
            subdir=item.subdir,
            artifact=ArtifactName.parse(item.filename),
            sha256=Sha256(item.record["sha256"]),
            size_bytes=item.size_bytes,
            record=item.record,
            about=about,
            store=self._store,
            origin=f"promotion {promotion.id} from {promotion.source}",
            action=Action.ARTIFACT_PROMOTE,
            ends_at=promotion.ends_at,
        )


async def _get(connection: AsyncConnection, number: int, *, is_locked: bool = False) -> Promotion:
    statement: Select[Any] = select(promotion_table).where(promotion_table.c.id == number)
    row = (await connection.execute(statement.with_for_update() if is_locked else statement)).first()
    if row is None:
        raise NotFound("promotion-unknown", f"There is no promotion {number}.")
    columns = promotion_item.c
    rows = select(promotion_item).where(columns.promotion_id == number)
    items = await connection.execute(rows.order_by(columns.subdir, columns.filename))
    return _promotion(
        row,
        [
            Item(
                Subdir(one.subdir),
                one.filename,
                ItemState(one.state),
                one.is_asked,
                msgspec.json.decode(one.record, type=dict),
                UNASKED if one.opinion is None else msgspec.json.decode(one.opinion, type=Opinion),
                one.ended_at,
            )
            for one in items
        ],
    )


def _promotion(row: Row[Any], items: Sequence[Item]) -> Promotion:
    return Promotion(
        id=row.id,
        source=ChannelName(row.source),
        target=ChannelName(row.target),
        wants=row.wants,
        platforms=[Subdir(platform) for platform in row.platforms],
        comment=row.comment,
        state=PromotionState(row.state),
        failure=row.failure,
        created_at=row.created_at,
        created_by=row.created_by,
        applied_at=row.applied_at,
        undone_at=row.undone_at,
        undone_by=row.undone_by,
        request=row.request_id,
        approvers=row.approvers or (),
        ends_at=row.ends_at,
        items=items,
    )


def _row(number: int, item: Item) -> dict[str, Any]:
    return {
        "promotion_id": number,
        "subdir": item.subdir,
        "filename": item.filename,
        "state": item.state,
        "is_asked": item.is_asked,
        "record": msgspec.json.encode(item.record),
        "opinion": msgspec.json.encode(item.opinion),
        "ended_at": item.ends_at,
    }


async def _set(connection: AsyncConnection, number: int, **values: Any) -> None:
    await connection.execute(update(promotion_table).where(promotion_table.c.id == number).values(values))


async def _refuse_withheld(connection: AsyncConnection, target: Channel, promotion: Promotion) -> None:
    """Raises Refused `policy-blocked` with a reason for each file that the target's policy holds back at this moment."""
    shards: dict[str, dict[str, Shard]] = {}
    for item in promotion.new:
        name, wire = ArtifactName.parse(item.filename).name, to_wire(item.record)
        shard = shards.setdefault(item.subdir, {}).setdefault(name, Shard(packages={}, conda={}))
        (shard.conda if item.filename.endswith(".conda") else shard.packages)[item.filename] = wire
    reasons = []
    for subdir, some in shards.items():
        judgements = await judge_in(connection, target, subdir, some)
        for evaluation in judgements.evaluations[subdir].values():
            held = {one: verdict for one, verdict in evaluation.held_back.items() if promotion.brings(subdir, one)}
            reasons += [f"{subdir}/{one}: {why}" for one, verdict in held.items() for why in _sentences(verdict)]
    if reasons:
        raise Refused("policy-blocked", f"Policy of {target.name} holds back some files by now: {reasons[0]}", reasons)


def _sentences(verdict: Verdict) -> list[str]:
    return [one.sentence for one in verdict.reasons if not one.outcome.is_passing]


async def _about(connection: AsyncConnection, promotion: Promotion) -> dict[tuple[str, str], dict[str, Any] | None]:
    """What the source keeps of each archive's about.json, where it holds the file."""
    return {place: about for place, (_, about) in (await _held(connection, promotion.source)).items()}


async def _still_there(connection: AsyncConnection, target: Channel, promotion: Promotion) -> set[tuple[str, str]]:
    """Files of the target that are not deleted and still have the bytes that were promoted."""
    held = await _held(connection, target.name)
    return {
        (item.subdir, item.filename)
        for item in promotion.new
        if held.get((item.subdir, item.filename), ("", None))[0] == item.record["sha256"]
    }


async def _prolonged(connection: AsyncConnection, promotion: Promotion) -> set[tuple[str, str]]:
    """Files that later promotions let stay: they are no longer this one's to take away."""
    columns, items = promotion_table.c, promotion_item.c
    rows = await connection.execute(
        select(items.subdir, items.filename)
        .join(promotion_table, columns.id == items.promotion_id)
        .where(
            columns.target == promotion.target,
            columns.id > promotion.id,
            columns.state == PromotionState.APPLIED,
            items.state == ItemState.ENDING,
        )
    )
    return {(row.subdir, row.filename) for row in rows}


async def _shorten(connection: AsyncConnection, target: Channel, promotion: Promotion) -> None:
    """Let what a promotion only prolonged end when it would have ended."""
    columns = tables.artifact.c
    for item in promotion.ending:
        state = target.subdirs.get(item.subdir)
        if state is not None:
            chosen = (columns.subdir_id == state.id) & (columns.filename == item.filename)
            await connection.execute(update(tables.artifact).where(chosen).values(ends_at=item.ends_at))


async def _held(connection: AsyncConnection, channel: str) -> dict[tuple[str, str], tuple[str, dict[str, Any] | None]]:
    columns = tables.artifact.c
    rows = await connection.execute(
        select(tables.subdir.c.name, columns.filename, columns.sha256, columns.about)
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .join(tables.channel, tables.channel.c.id == tables.subdir.c.channel_id)
        .where(tables.channel.c.name == channel, columns.status != "deleted")
    )
    return {(row.name, row.filename): (row.sha256, row.about) for row in rows}
