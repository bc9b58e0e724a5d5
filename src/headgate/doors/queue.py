"""Everything that waits for somebody, as doors offer it: by what they may see, for the API and the pages alike."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from headgate.access.decisions import decide
from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.approvals.request_rows import Request
from headgate.approvals.states import RequestState
from headgate.channels.exempting import ExemptionService
from headgate.channels.model import Channel
from headgate.channels.policies import Policies
from headgate.doors.desk import Desk, DeskServices
from headgate.reports.room import ReportRoom
from headgate.reports.waiting import Waiting, WaitingKind, Waits, exemptions_ending

_MOST = 100


class QueueCore(Protocol):
    """The services that need no worker."""

    @property
    def exemptions(self) -> ExemptionService:
        """Knows what ends."""


class QueueServices(DeskServices, Protocol):
    """The services that a queue asks."""

    @property
    def core(self) -> QueueCore:
        """What needs no worker."""

    @property
    def reports(self) -> ReportRoom:
        """Counts what waits."""

    @property
    def policies(self) -> Policies:
        """Knows which rules are cooldowns."""


class Queue:
    """What waits for somebody: requests that they may decide; the rest of channels whose policies they may read."""

    def __init__(self, services: QueueServices, principal: Principal) -> None:
        self._services = services
        self._who = principal

    async def read(self, requests: Sequence[Request] | None = None) -> Mapping[WaitingKind, Waits]:
        """Every kind, also those of which nothing waits; `requests` are the open ones, where they are known already."""
        services, waiting = self._services, self._services.reports.waiting
        everything = services.catalog.all()
        channels = [one for one in everything if self._may_read_policies(one)]
        found = {kind: Waits() for kind in WaitingKind}
        found[WaitingKind.REQUEST] = await self._requests(requests)
        if channels:
            found[WaitingKind.COOLDOWN] = await waiting.cooldowns(channels, services.policies.book)
            found[WaitingKind.APPROVAL] = await waiting.endings(channels)
            found[WaitingKind.MALWARE], found[WaitingKind.BROKEN] = await waiting.held(channels, everything)
            names = {str(one.name) for one in channels}
            is_all = len(channels) == len(everything)
            known = await services.core.exemptions.list_exemptions()
            found[WaitingKind.EXEMPTION] = exemptions_ending([one for one in known if is_all or one.channel in names])
        return found

    async def _requests(self, known: Sequence[Request] | None) -> Waits:
        desk = Desk(self._services, self._who)
        asked = known or await desk.list_requests(
            states=[RequestState.REQUESTED], target=None, is_mine=False, limit=_MOST, is_oldest_first=True
        )
        waiting = [one for one in asked if one.state is RequestState.REQUESTED and desk.may_decide(one)]
        rows = [_of_request(one) for one in sorted(waiting, key=lambda one: one.id)]
        return Waits(rows, len(rows), len(asked) >= _MOST)

    def _may_read_policies(self, channel: Channel) -> bool:
        return decide(self._who, Permission.POLICY_READ, channel.name, channel.privacy).is_allowed


def ordered(found: Mapping[WaitingKind, Waits], kind: WaitingKind | None) -> Sequence[Waiting]:
    """What is listed: of one kind, or a few of each."""
    if kind is not None:
        return found[kind].rows
    return [row for waits in found.values() for row in waits.rows[:5]]


def _of_request(request: Request) -> Waiting:
    texts, into = request.wanted.texts, str(request.wanted.target)
    title = ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")
    askers = ", ".join(one.name for one in request.askers)
    return Waiting(
        WaitingKind.REQUEST, title, f"{into}: asked for by {askers}.", f"/requests/{request.id}", into,
        request.created_at,
    )  # fmt: skip
