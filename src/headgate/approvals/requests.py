"""Requests: asked, talked about, decided; each step one transaction with its audit event.

Plans are made before a transaction begins, for a solve takes its time; what is decided in it is decided on the facts of
that plan, and applying a promotion asks the target's gate once more.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.principals import Principal
from headgate.approvals.answers import summary_of
from headgate.approvals.candidates import Reader
from headgate.approvals.dividing import divide, parse_left_out
from headgate.approvals.joining import join, note, yield_to
from headgate.approvals.planning import Planner
from headgate.approvals.plans import Plan
from headgate.approvals.promotions import Decided, Promotion, write_down
from headgate.approvals.request_rows import (
    UNLIMITED,
    Chosen,
    Limits,
    Request,
    Vote,
    Wanted,
    add_asker,
    add_remark,
    add_request,
    add_vote,
    count_by_state,
    find_open,
    get_request,
    list_requests,
    list_waiting_for,
    save_standing,
    set_wanted,
)
from headgate.approvals.rules import RequestRules, read_rules, why_not_automatic
from headgate.approvals.states import RequestState, Standing
from headgate.audit.events import Action
from headgate.channels.catalog import Catalog
from headgate.channels.model import Channel
from headgate.conda.records import Record
from headgate.db.engine import Database
from headgate.db.tables_requests import request as request_table
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid

BY_RULE = "headgate"
"""Who approves where a rule of the channel suffices, who expires requests, and who gives them back."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: the wants, what of them cannot pass at all, and why somebody wants it."""

    wanted: Wanted
    notes: Sequence[str] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """A plan for what is wanted, the rules that it is decided by, and why a person is needed (None: nobody is).

    `known`: what the target has of the names that would come, in wire form.
    """

    plan: Plan
    rules: RequestRules
    why_people: str | None
    known: Mapping[str, Sequence[Record]] = field(default_factory=dict)


class RequestService:
    """Takes requests and decisions on them. Members raise as `states.py` says, and NotFound `request-unknown`."""

    def __init__(self, database: Database, catalog: Catalog, reader: Reader) -> None:
        self._database = database
        self._catalog = catalog
        self._planner = Planner(database, reader)
        self._reader = reader

    async def look(self, wanted: Wanted, left_out: Sequence[str] = ()) -> Look:
        """What would become of it, but for what is left out; writes nothing down. Raises Invalid `request-part-invalid`."""
        wish = wanted.wish(self._catalog, parse_left_out(wanted, left_out))
        plan = await self._planner.look(wish)
        async with self._database.read() as connection:
            rules = await read_rules(connection, wish.target)
        known = await self._known(wish.target, plan)
        return Look(plan, rules, why_not_automatic(rules, plan, known), known)

    async def create(self, who: Principal, asked: Asked, *, is_draft: bool = False) -> Request:
        """Ask. Whoever asks for the same as an open request joins it.

        Raises Conflict `promotion-empty` when the target has all of it already.
        """
        look = await self.look(asked.wanted)
        _refuse_empty(look.plan)
        try:
            return await self._create(who, asked, look, is_draft=is_draft)
        except IntegrityError:
            # Somebody asked for the same at the same moment, and there is a request to join now.
            return await self._create(who, asked, look, is_draft=is_draft)

    async def _create(self, who: Principal, asked: Asked, look: Look, *, is_draft: bool) -> Request:
        async with self._database.write() as connection:
            number = None if is_draft else await find_open(connection, asked.wanted)
            if number is not None:
                await join(connection, number, who.name, who.actor, asked.why)
            else:
                summary = summary_of(look.plan)
                number = await add_request(connection, asked.wanted, notes=asked.notes, summary=summary, by=who.name)
                await add_asker(connection, number, who.name, asked.why)
                await note(connection, Action.REQUEST_CREATE, who.actor, asked.wanted, number, why=asked.why)
                if not is_draft:
                    await self._submit(connection, number, who, look)
        return await self.get(number)

    async def submit(self, who: Principal, number: int, asked: Asked | None = None) -> Request:
        """Ask with a draft, or again, perhaps for something else; joins another open request for the same."""
        found = await self.get(number)
        look = await self.look(asked.wanted if asked else found.wanted)
        _refuse_empty(look.plan)
        async with self._database.write() as connection:
            found = await get_request(connection, number, is_locked=True)
            found.standing.submit(who.name)
            if asked is not None:
                await set_wanted(connection, number, asked.wanted, asked.notes, summary_of(look.plan))
            other = await find_open(connection, asked.wanted if asked else found.wanted)
            if other is not None and other != number:
                await yield_to(connection, found, other, who.actor)
                return await get_request(connection, other)
            await self._submit(connection, number, who, look)
        return await self.get(number)

    async def approve(
        self, who: Principal, number: int, seen: str, comment: str = "", limits: Limits = UNLIMITED
    ) -> Request:
        """Approve on the facts with the digest `seen`. With the last approval needed it is written down as a promotion.

        What `limits` leave out goes on as a request of its own; the earliest end of several approvals holds. Raises
        Conflict `promotion-hindered` or `closure-unsolvable`, NotFound `want-unknown` for what cannot pass, Invalid
        `request-comment-missing`, `request-part-invalid` or `request-end-past`.
        """
        found = await self.get(number)
        limits = _checked(found.wanted, limits)
        plan = await self._planner.plan(found.wanted.wish(self._catalog, limits.left_out))
        rest = await self._look_at_rest(found.wanted, limits.left_out)
        async with self._database.write() as connection:
            found = await get_request(connection, number, is_locked=True)
            rules = await self._rules(connection, found)
            _demand_comment(rules, comment)
            after = found.standing.approve(who.name, who.groups, seen, plan.digest, rules.terms)
            vote = Vote(who.name, clock.now(), seen, comment, limits)
            await add_vote(connection, number, vote)
            await add_remark(connection, number, who.name, "approved", limits.told(comment))
            counted = after.counted(plan.digest)
            await note(
                connection, Action.REQUEST_APPROVE, who.actor, found.wanted, number,
                digest=seen, comment=comment, counted=len(counted), needed=rules.approvals, **limits.as_json(),
            )  # fmt: skip
            votes = {one.name: one.limits.ends_at for one in [*found.votes, vote]}
            ends = [end for name, end in votes.items() if name in counted and end is not None]
            decided = Decided(who.actor, comment, number, sorted(counted), min(ends, default=None))
            await self._settle(connection, found, after, plan, decided)
            if rest is not None and after.state is RequestState.APPROVED:
                expires_at = clock.now() + timedelta(days=rules.expires_days)
                await divide(
                    connection, found, after, limits,
                    who=who, summary=summary_of(rest), expires_at=expires_at,
                )  # fmt: skip
        return await self.get(number)

    async def reject(self, who: Principal, number: int, comment: str) -> Request:
        """Say no, and why. Raises Invalid `request-comment-missing` without a word."""
        return await self._decide(number, who, Action.REQUEST_REJECT, "rejected", comment, Standing.reject)

    async def ask_changes(self, who: Principal, number: int, comment: str) -> Request:
        """Send it back, saying what should be otherwise. Raises Invalid `request-comment-missing` without a word."""
        return await self._decide(
            number, who, Action.REQUEST_ASK_CHANGES, "changes-wanted", comment, Standing.ask_changes
        )

    async def withdraw(self, who: Principal, number: int, comment: str = "") -> Request:
        """Ask no longer; the request ends when nobody else asks."""
        async with self._database.write() as connection:
            found = await get_request(connection, number, is_locked=True)
            after = found.standing.withdraw(who.name)
            await save_standing(connection, found, after)
            await add_remark(connection, number, who.name, "withdrawn", comment)
            await note(connection, Action.REQUEST_WITHDRAW, who.actor, found.wanted, number, comment=comment)
        return await self.get(number)

    async def comment(self, who: Principal, number: int, text: str) -> Request:
        """Say something. Raises Invalid `request-comment-missing` without a word."""
        if not text.strip():
            raise _no_comment()
        async with self._database.write() as connection:
            found = await get_request(connection, number, is_locked=True)
            await add_remark(connection, number, who.name, "comment", text)
            await note(connection, Action.REQUEST_COMMENT, who.actor, found.wanted, number, comment=text)
        return await self.get(number)

    async def get(self, number: int) -> Request:
        """One request with everything."""
        async with self._database.read() as connection:
            return await get_request(connection, number)

    async def list_requests(self, chosen: Chosen, limit: int) -> list[Request]:
        """Those chosen, without remarks."""
        async with self._database.read() as connection:
            return await list_requests(connection, chosen, limit)

    async def list_waiting_for(self, name: str, targets: Collection[str], limit: int) -> list[Request]:
        """The oldest that wait for somebody who may decide on what goes into `targets`, and their own sent back."""
        async with self._database.read() as connection:
            return await list_waiting_for(connection, name, targets, limit)

    async def _known(self, target: Channel, plan: Plan) -> dict[str, list[Record]]:
        names = {str(item.record.get("name")) for item in [*plan.new, *plan.ending]}
        known: dict[str, list[Record]] = {name: [] for name in names}
        for subdir in target.subdirs:
            for name, shard in (await self._reader.read(target, subdir, names)).items():
                known[name] += [found for _, found in shard.records()]
        return known

    async def _rules(self, connection: AsyncConnection, request: Request) -> RequestRules:
        return await read_rules(connection, self._catalog.get(request.wanted.target))

    async def _look_at_rest(self, wanted: Wanted, left_out: Sequence[str]) -> Plan | None:
        """A plan of what is left out, for lists; None when nothing is."""
        if not left_out:
            return None
        kept = wanted.without(left_out).texts
        return await self._planner.look(wanted.without(kept).wish(self._catalog))

    async def _submit(self, connection: AsyncConnection, number: int, who: Principal, look: Look) -> None:
        found = await get_request(connection, number, is_locked=True)
        after = found.standing.submit(who.name)
        expires_at = clock.now() + timedelta(days=look.rules.expires_days)
        await save_standing(connection, found, after, expires_at=expires_at)
        await add_remark(connection, number, who.name, "requested", "")
        await note(connection, Action.REQUEST_SUBMIT, who.actor, found.wanted, number)
        if look.why_people is None:
            found = await get_request(connection, number, is_locked=True)
            comment = "Needs nobody by the rules of the channel."
            await add_remark(connection, number, BY_RULE, "approved", comment)
            await note(
                connection, Action.REQUEST_APPROVE, BY_RULE, found.wanted, number,
                digest=look.plan.digest, comment=comment, counted=0, needed=0,
            )  # fmt: skip
            decided = Decided(BY_RULE, comment, number)
            await self._settle(connection, found, found.standing.approve_by_rule(), look.plan, decided)

    async def _settle(
        self, connection: AsyncConnection, found: Request, after: Standing, plan: Plan, decided: Decided
    ) -> None:
        """Save what an approval came to; approved, it becomes a promotion in the same transaction."""
        promotion = found.promotion
        if after.state is RequestState.APPROVED:
            promotion = await write_down(connection, plan, decided)
        await save_standing(
            connection, found, after, promotion_id=promotion, summary=summary_of(plan), ends_at=decided.ends_at
        )

    async def _decide(
        self, number: int, who: Principal, action: Action, kind: str, comment: str,
        decide: Callable[[Standing, str], Standing],
    ) -> Request:  # fmt: skip
        if not comment.strip():
            raise _no_comment()
        async with self._database.write() as connection:
            found = await get_request(connection, number, is_locked=True)
            await save_standing(connection, found, decide(found.standing, who.name))
            await add_remark(connection, number, who.name, kind, comment)
            await note(connection, action, who.actor, found.wanted, number, comment=comment)
        return await self.get(number)


async def follow_promotion(connection: AsyncConnection, promotion: Promotion, failure: str | None) -> None:
    """What a promotion came to is what its request comes to: applied, or to be decided again."""
    if promotion.request is None:
        return
    found = await get_request(connection, promotion.request, is_locked=True)
    if failure is None:
        await save_standing(connection, found, found.standing.applied())
        await add_remark(connection, found.id, BY_RULE, "applied", f"Promotion {promotion.id}.")
        await note(connection, Action.REQUEST_APPLY, BY_RULE, found.wanted, found.id, promotion=promotion.id)
        return
    await add_remark(connection, found.id, BY_RULE, "failed", failure)
    await note(connection, Action.REQUEST_FAIL, BY_RULE, found.wanted, found.id, failure=failure)
    other = await find_open(connection, found.wanted)
    if other is not None:
        await yield_to(connection, found, other, BY_RULE)
    else:
        await save_standing(connection, found, found.standing.failed(), promotion_id=None, ends_at=None)


async def expire_requests(database: Database, now: datetime) -> int:
    """End the open requests whose time is over; how many."""
    columns = request_table.c
    due = select(columns.id).where(
        columns.state.in_([RequestState.REQUESTED, RequestState.CHANGES_WANTED]), columns.expires_at <= now
    )
    async with database.write() as connection:
        numbers = [row.id for row in await connection.execute(due.with_for_update())]
        for number in numbers:
            found = await get_request(connection, number)
            await save_standing(connection, found, found.standing.expire())
            await add_remark(connection, number, BY_RULE, "expired", "Nobody decided in time.")
            await note(connection, Action.REQUEST_EXPIRE, BY_RULE, found.wanted, number)
    return len(numbers)


async def has_expired(database: Database, now: datetime) -> bool:
    """Whether there is a request to end."""
    columns = request_table.c
    due = select(columns.id).where(
        columns.state.in_([RequestState.REQUESTED, RequestState.CHANGES_WANTED]), columns.expires_at <= now
    )
    async with database.read() as connection:
        return (await connection.execute(due.limit(1))).first() is not None


async def find_unstarted(database: Database) -> list[int]:
    """Promotions of approved requests: a crash may have come before anybody asked for their job."""
    columns = request_table.c
    chosen = select(columns.promotion_id).where(columns.state == RequestState.APPROVED)
    async with database.read() as connection:
        rows = await connection.execute(chosen.where(columns.promotion_id.is_not(None)))
        return [row.promotion_id for row in rows]


async def read_counts(database: Database) -> dict[str, int]:
    """How many requests there are in each state."""
    async with database.read() as connection:
        return await count_by_state(connection)


def _refuse_empty(plan: Plan) -> None:
    if plan.is_empty and not plan.problems and not plan.failures and not plan.hindrances:
        raise Conflict("promotion-empty", f"Channel {plan.wish.target.name} has all of it already.")


def _checked(wanted: Wanted, limits: Limits) -> Limits:
    """The limits with wants as they were asked for."""
    if not limits.holds_at(clock.now()):
        raise Invalid("request-end-past", "An approval must end in the future.")
    left_out = parse_left_out(wanted, limits.left_out)
    if left_out and not limits.left_out_why.strip():
        raise Invalid("request-comment-missing", "Say why something is left out.")
    return replace(limits, left_out=left_out)


def _demand_comment(rules: RequestRules, comment: str) -> None:
    if rules.is_comment_required and not comment.strip():
        raise _no_comment()


def _no_comment() -> Invalid:
    return Invalid("request-comment-missing", "This needs a comment: say why.")
