"""Saved views: filters of pages, of the caller, and those that others share."""

from typing import Annotated

from fastapi import APIRouter, Path

from headgate.access.decisions import decide, decide_tokens_of
from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.access.views import NEEDED, Place, ViewWish
from headgate.doors.api.callers import Services, SignedIn, insist, require
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_views import ViewAnswer, ViewBody
from headgate.doors.api.paging import Listing, Number, Paging

router = APIRouter(tags=["views"], route_class=IdempotentRoute)


@router.get("/views")
async def list_views(
    caller: SignedIn, services: Services, page: Paging, place: Place | None = None
) -> Listing[ViewAnswer]:
    """The caller's saved views, and those that others share, of pages that the caller may see; in the order they were made."""
    (after,) = page.after(tuple[Number]) or (0,)
    places = [one for one in Place if place in {None, one} and _may_see(caller, one)]
    found = sorted(await services.core.access.views.list_views(_number(caller), places), key=lambda one: one.id)
    shown, following = page.cut([one for one in found if one.id > after], lambda one: (one.id,))
    return Listing(items=[ViewAnswer.model_validate(one) for one in shown], next=following)


@router.put("/views")
async def save_view(body: ViewBody, caller: SignedIn, services: Services) -> ViewAnswer:
    """Save a filter under a name; the caller's view of that name on that page becomes this one.

    A token must not be narrowed to less than `admin`. Sharing it needs `view:share`.
    """
    insist(decide_tokens_of(caller, caller))
    needed = NEEDED[body.place]
    if needed is not None:
        require(caller, needed)
    if body.is_shared:
        require(caller, Permission.VIEW_SHARE)
    wish = ViewWish(body.place, body.name, body.query, body.is_shared)
    return ViewAnswer.model_validate(await services.core.access.views.save(caller.actor, _number(caller), wish))


@router.delete("/views/{id}", status_code=204)
async def remove_view(
    caller: SignedIn, services: Services, number: Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[7])]
) -> None:
    """Remove one of the caller's saved views, or with `view:share` one that somebody shares."""
    insist(decide_tokens_of(caller, caller))
    may_share = decide(caller, Permission.VIEW_SHARE, None, None).is_allowed
    await services.core.access.views.remove(caller.actor, _number(caller), number, may_manage_shared=may_share)


def _may_see(caller: Principal, place: Place) -> bool:
    needed = NEEDED[place]
    return needed is None or decide(caller, needed, None, None).is_allowed


def _number(caller: Principal) -> int:
    return caller.user_id or 0
