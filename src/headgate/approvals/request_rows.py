"""Requests as they are kept: read with all that belongs to them, and saved as decisions left them."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, Select, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.approvals.plans import Wish
from headgate.approvals.states import RequestState, Standing
from headgate.channels.catalog import Catalog
from headgate.conda.names import ChannelName, Subdir
from headgate.db.engine import chunks, insert
from headgate.db.tables_requests import request as request_table
from headgate.db.tables_requests import request_person, request_remark, request_vote
from headgate.kernel import clock
from headgate.kernel.errors import NotFound


@dataclass(frozen=True, slots=True)
class Limits:
    """In what an approval is less than what was asked for: texts of wants left out, with the reason, and an end."""

    left_out: Sequence[str] = ()
    left_out_why: str = ""
    ends_at: datetime | None = None

    def told(self, comment: str) -> str:
        """The comment of such an approval with what limits it, in words."""
        less = f"All but {', '.join(self.left_out)}: {self.left_out_why}" if self.left_out else ""
        until = f"Until {self.ends_at:%Y-%m-%d %H:%M} UTC." if self.ends_at else ""
        said = comment if not comment or comment[-1] in ".!?" or not (less or until) else f"{comment}."
        return " ".join(one for one in (said, until, less) if one)

    def as_json(self) -> dict[str, Any]:
        """What the audit trail says of it; nothing where nothing is limited."""
        found: dict[str, Any] = {}
        if self.left_out:
            found |= {"left_out": list(self.left_out)[:100], "left_out_why": self.left_out_why}
        if self.ends_at is not None:
            found["ends_at"] = self.ends_at.isoformat()
        return found

    def holds_at(self, moment: datetime) -> bool:
        """Whether it has not ended."""
        return self.ends_at is None or self.ends_at > moment


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks, and why."""

    name: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Vote:
    """Somebody's approval, of the facts with this digest."""

    name: str
    at: datetime
    digest: str
    comment: str
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was said or done; `kind` is what was done, or `comment`."""

    at: datetime
    author: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: the same for everybody who joins."""

    source: ChannelName
    target: ChannelName
    texts: Sequence[str]
    platforms: Sequence[Subdir] = ()
    has_closure: bool = True
    machine: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The same for the same wants, in whatever order."""
        facts = [
            self.source, self.target, sorted(set(self.texts)), sorted(set(self.platforms)), self.has_closure,
            sorted(self.machine.items()),
        ]  # fmt: skip
        return hashlib.sha256(msgspec.json.encode(facts, enc_hook=str)).hexdigest()

    def wish(self, catalog: Catalog, left_out: Sequence[str] = ()) -> Wish:
        """As planners take it, but for the texts that are left out. Raises NotFound `channel-unknown`."""
        return Wish(
            self.without(left_out).texts, catalog.get(self.source), catalog.get(self.target), self.platforms,
            has_closure=self.has_closure, machine=self.machine, left_out=left_out,
        )  # fmt: skip

    def without(self, left_out: Collection[str]) -> "Wanted":
        """The same but for these texts."""
        return replace(self, texts=[text for text in self.texts if text not in left_out])


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it stands; `summary` is what the last look at it showed, `notes` what of it cannot pass at all."""

    id: int
    wanted: Wanted
    notes: Sequence[str]
    state: RequestState
    summary: Mapping[str, Any]
    created_at: datetime
    created_by: str
    changed_at: datetime
    expires_at: datetime | None
    promotion: int | None
    left_out: Sequence[str] = ()
    """What an approval left out of it, and why; it goes on as the request `rest`."""
    left_out_why: str = ""
    rest: int | None = None
    part_of: int | None = None
    """The request that it was left out of."""
    ends_at: datetime | None = None
    """Until when it is approved."""
    askers: Sequence[Asker] = ()
    votes: Sequence[Vote] = ()
    remarks: Sequence[Remark] = ()

    @property
    def standing(self) -> Standing:
        """As decisions see it; an approval until a moment that is past is none."""
        now = clock.now()
        votes = {one.name: one.digest for one in self.votes if one.limits.holds_at(now)}
        return Standing(self.state, frozenset(one.name for one in self.askers), votes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which requests to list; each None leaves the choice."""

    states: Collection[RequestState] | None = None
    target: str | None = None
    asker: str | None = None
    beyond: int | None = None
    """Only those that come behind this one."""
    is_oldest_first: bool = False


async def get_request(connection: AsyncConnection, number: int, *, is_locked: bool = False) -> Request:
    """One request with everything. Raises NotFound `request-unknown`."""
    statement: Select[Any] = select(request_table).where(request_table.c.id == number)
    row = (await connection.execute(statement.with_for_update() if is_locked else statement)).first()
    if row is None:
        raise NotFound("request-unknown", f"There is no request {number}.")
    return (await _with_people(connection, [row], has_remarks=True))[0]


async def find_open(connection: AsyncConnection, wanted: Wanted) -> int | None:
    """The open request for the same, locked."""
    columns = request_table.c
    found = await connection.execute(select(columns.id).where(columns.open_key == wanted.key).with_for_update())
    number: int | None = found.scalar_one_or_none()
    return number


async def list_requests(connection: AsyncConnection, chosen: Chosen, limit: int) -> list[Request]:
    """Those chosen, without remarks."""
    columns, is_up = request_table.c, chosen.is_oldest_first
    statement = select(request_table).order_by(columns.id if is_up else columns.id.desc()).limit(limit)
    if chosen.states is not None:
        statement = statement.where(columns.state.in_([one.value for one in chosen.states]))
    if chosen.target is not None:
        statement = statement.where(columns.target == chosen.target)
    if chosen.beyond is not None:
        statement = statement.where(columns.id > chosen.beyond if is_up else columns.id < chosen.beyond)
    if chosen.asker is not None:
        own = select(request_person.c.request_id).where(request_person.c.name == chosen.asker)
        statement = statement.where(columns.id.in_(own))
    return await _with_people(connection, (await connection.execute(statement)).all(), has_remarks=False)


async def list_waiting_for(
    connection: AsyncConnection, name: str, targets: Collection[str], limit: int
) -> list[Request]:
    """The oldest that wait for somebody, without remarks: asked into `targets` by others and not voted on; sent back."""
    columns = request_table.c
    asked = columns.id.in_(select(request_person.c.request_id).where(request_person.c.name == name))
    voted = columns.id.in_(select(request_vote.c.request_id).where(request_vote.c.name == name))
    to_decide = and_(columns.state == RequestState.REQUESTED, columns.target.in_(targets), ~asked, ~voted)
    sent_back = and_(columns.state == RequestState.CHANGES_WANTED, asked)
    statement = select(request_table).where(to_decide | sent_back).order_by(columns.id).limit(limit)
    return await _with_people(connection, (await connection.execute(statement)).all(), has_remarks=False)


async def count_by_state(connection: AsyncConnection) -> dict[str, int]:
    """How many requests there are in each state."""
    column = request_table.c.state
    rows = await connection.execute(select(column, func.count().label("number")).group_by(column))
    return {row.state: row.number for row in rows}


async def add_request(
    connection: AsyncConnection, wanted: Wanted, *, notes: Sequence[str], summary: Mapping[str, Any], by: str,
    part_of: int | None = None,
) -> int:  # fmt: skip
    """A new draft; its id."""
    now = clock.now()
    values = {
        "part_of": part_of,
        **_of_wanted(wanted),
        "notes": list(notes),
        "summary": dict(summary),
        "state": RequestState.DRAFT,
        "created_at": now,
        "created_by": by,
        "changed_at": now,
    }
    made = await connection.execute(request_table.insert().values(values).returning(request_table.c.id))
    number: int = made.scalar_one()
    return number


async def set_wanted(
    connection: AsyncConnection, number: int, wanted: Wanted, notes: Sequence[str], summary: Mapping[str, Any]
) -> None:
    """Ask for something else."""
    await _set(connection, number, **_of_wanted(wanted), notes=list(notes), summary=dict(summary))


async def set_divided(connection: AsyncConnection, number: int, wanted: Wanted, limits: Limits, rest: int) -> None:
    """Ask for less, the rest being another request's matter."""
    more = {"left_out": list(limits.left_out), "left_out_why": limits.left_out_why, "rest_id": rest}
    await _set(connection, number, **_of_wanted(wanted), **more)


async def save_standing(connection: AsyncConnection, before: Request, after: Standing, **more: Any) -> None:
    """Save what a decision made of a request; `more` are further columns."""
    key = before.wanted.key if after.state.is_open else None
    await _set(connection, before.id, state=after.state, open_key=key, changed_at=clock.now(), **more)
    gone = {one.name for one in before.votes} - after.votes.keys()
    left = {one.name for one in before.askers} - after.requesters
    for table, names in ((request_vote, gone), (request_person, left)):
        if names:
            await connection.execute(
                delete(table).where(table.c.request_id == before.id, table.c.name.in_(sorted(names)))
            )


async def add_asker(connection: AsyncConnection, number: int, name: str, why: str) -> None:
    """One more who asks; who asks already may say why anew."""
    values = {"at": clock.now(), "why": why}
    statement = insert(connection, request_person).values(request_id=number, name=name, **values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["request_id", "name"], set_={"why": why})
        if why
        else statement.on_conflict_do_nothing(index_elements=["request_id", "name"])
    )


async def add_vote(connection: AsyncConnection, number: int, vote: Vote) -> None:
    """An approval; a later one of the same person stands in its place."""
    limits = vote.limits
    values = {
        "at": vote.at, "digest": vote.digest, "comment": vote.comment, "left_out": list(limits.left_out),
        "left_out_why": limits.left_out_why, "ends_at": limits.ends_at,
    }  # fmt: skip
    statement = insert(connection, request_vote).values(request_id=number, name=vote.name, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["request_id", "name"], set_=values))


async def add_remark(connection: AsyncConnection, number: int, author: str, kind: str, text: str) -> None:
    """Write down what was said or done."""
    values = {"request_id": number, "at": clock.now(), "author": author, "kind": kind, "text": text}
    await connection.execute(request_remark.insert().values(values))


async def _set(connection: AsyncConnection, number: int, **values: Any) -> None:
    await connection.execute(update(request_table).where(request_table.c.id == number).values(values))


def _of_wanted(wanted: Wanted) -> dict[str, Any]:
    return {
        "source": wanted.source,
        "target": wanted.target,
        "wants": list(wanted.texts),
        "platforms": list(wanted.platforms),
        "has_closure": wanted.has_closure,
        "machine": dict(wanted.machine),
    }


async def _with_people(connection: AsyncConnection, rows: Sequence[Row[Any]], *, has_remarks: bool) -> list[Request]:
    askers: defaultdict[int, list[Asker]] = defaultdict(list)
    votes: defaultdict[int, list[Vote]] = defaultdict(list)
    remarks: defaultdict[int, list[Remark]] = defaultdict(list)
    for some in chunks([row.id for row in rows]):
        people = select(request_person).where(request_person.c.request_id.in_(some)).order_by(request_person.c.at)
        for row in await connection.execute(people):
            askers[row.request_id].append(Asker(row.name, row.at, row.why))
        voted = select(request_vote).where(request_vote.c.request_id.in_(some)).order_by(request_vote.c.at)
        for row in await connection.execute(voted):
            limits = Limits(row.left_out or (), row.left_out_why or "", row.ends_at)
            votes[row.request_id].append(Vote(row.name, row.at, row.digest, row.comment, limits))
        if has_remarks:
            said = select(request_remark).where(request_remark.c.request_id.in_(some)).order_by(request_remark.c.id)
            for row in await connection.execute(said):
                remarks[row.request_id].append(Remark(row.at, row.author, row.kind, row.text))
    return [
        Request(
            id=row.id,
            wanted=Wanted(
                ChannelName(row.source),
                ChannelName(row.target),
                row.wants,
                [Subdir(one) for one in row.platforms],
                row.has_closure,
                row.machine,
            ),
            notes=row.notes,
            state=RequestState(row.state),
            summary=row.summary,
            created_at=row.created_at,
            created_by=row.created_by,
            changed_at=row.changed_at,
            expires_at=row.expires_at,
            promotion=row.promotion_id,
            left_out=row.left_out or (),
            left_out_why=row.left_out_why or "",
            rest=row.rest_id,
            part_of=row.part_of,
            ends_at=row.ends_at,
            askers=askers[row.id],
            votes=votes[row.id],
            remarks=remarks[row.id],
        )
        for row in rows
    ]
