"""How requests into a channel are decided: who may approve, how many of them, when none is needed, and until when."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.findings import Coverage
from headgate.approvals.plans import Item, Plan
from headgate.approvals.states import Terms
from headgate.audit.events import Action, record
from headgate.channels.model import Channel
from headgate.conda.licences import expression_of, is_satisfied, normal
from headgate.conda.records import Record
from headgate.conda.specs import age_key
from headgate.db.engine import Database, insert
from headgate.db.tables_requests import request_rules
from headgate.intake.hosted import require_hosted
from headgate.kernel import clock
from headgate.kernel.errors import Invalid
from headgate.policy.verdicts import Outcome

_SERIES = re.compile(r"(?:\d+!)?\d+\.\d+(?=\.|$)")
_Names = Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=128)], ...], msgspec.Meta(max_length=50)]


class AutoRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When no person is needed: every new file must fit.

    `licenses`: those that are allowed. `only_patch_releases`: the target has a version with the same major and minor
    number, and nothing newer in it. `only_checked`: advisory feeds must cover the package. A file with an advisory that
    stands, or that policy warns of, never fits.
    """

    licenses: _Names
    only_patch_releases: bool = True
    only_checked: bool = False


class RequestRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules of one channel; these are those of a channel that has none of its own."""

    sources: _Names = ()
    """Channels that may be asked from by people who cannot read them."""
    approvals: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    groups: _Names = ()
    """Of whose members an approval counts; empty: of everybody who may approve here."""
    is_comment_required: bool = False
    expires_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30
    auto: AutoRules | None = None

    @property
    def terms(self) -> Terms:
        """What approvals must be."""
        return Terms(self.approvals, frozenset(self.groups))


def parse_rules(document: Mapping[str, Any]) -> RequestRules:
    """Read rules. Raises Invalid `request-rules-invalid` with the member that is wrong."""
    try:
        return msgspec.convert(document, RequestRules)
    except msgspec.ValidationError as error:
        raise Invalid("request-rules-invalid", f"The rules cannot be used: {error}.") from error


async def read_rules(connection: AsyncConnection, channel: Channel) -> RequestRules:
    """The rules of a channel."""
    columns = request_rules.c
    chosen = select(columns.document).where(columns.channel_id == channel.id)
    document = (await connection.execute(chosen)).scalar_one_or_none()
    return RequestRules() if document is None else parse_rules(document)


class RulesService:
    """Reads and writes the rules of channels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, channel: Channel) -> RequestRules:
        """The rules of a channel."""
        async with self._database.read() as connection:
            return await read_rules(connection, channel)

    async def put(self, actor: str, channel: Channel, rules: RequestRules) -> None:
        """Replace the rules of a hosted channel. Raises Conflict `kind-unfit`."""
        require_hosted(channel)
        document = msgspec.to_builtins(rules)
        values = {"document": document, "set_at": clock.now(), "set_by": actor}
        async with self._database.write() as connection:
            statement = insert(connection, request_rules).values(channel_id=channel.id, **values)
            await connection.execute(statement.on_conflict_do_update(index_elements=["channel_id"], set_=values))
            await record(connection, Action.REQUEST_SET_RULES, actor, channel=channel.name, rules=document)

    async def sources(self) -> dict[int, tuple[str, ...]]:
        """The sources that the rules of channels name, by the id of the channel."""
        columns = request_rules.c
        async with self._database.read() as connection:
            rows = await connection.execute(select(columns.channel_id, columns.document))
            return {row.channel_id: parse_rules(row.document).sources for row in rows}


def why_not_automatic(rules: RequestRules, plan: Plan, known: Mapping[str, Iterable[Record]]) -> str | None:
    """Why a person is needed, in a sentence; None: nobody is. `known`: what the target has, by package name."""
    auto = rules.auto
    if auto is None:
        return "Every request into this channel is decided by people."
    if plan.wish.source.name not in rules.sources:
        return f"What comes from {plan.wish.source.name} is decided by people."
    if plan.hindrances or plan.problems or plan.failures or plan.is_empty:
        return "Not all of it can pass."
    if plan.ending:
        return "Somebody approved a part of it until a date; people decide whether it stays."
    return next((why for item in plan.new if (why := _why_not(auto, item, known))), None)


def _why_not(auto: AutoRules, item: Item, known: Mapping[str, Iterable[Record]]) -> str | None:
    opinion, allowed = item.opinion, {normal(one) for one in auto.licenses}
    if opinion.verdict.outcome is not Outcome.ALLOW:
        return f"Policy warns of {item.filename}."
    if opinion.assessment.is_affected:
        return f"{item.filename} has an advisory."
    if auto.only_checked and opinion.assessment.coverage is not Coverage.CHECKED:
        return f"No advisory feed covers {item.filename}."
    if not is_satisfied(expression_of(item.record), lambda one: normal(one) in allowed):
        return f"The licence of {item.filename} is not among those that need nobody."
    if auto.only_patch_releases and not _is_patch(item.record, known.get(str(item.record.get("name")), ())):
        return f"{item.filename} is no patch release of what the channel has."
    return None


def _is_patch(new: Record, known: Iterable[Record]) -> bool:
    """Whether something older of the same series is there, and nothing newer."""
    series = _series(new)
    same = [one for one in known if series is not None and _series(one) == series]
    return bool(same) and all(age_key(one)[:2] <= age_key(new)[:2] for one in same)


def _series(record: Record) -> str | None:
    found = _SERIES.match(str(record.get("version")))
    return None if found is None else found[0]
