"""Files of a hosted channel that are copied, moved, yanked, brought back or deleted together."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from headgate.access.decisions import decide_for_some
from headgate.access.permissions import Permission
from headgate.approvals.batches import Batch, BatchAction, BatchWish
from headgate.conda.names import ChannelName, Subdir
from headgate.doors.api.callers import ChannelPath, Services, SignedIn, Visit, visit
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_batches import BatchAnswer, BatchBody, shown_batch

router = APIRouter(tags=["artifacts"], route_class=IdempotentRoute)

_MOST_AT_ONCE = 500
"""What more files take is left to a job."""
_OUT = {
    BatchAction.COPY: (Permission.PROMOTION_OUT,),
    BatchAction.MOVE: (Permission.PROMOTION_OUT, Permission.ARTIFACT_DELETE),
}
_WITHIN = (Permission.ARTIFACT_DELETE,)


async def _wish_of(body: BatchBody, channel: ChannelPath, caller: SignedIn, services: Services) -> "_Wished":
    """Raises Refused unless the caller may do that with some packages; which ones is known later."""
    needed = _OUT.get(body.action, _WITHIN)
    (source, *_) = (visit(services, caller, one, channel, decide_for_some) for one in needed)
    target = None
    if body.target is not None:
        target = visit(services, caller, Permission.PROMOTION_INTO, body.target, decide_for_some)
    wish = BatchWish(
        action=body.action,
        channel=source.channel.name,
        texts=body.wants,
        target=None if target is None else ChannelName(target.channel.name),
        subdirs=[Subdir.parse(name) for name in body.subdirs],
    )
    return _Wished(body, wish, source, target)


class _Wished:
    """A wish, with the visits to the channels that it is about."""

    def __init__(self, body: BatchBody, wish: BatchWish, source: Visit, target: Visit | None) -> None:
        self.body = body
        self.wish = wish
        self.source = source
        self.target = target

    async def plan(self, services: Services) -> Batch:
        """What would be done. Raises Refused for a package that the caller may not do it with."""
        batch = await services.core.life.batches.plan(self.wish)
        for package in sorted(batch.packages):
            for permission in _OUT.get(self.wish.action, _WITHIN):
                self.source.require(permission, package)
            if self.target is not None:
                self.target.require(Permission.PROMOTION_INTO, package)
        return batch


Wished = Annotated[_Wished, Depends(_wish_of)]


@router.post("/channels/{channel:path}/batches/preview")
async def preview_batch(wished: Wished, services: Services) -> BatchAnswer:
    """Which files would be copied, moved, yanked, brought back or deleted; changes nothing."""
    return shown_batch(await wished.plan(services))


@router.post(
    "/channels/{channel:path}/batches",
    responses={202: {"description": "They are many; a job does it.", "model": BatchAnswer}},
)
async def change_files(wished: Wished, response: Response, services: Services) -> BatchAnswer:
    """Change them, all or none, as one revision per subdir of each channel."""
    batch = await wished.plan(services)
    actor, digest = wished.source.actor, wished.body.digest or batch.digest
    if len(batch.items) > _MOST_AT_ONCE:
        response.status_code = 202
        return shown_batch(batch, await services.jobs.change(actor, wished.wish, digest, wished.body.comment))
    await services.core.life.batches.carry_out(actor, wished.wish, digest=digest, comment=wished.body.comment)
    await services.snapshots.reload()
    return shown_batch(batch)
