"""Promotions: looked at before anybody decides, decided, undone."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path

from headgate.access.permissions import Permission
from headgate.approvals.asking import Given
from headgate.approvals.plans import Plan, Wish
from headgate.approvals.promotions import Promotion
from headgate.conda.names import Subdir
from headgate.doors.api.callers import Services, SignedIn, may_read, visit
from headgate.doors.api.idempotency import EnvironmentRoute
from headgate.doors.api.models_promotions import (
    PlanAnswer,
    PromotionAnswer,
    PromotionBody,
    WishBody,
    shown_plan,
    shown_promotion,
)
from headgate.doors.api.paging import Listing, Number, Paging
from headgate.kernel.errors import NotFound

router = APIRouter(tags=["promotions"], route_class=EnvironmentRoute)

PromotionPath = Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[12])]


@router.post("/promotions/preview")
async def preview_promotion(body: WishBody, caller: SignedIn, services: Services) -> PlanAnswer:
    """What would pass, file by file; changes nothing."""
    plan, notes = await _plan(body, caller, services)
    return shown_plan(plan, notes)


@router.post("/promotions", status_code=202)
async def promote(body: PromotionBody, caller: SignedIn, services: Services) -> PromotionAnswer:
    """Decide that it passes; a job brings the bytes in, then the target's index gets all of it at once."""
    plan, _ = await _plan(body, caller, services)
    number = await services.promotions.create(caller.actor, plan, digest=body.digest, comment=body.comment)
    job = await services.jobs.promote(caller.actor, number)
    return shown_promotion(await services.promotions.get(number), job)


@router.get("/promotions")
async def list_promotions(caller: SignedIn, services: Services, page: Paging) -> Listing[PromotionAnswer]:
    """Promotions into channels that one may read, the newest first; without their files."""
    (before,) = page.after(tuple[Number]) or (None,)
    shown: list[Promotion] = []
    while len(shown) <= page.limit:
        found = await services.promotions.list_promotions(before=before, limit=page.limit + 1)
        shown += [one for one in found if _may_see(one, caller, services)]
        if len(found) <= page.limit:
            break
        before = found[-1].id
    items, following = page.cut(shown, lambda one: (one.id,))
    return Listing(items=[shown_promotion(one) for one in items], next=following)


@router.get("/promotions/{id}")
async def show_promotion(caller: SignedIn, services: Services, number: PromotionPath) -> PromotionAnswer:
    """One promotion with its files."""
    return shown_promotion(await _visible(number, caller, services))


@router.post("/promotions/{id}/undo")
async def undo_promotion(caller: SignedIn, services: Services, number: PromotionPath) -> PromotionAnswer:
    """Take back what a promotion brought; what other packages of the target need stays, and is named in the audit."""
    found = await _visible(number, caller, services)
    target = visit(services, caller, Permission.PROMOTION_INTO, found.target).channel
    kept = await services.planner.needed_by_others(target, found.new)
    await services.promotions.undo(caller.actor, number, kept)
    await services.snapshots.reload()
    return shown_promotion(await services.promotions.get(number))


async def _plan(body: WishBody, caller: SignedIn, services: Services) -> tuple[Plan, Sequence[str]]:
    source = visit(services, caller, Permission.PROMOTION_OUT, body.source).channel
    pipelines = services.core.life.pipelines
    following = body.target or await pipelines.next_of(source.name)
    target = visit(services, caller, Permission.PROMOTION_INTO, following).channel
    await pipelines.require_step(source.name, target.name)
    platforms = [Subdir.parse(platform) for platform in body.platforms]
    read = await asyncio.to_thread(Given(body.wants, body.environment, platforms).read)
    source = await services.freshness.read_first(source, read.platforms)
    wish = Wish(read.texts, source, target, read.platforms, has_closure=body.has_closure, machine=body.machine)
    return await services.planner.plan(wish), read.notes


def _may_see(promotion: Promotion, caller: SignedIn, services: Services) -> bool:
    target = services.catalog.find(promotion.target)
    return may_read(caller, target) if target is not None else caller.is_administrator


async def _visible(number: int, caller: SignedIn, services: Services) -> Promotion:
    found = await services.promotions.get(number)
    if not _may_see(found, caller, services):
        raise NotFound("promotion-unknown", f"There is no promotion {number}.")
    return found
