"""Channels that are frozen, unfrozen and rolled back; and what a clean-up would take from them."""

from fastapi import APIRouter

from headgate.conda.names import Subdir
from headgate.doors.api.callers import JobManager, Managing, Reading, Services
from headgate.doors.api.channels import shown
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_channels import ChannelAnswer
from headgate.doors.api.models_life import CommentBody, FrozenNamesAnswer, RollbackAnswer, RollbackBody, shown_plan
from headgate.doors.api.models_retention import RetentionAnswer, shown_retention
from headgate.kernel.errors import Invalid

router = APIRouter(tags=["channels"], route_class=IdempotentRoute)


@router.post("/channels/{channel:path}/freeze")
async def freeze_channel(body: CommentBody, visit: Managing, services: Services) -> ChannelAnswer:
    """Let a channel's index stand still; uploads, promotions, syncs and policies wait."""
    await services.core.life.freezing.freeze(visit.actor, visit.channel.name, body.comment)
    await services.snapshots.reload()
    return shown(services.catalog.get(visit.channel.name))


@router.post("/channels/{channel:path}/unfreeze")
async def unfreeze_channel(body: CommentBody, visit: Managing, services: Services) -> ChannelAnswer:
    """Let a frozen channel move again; what waited is published, as one revision per subdir."""
    await services.core.life.freezing.unfreeze(visit.actor, visit.channel.name, body.comment)
    await services.snapshots.reload()
    return shown(services.catalog.get(visit.channel.name))


@router.get("/channels/{channel:path}/retention")
async def foresee_retention(visit: Managing, services: Services) -> RetentionAnswer:
    """What the next clean-up would remove of a channel, by the settings as they are; removes nothing."""
    retention = services.core.retention
    return shown_retention(await retention.foresee(visit.channel), retention.ages)


@router.get("/retention")
async def foresee_all(_caller: JobManager, services: Services) -> RetentionAnswer:
    """What the next clean-up would remove of all channels; removes nothing."""
    retention = services.core.retention
    return shown_retention(await retention.foresee(), retention.ages)


@router.get("/channels/{channel:path}/waiting")
async def show_waiting(visit: Reading, services: Services) -> FrozenNamesAnswer:
    """How many package names wait for a channel to be unfrozen."""
    return FrozenNamesAnswer(subdirs=dict(await services.core.life.freezing.waiting(visit.channel)))


@router.post("/channels/{channel:path}/rollback/preview")
async def preview_rollback(body: RollbackBody, visit: Managing, services: Services) -> RollbackAnswer:
    """What a rollback would do, file by file; changes nothing."""
    targets = await _targets(body, visit, services)
    return shown_plan(await services.core.life.rollbacks.plan(visit.channel, targets))


@router.post("/channels/{channel:path}/rollback")
async def roll_back(body: RollbackBody, visit: Managing, services: Services) -> RollbackAnswer:
    """Publish an earlier state of a hosted channel as its next revision; answers with what was done."""
    targets = await _targets(body, visit, services)
    done = await services.core.life.rollbacks.roll_back(
        visit.actor, visit.channel.name, targets, digest=body.digest, comment=body.comment
    )
    await services.snapshots.reload()
    return shown_plan(done)


async def _targets(body: RollbackBody, visit: Managing, services: Services) -> dict[Subdir, int]:
    if (body.revisions is None) == (body.moment is None):
        raise Invalid("rollback-aimless", "Say either `revisions` or `moment`.")
    if body.revisions is not None:
        return {Subdir.parse(name): number for name, number in body.revisions.items()}
    assert body.moment is not None
    if body.moment.tzinfo is None:
        raise Invalid("rollback-aimless", "`moment` needs a time zone: 2026-03-01T09:00:00Z.")
    subdirs = [Subdir.parse(name) for name in body.subdirs]
    found = await services.core.life.rollbacks.revisions_at(visit.channel, body.moment, subdirs)
    newest = visit.channel.subdirs
    moved = {subdir: number for subdir, number in found.items() if number < newest[subdir].revision}
    if not moved:
        raise Invalid("rollback-aimless", f"Channel {visit.channel.name} has not changed since then.")
    return moved
