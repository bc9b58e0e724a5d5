"""Requests: previewed, asked, talked about, decided; and the rules that they are decided by."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import StringConstraints

from headgate.access.permissions import Permission
from headgate.approvals.request_rows import Limits
from headgate.approvals.rules import parse_rules
from headgate.approvals.states import RequestState
from headgate.doors.api.callers import Managing, Reading, Services, SignedIn, visit
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
from headgate.doors.desk import Ask, Desk

router = APIRouter(tags=["requests"], route_class=EnvironmentRoute)

RequestPath = Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[7])]


@router.post("/requests/preview")
async def preview_request(body: AskBody, caller: SignedIn, services: Services) -> RequestPreview:
    """What is approved already, what policy forbids, what somebody has to decide; changes nothing."""
    asked = await Desk(services, caller).read(_ask(body))
    return shown_look(await services.requests.look(asked.wanted), list(asked.notes))


@router.post("/requests", status_code=201)
async def create_request(body: RequestBody, caller: SignedIn, services: Services) -> RequestAnswer:
    """Ask; whoever asks for the same as an open request joins it."""
    desk = Desk(services, caller)
    return shown_request(*await desk.create(await desk.read(_ask(body, body.comment)), is_draft=body.is_draft))


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
    (beyond,) = page.after(tuple[Number]) or (None,)
    found = await Desk(services, caller).list_requests(
        states=state, target=target, is_mine=mine, beyond=beyond, limit=page.limit + 1
    )
    items, following = page.cut(found, lambda one: (one.id,))
    return Listing(items=[shown_request(one) for one in items], next=following)


@router.get("/requests/{id}")
async def show_request(caller: SignedIn, services: Services, number: RequestPath) -> RequestAnswer:
    """One request with what was said and done."""
    return shown_request(await Desk(services, caller).get(number))


@router.get("/requests/{id}/preview")
async def look_at_request(
    caller: SignedIn,
    services: Services,
    number: RequestPath,
    left_out: Annotated[
        list[Annotated[str, StringConstraints(max_length=500)]] | None,
        Query(max_length=1000, description="Wants to leave out, as they were asked for or by package."),
    ] = None,
) -> RequestPreview:
    """What would pass as things are now; its digest is what an approval names."""
    desk = Desk(services, caller)
    found = await desk.get(number)
    return shown_look(await desk.look(found, left_out or ()), list(found.notes))


@router.post("/requests/{id}/submit")
async def submit_request(body: SubmitBody, caller: SignedIn, services: Services, number: RequestPath) -> RequestAnswer:
    """Ask with a draft, or again after changes were wanted, perhaps for something else."""
    desk = Desk(services, caller)
    ask = None
    if body.wants or body.environment is not None:
        wanted = (await desk.get(number)).wanted
        ask = Ask(
            wants=body.wants, environment=body.environment, platforms=body.platforms, source=wanted.source,
            target=wanted.target, has_closure=wanted.has_closure, machine=wanted.machine,
        )  # fmt: skip
    return shown_request(*await desk.submit(number, ask))


@router.post("/requests/{id}/approve")
async def approve_request(
    body: ApproveBody, caller: SignedIn, services: Services, number: RequestPath
) -> RequestAnswer:
    """Approve what was seen, or a part of it; with the last approval needed a job carries it out."""
    limits = Limits(body.left_out, body.left_out_why, body.ends_at)
    return shown_request(*await Desk(services, caller).approve(number, body.digest, body.comment, limits))


@router.post("/requests/{id}/reject")
async def reject_request(body: CommentBody, caller: SignedIn, services: Services, number: RequestPath) -> RequestAnswer:
    """Say no, and why."""
    return shown_request(await Desk(services, caller).reject(number, body.comment))


@router.post("/requests/{id}/ask-changes")
async def ask_changes(body: CommentBody, caller: SignedIn, services: Services, number: RequestPath) -> RequestAnswer:
    """Send it back, saying what should be otherwise."""
    return shown_request(await Desk(services, caller).ask_changes(number, body.comment))


@router.post("/requests/{id}/withdraw")
async def withdraw_request(
    body: CommentBody, caller: SignedIn, services: Services, number: RequestPath
) -> RequestAnswer:
    """Ask no longer; it ends when nobody else asks."""
    return shown_request(await Desk(services, caller).withdraw(number, body.comment))


@router.post("/requests/{id}/comments")
async def comment_request(
    body: CommentBody, caller: SignedIn, services: Services, number: RequestPath
) -> RequestAnswer:
    """Say something."""
    return shown_request(await Desk(services, caller).comment(number, body.comment))


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


def _ask(body: AskBody, why: str = "") -> Ask:
    return Ask(
        wants=body.wants, environment=body.environment, link=body.link, source=body.source, target=body.target,
        platforms=body.platforms, has_closure=body.has_closure, machine=body.machine, why=why,
    )  # fmt: skip
