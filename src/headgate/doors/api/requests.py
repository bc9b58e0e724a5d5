"""Requests: previewed, asked, talked about, decided; and the rules that they are decided by."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query

from headgate.access.permissions import Permission, ScopeAction
from headgate.approvals.asking import Given, parse_link, place_of
from headgate.approvals.request_rows import Chosen, Request, Wanted
from headgate.approvals.requests import Asked
from headgate.approvals.rules import parse_rules
from headgate.approvals.states import RequestState
from headgate.conda.names import Subdir
from headgate.doors.api.callers import Managing, Reading, Services, SignedIn, may_read, visit
from headgate.doors.api.idempotency import EnvironmentRoute
from headgate.doors.api.models_requests import (
    ApproveBody,
    AskBody,
    CommentBody,
    RequestAnswer,
    RequestBody,
    RequestPreview,
    RulesAnswer,
    SubmitBody,
    shown_look,
    shown_request,
    shown_rules,
)
from headgate.doors.api.paging import Listing, Number, Paging
from headgate.kernel.errors import NotFound

router = APIRouter(tags=["requests"], route_class=EnvironmentRoute)

RequestPath = Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[7])]


@router.post("/requests/preview")
async def preview_request(body: AskBody, caller: SignedIn, services: Services) -> RequestPreview:
    """What is approved already, what policy forbids, what somebody has to decide; changes nothing."""
    asked = await _asked(body, caller, services)
    return shown_look(await services.requests.look(asked.wanted), list(asked.notes))


@router.post("/requests", status_code=201)
async def create_request(body: RequestBody, caller: SignedIn, services: Services) -> RequestAnswer:
    """Ask; whoever asks for the same as an open request joins it."""
    asked = await _asked(body, caller, services, body.comment)
    return await _carried_out(await services.requests.create(caller, asked, is_draft=body.is_draft), services)


@router.get("/requests")
async def list_requests(
    caller: SignedIn,
    services: Services,
    page: Paging,
    state: Annotated[list[RequestState] | None, Query(description="In these states.")] = None,
    target: Annotated[str | None, Query(max_length=128, description="Into this channel.")] = None,
    mine: Annotated[bool, Query(description="Only one's own.")] = False,
) -> Listing[RequestAnswer]:
    """Requests into channels that one may read, and one's own; the newest first, without remarks."""
    (before,) = page.after(tuple[Number]) or (None,)
    shown: list[Request] = []
    while len(shown) <= page.limit:
        chosen = Chosen(states=state, target=target, asker=caller.name if mine else None, before=before)
        found = await services.requests.list_requests(chosen, page.limit + 1)
        shown += [one for one in found if _may_see(one, caller, services)]
        if len(found) <= page.limit:
            break
        before = found[-1].id
    items, following = page.cut(shown, lambda one: (one.id,))
    return Listing(items=[shown_request(one) for one in items], next=following)


@router.get("/requests/{id}")
async def show_request(caller: SignedIn, services: Services, number: RequestPath) -> RequestAnswer:
    """One request with what was said and done."""
    return shown_request(await _visible(number, caller, services))


@router.get("/requests/{id}/preview")
async def look_at_request(caller: SignedIn, services: Services, number: RequestPath) -> RequestPreview:
    """What would pass as things are now; its digest is what an approval names."""
    found = await _visible(number, caller, services)
    await _insist_source(found.wanted.source, found.wanted.target, caller, services)
    return shown_look(await services.requests.look(found.wanted), list(found.notes))


@router.post("/requests/{id}/submit")
async def submit_request(body: SubmitBody, caller: SignedIn, services: Services, number: RequestPath) -> RequestAnswer:
    """Ask with a draft, or again after changes were wanted, perhaps for something else."""
    found = await _visible(number, caller, services)
    visit(services, caller, Permission.REQUEST_CREATE, found.wanted.target)
    asked = None
    if body.wants or body.environment is not None:
        named = AskBody(
            wants=body.wants, environment=body.environment, platforms=body.platforms, source=found.wanted.source,
            target=found.wanted.target, has_closure=found.wanted.has_closure, machine=dict(found.wanted.machine),
        )  # fmt: skip
        asked = await _asked(named, caller, services)
    return await _carried_out(await services.requests.submit(caller, number, asked), services)


@router.post("/requests/{id}/approve")
async def approve_request(
    body: ApproveBody, caller: SignedIn, services: Services, number: RequestPath
) -> RequestAnswer:
    """Approve what was seen; with the last approval needed a job carries it out."""
    found = await _visible(number, caller, services)
    visit(services, caller, Permission.PROMOTION_APPROVE, found.wanted.target)
    visit(services, caller, Permission.PROMOTION_OUT, found.wanted.source)
    approved = await services.requests.approve(caller, number, body.digest, body.comment)
    return await _carried_out(approved, services)


@router.post("/requests/{id}/reject")
async def reject_request(body: CommentBody, caller: SignedIn, services: Services, number: RequestPath) -> RequestAnswer:
    """Say no, and why."""
    await _decidable(number, caller, services)
    return shown_request(await services.requests.reject(caller, number, body.comment))


@router.post("/requests/{id}/ask-changes")
async def ask_changes(body: CommentBody, caller: SignedIn, services: Services, number: RequestPath) -> RequestAnswer:
    """Send it back, saying what should be otherwise."""
    await _decidable(number, caller, services)
    return shown_request(await services.requests.ask_changes(caller, number, body.comment))


@router.post("/requests/{id}/withdraw")
async def withdraw_request(
    body: CommentBody, caller: SignedIn, services: Services, number: RequestPath
) -> RequestAnswer:
    """Ask no longer; it ends when nobody else asks."""
    found = await _visible(number, caller, services)
    visit(services, caller, Permission.REQUEST_CREATE, found.wanted.target)
    return shown_request(await services.requests.withdraw(caller, number, body.comment))


@router.post("/requests/{id}/comments")
async def comment_request(
    body: CommentBody, caller: SignedIn, services: Services, number: RequestPath
) -> RequestAnswer:
    """Say something."""
    found = await _visible(number, caller, services)
    visit(services, caller, Permission.REQUEST_CREATE, found.wanted.target)
    return shown_request(await services.requests.comment(caller, number, body.comment))


@router.get("/channels/{channel:path}/request-rules")
async def show_rules(at: Reading, services: Services) -> RulesAnswer:
    """How requests into the channel are decided."""
    return shown_rules(await services.request_rules.get(at.channel))


@router.put("/channels/{channel:path}/request-rules")
async def set_rules(body: RulesAnswer, at: Managing, services: Services) -> RulesAnswer:
    """Decide otherwise from now on; what was not given falls back to what is usual."""
    rules = parse_rules(body.model_dump())
    for source in rules.sources:
        # Whoever opens a channel to requests shows what is in it.
        visit(services, at.principal, Permission.CHANNEL_READ, source)
    await services.request_rules.put(at.actor, at.channel, rules)
    return shown_rules(await services.request_rules.get(at.channel))


async def _asked(body: AskBody, caller: SignedIn, services: Services, why: str = "") -> Asked:
    linked = None if body.link is None else parse_link(body.link)
    told = await services.request_rules.sources()
    sources = {str(one.name): told[one.id] for one in services.catalog.all() if one.id in told}
    kinds = {str(one.name): one.kind for one in services.catalog.all()}
    source, target = place_of(body.source, body.target, linked.channel if linked else None, kinds, sources)
    into = visit(services, caller, Permission.REQUEST_CREATE, target).channel
    await _insist_source(source, target, caller, services)
    texts = [*body.wants, *([linked.want] if linked else [])]
    platforms = [Subdir.parse(one) for one in body.platforms]
    read = await asyncio.to_thread(Given(texts, body.environment, platforms).read)
    out_of = await services.freshness.read_first(services.catalog.get(source), read.platforms)
    wanted = Wanted(
        out_of.name, into.name, read.texts, read.platforms, has_closure=body.has_closure, machine=body.machine
    )
    return Asked(wanted, read.notes, why)


async def _insist_source(source: str, target: str, caller: SignedIn, services: Services) -> None:
    """Raises Refused unless one may read the source, or the target's rules open it to requests."""
    rules = await services.request_rules.get(services.catalog.get(target))
    if source not in rules.sources:
        visit(services, caller, Permission.CHANNEL_READ, source)


async def _carried_out(request: Request, services: Services) -> RequestAnswer:
    """The answer; what has just been approved is given to a job first."""
    job = None
    if request.state is RequestState.APPROVED and request.promotion is not None:
        job = await services.jobs.promote("headgate", request.promotion)
    return shown_request(request, job)


def _may_see(request: Request, caller: SignedIn, services: Services) -> bool:
    if caller.name in request.standing.requesters and _may_view(caller):
        return True
    if request.state is RequestState.DRAFT:
        return False
    target = services.catalog.find(request.wanted.target)
    return may_read(caller, target) if target is not None else caller.is_administrator


def _may_view(caller: SignedIn) -> bool:
    """False for a token that does not look: not at its owner's own requests, either."""
    return caller.token is None or caller.token.actions is None or ScopeAction.VIEW in caller.token.actions


async def _visible(number: int, caller: SignedIn, services: Services) -> Request:
    found = await services.requests.get(number)
    if not _may_see(found, caller, services):
        raise NotFound("request-unknown", f"There is no request {number}.")
    return found


async def _decidable(number: int, caller: SignedIn, services: Services) -> None:
    found = await _visible(number, caller, services)
    visit(services, caller, Permission.PROMOTION_APPROVE, found.wanted.target)
