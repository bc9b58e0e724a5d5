"""Requests as doors offer them: who may do what with which, for the API and the pages alike."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headgate.access.decisions import decide
from headgate.access.permissions import Permission, ScopeAction
from headgate.access.principals import Principal
from headgate.approvals.asking import Given, parse_link, place_of
from headgate.approvals.request_rows import UNLIMITED, Chosen, Limits, Request, Wanted
from headgate.approvals.requests import Asked, Look, RequestService
from headgate.approvals.rules import RulesService
from headgate.approvals.states import RequestState
from headgate.channels.catalog import Catalog
from headgate.channels.model import Channel
from headgate.conda.names import Subdir
from headgate.jobs.freshness import Freshness
from headgate.jobs.service import JobService
from headgate.kernel.errors import NotFound, Refused

_SCAN = 100


class DeskServices(Protocol):
    """The services that a desk calls."""

    @property
    def catalog(self) -> Catalog:
        """Finds channels."""

    @property
    def requests(self) -> RequestService:
        """Takes requests and decisions on them."""

    @property
    def request_rules(self) -> RulesService:
        """Knows how requests are decided."""

    @property
    def freshness(self) -> Freshness:
        """Asks for first syncs."""

    @property
    def jobs(self) -> JobService:
        """Asks for jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What somebody gives who asks; `source` and `target` may go without saying."""

    wants: Sequence[str] = ()
    environment: str | None = None
    link: str | None = None
    source: str | None = None
    target: str | None = None
    platforms: Sequence[str] = ()
    has_closure: bool = True
    machine: Mapping[str, str] = field(default_factory=dict)
    why: str = ""


class Desk:
    """Where somebody stands who asks or decides. Members raise Refused for what they may not do."""

    def __init__(self, services: DeskServices, principal: Principal) -> None:
        self._services = services
        self._who = principal

    async def read(self, ask: Ask) -> Asked:
        """What they ask for, as wants from one channel into another.

        Raises Invalid for what makes no sense, `request-place-missing` when nothing tells the channels.
        """
        linked = None if ask.link is None else parse_link(ask.link)
        told = await self._services.request_rules.sources()
        known = self._services.catalog.all()
        sources = {str(one.name): told[one.id] for one in known if one.id in told}
        kinds = {str(one.name): one.kind for one in known}
        source, target = place_of(ask.source, ask.target, linked.channel if linked else None, kinds, sources)
        into = self.demand(Permission.REQUEST_CREATE, target)
        await self._demand_source(source, target)
        texts = [*ask.wants, *([linked.want] if linked else [])]
        platforms = [Subdir.parse(one) for one in ask.platforms]
        read = await asyncio.to_thread(Given(texts, ask.environment, platforms).read)
        out_of = await self._services.freshness.read_first(self._services.catalog.get(source), read.platforms)
        wanted = Wanted(
            out_of.name, into.name, read.texts, read.platforms, has_closure=ask.has_closure, machine=ask.machine
        )
        return Asked(wanted, read.notes, ask.why)

    async def create(self, asked: Asked, *, is_draft: bool) -> tuple[Request, str | None]:
        """Ask; with the job when nobody has to decide."""
        return await self._carried_out(await self._services.requests.create(self._who, asked, is_draft=is_draft))

    async def get(self, number: int) -> Request:
        """A request that they may see. Raises NotFound `request-unknown`."""
        found = await self._services.requests.get(number)
        if not self.may_see(found):
            raise NotFound("request-unknown", f"There is no request {number}.")
        return found

    async def list_requests(
        self,
        *,
        states: Sequence[RequestState] | None,
        target: str | None,
        is_mine: bool,
        beyond: int | None = None,
        limit: int,
        is_oldest_first: bool = False,
    ) -> list[Request]:
        """Up to `limit` requests that they may see."""
        shown: list[Request] = []
        while len(shown) < limit:
            asker = self._who.name if is_mine else None
            chosen = Chosen(states=states, target=target, asker=asker, beyond=beyond, is_oldest_first=is_oldest_first)
            found = await self._services.requests.list_requests(chosen, _SCAN)
            shown += [one for one in found if self.may_see(one)]
            if len(found) < _SCAN:
                break
            beyond = found[-1].id
        return shown[:limit]

    async def look(self, found: Request, left_out: Sequence[str] = ()) -> Look:
        """What would become of a request as things are, but for what is left out."""
        await self._demand_source(found.wanted.source, found.wanted.target)
        return await self._services.requests.look(found.wanted, left_out)

    async def submit(self, number: int, ask: Ask | None) -> tuple[Request, str | None]:
        """Ask with a draft, or again, perhaps for something else in the same channels."""
        found = await self.get(number)
        self.demand(Permission.REQUEST_CREATE, found.wanted.target)
        asked = None if ask is None else await self.read(ask)
        return await self._carried_out(await self._services.requests.submit(self._who, number, asked))

    async def approve(
        self, number: int, digest: str, comment: str, limits: Limits = UNLIMITED
    ) -> tuple[Request, str | None]:
        """Approve what was seen; with the job once enough have."""
        found = await self.get(number)
        self.demand(Permission.PROMOTION_APPROVE, found.wanted.target)
        self.demand(Permission.PROMOTION_OUT, found.wanted.source)
        done = await self._services.requests.approve(self._who, number, digest, comment, limits)
        return await self._carried_out(done)

    async def reject(self, number: int, comment: str) -> Request:
        """Say no, and why."""
        await self._decidable(number)
        return await self._services.requests.reject(self._who, number, comment)

    async def ask_changes(self, number: int, comment: str) -> Request:
        """Send it back."""
        await self._decidable(number)
        return await self._services.requests.ask_changes(self._who, number, comment)

    async def withdraw(self, number: int, comment: str) -> Request:
        """Ask no longer."""
        found = await self.get(number)
        self.demand(Permission.REQUEST_CREATE, found.wanted.target)
        return await self._services.requests.withdraw(self._who, number, comment)

    async def comment(self, number: int, text: str) -> Request:
        """Say something."""
        found = await self.get(number)
        self.demand(Permission.REQUEST_CREATE, found.wanted.target)
        return await self._services.requests.comment(self._who, number, text)

    def may_see(self, request: Request) -> bool:
        """Their own, and those into channels that they may read; drafts are nobody else's."""
        if self._who.name in request.standing.requesters and self._may_view():
            return True
        if request.state is RequestState.DRAFT:
            return False
        target = self._services.catalog.find(request.wanted.target)
        if target is None:
            return self._who.is_administrator
        return decide(self._who, Permission.CHANNEL_READ, target.name, target.privacy).is_allowed

    def may_decide(self, request: Request) -> bool:
        """Whether to offer decisions: the decisions themselves ask again."""
        if self._who.name in request.standing.requesters:
            return False
        target = self._services.catalog.find(request.wanted.target)
        privacy = "private" if target is None else target.privacy
        return decide(self._who, Permission.PROMOTION_APPROVE, request.wanted.target, privacy).is_allowed

    def demand(self, permission: Permission, name: str) -> Channel:
        """The channel, where they may do that. Raises Refused, NotFound `channel-unknown`."""
        found = self._services.catalog.find(name)
        # What does not exist is decided as if it were private, so that a refusal tells nobody which it is.
        decision = decide(self._who, permission, name, "private" if found is None else found.privacy)
        if not decision.is_allowed:
            raise Refused("credentials-needed" if decision.needs_credentials else "permission-denied", decision.reason)
        if found is None:
            raise NotFound("channel-unknown", f"There is no channel {name}.")
        return found

    def _may_view(self) -> bool:
        """False for a token that does not look: not at its owner's own requests, either."""
        token = self._who.token
        return token is None or token.actions is None or ScopeAction.VIEW in token.actions

    async def _demand_source(self, source: str, target: str) -> None:
        """Raises Refused unless they may read the source, or the target's rules open it to requests."""
        rules = await self._services.request_rules.get(self._services.catalog.get(target))
        if source not in rules.sources:
            self.demand(Permission.CHANNEL_READ, source)

    async def _decidable(self, number: int) -> None:
        found = await self.get(number)
        self.demand(Permission.PROMOTION_APPROVE, found.wanted.target)

    async def _carried_out(self, request: Request) -> tuple[Request, str | None]:
        """What has just been approved is given to a job."""
        if request.state is not RequestState.APPROVED or request.promotion is None:
            return request, None
        return request, await self._services.jobs.promote("headgate", request.promotion)
