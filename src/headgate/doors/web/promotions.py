"""Promotions: what passed from one channel into another, by whose decision, and the way back."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.approvals.promotions import Promotion, PromotionState
from headgate.doors.web.promoting import may_promote
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in
from headgate.kernel.errors import NotFound

_AT_ONCE = 50
_MOST_FILES = 500
_COLOURS: Mapping[PromotionState, str] = {
    PromotionState.APPLIED: "green",
    PromotionState.FAILED: "red",
    PromotionState.UNDONE: "orange",
}


@signed_in
async def show_promotions(viewer: Viewer) -> Response:
    """Those into channels that the viewer may read, the newest first."""
    before = _number(viewer.request.query_params.get("before") or "0") or None
    shown: list[Promotion] = []
    while len(shown) <= _AT_ONCE:
        found = await viewer.services.promotions.list_promotions(before=before, limit=_AT_ONCE + 1)
        shown += [one for one in found if _may_see(viewer, one)]
        if len(found) <= _AT_ONCE:
            break
        before = found[-1].id
    following = None
    if len(shown) > _AT_ONCE:
        following = "?" + urlencode({"before": shown[_AT_ONCE - 1].id})
    return viewer.page(
        "promotions.html",
        promotions=shown[:_AT_ONCE],
        following=following,
        colours=_COLOURS,
        may_promote=may_promote(viewer),
    )


@signed_in
async def show_promotion(viewer: Viewer) -> Response:
    """One of them with its files."""
    found = await _visible(viewer)
    target = viewer.services.catalog.find(found.target)
    may_undo = target is not None and viewer.may(Permission.PROMOTION_INTO, target)
    return viewer.page(
        "promotion.html",
        one=found,
        files=found.items[:_MOST_FILES],
        more=max(0, len(found.items) - _MOST_FILES),
        may_undo=may_undo and found.state is PromotionState.APPLIED,
        colours=_COLOURS,
    )


@change
async def undo_promotion(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Take back what it brought; what other packages of the target need stays. The channel's name is asked for."""
    found = await _visible(viewer)
    target = viewer.channel(Permission.PROMOTION_INTO, found.target)
    require_typed(form, target.name)
    kept = await viewer.services.planner.needed_by_others(target, found.new)
    await viewer.services.promotions.undo(viewer.actor, found.id, kept)
    await viewer.services.snapshots.reload()
    stays = f" {len(kept)} of its files stay: other packages need them." if kept else ""
    return viewer.go(f"/promotions/{found.id}", f"Promotion {found.id} is undone.{stays}")


async def _visible(viewer: Viewer) -> Promotion:
    number = _number(viewer.request.path_params["number"])
    found = await viewer.services.promotions.get(number)
    if not _may_see(viewer, found):
        raise NotFound("promotion-unknown", f"There is no promotion {number}.")
    return found


def _may_see(viewer: Viewer, promotion: Promotion) -> bool:
    target = viewer.services.catalog.find(promotion.target)
    if target is None:
        return viewer.principal.is_administrator
    return viewer.may(Permission.CHANNEL_READ, target)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise NotFound("promotion-unknown", f"There is no promotion {text[:20]!r}.")
    return int(text)


ROUTES = [
    Route("/promotions", show_promotions),
    Route("/promotions/{number}", show_promotion),
    Route("/promotions/{number}/undo", undo_promotion, methods=["POST"]),
]
