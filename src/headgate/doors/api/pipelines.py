"""Pipelines: made, looked at with how far each stage is behind, changed, deleted."""

from collections.abc import Iterable

from fastapi import APIRouter

from headgate.access.permissions import Permission
from headgate.approvals.pipelines import Pipeline, measure_lags
from headgate.conda.names import ChannelName
from headgate.doors.api.callers import Services, SignedIn, may_read, visit
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_access import NamePath
from headgate.doors.api.models_batches import PipelineAnswer, PipelineBody, PipelineChange, shown_pipeline
from headgate.doors.api.paging import Listing, Paging
from headgate.kernel.errors import NotFound

router = APIRouter(tags=["promotions"], route_class=IdempotentRoute)


@router.get("/pipelines")
async def list_pipelines(caller: SignedIn, services: Services, page: Paging) -> Listing[PipelineAnswer]:
    """The pipelines all of whose channels the caller may read, by name."""
    found = [one for one in await services.core.life.pipelines.list_pipelines() if _may_see(one, caller, services)]
    shown, following = page.cut_whole(found, lambda one: (one.name,))
    return Listing(items=[shown_pipeline(one) for one in shown], next=following)


@router.post("/pipelines", status_code=201)
async def create_pipeline(body: PipelineBody, caller: SignedIn, services: Services) -> PipelineAnswer:
    """Make a pipeline; needs `channel:manage` on each of its channels."""
    stages = _managed(body.stages, caller, services)
    await services.core.life.pipelines.create(caller.actor, body.name, stages, is_strict=body.is_strict)
    return shown_pipeline(await services.core.life.pipelines.get(body.name))


@router.get("/pipelines/{name}")
async def show_pipeline(caller: SignedIn, services: Services, name: NamePath) -> PipelineAnswer:
    """One pipeline, with how far each stage is behind the one before it."""
    found = await _visible(name, caller, services)
    stages = [services.catalog.get(stage) for stage in found.stages]
    return shown_pipeline(found, await measure_lags(services.planner.reader, stages))


@router.patch("/pipelines/{name}")
async def change_pipeline(body: PipelineChange, caller: SignedIn, services: Services, name: NamePath) -> PipelineAnswer:
    """Change what is given; needs `channel:manage` on each channel that it has, and will have."""
    found = await _visible(name, caller, services)
    _managed(found.stages, caller, services)
    stages = None if body.stages is None else _managed(body.stages, caller, services)
    await services.core.life.pipelines.set(caller.actor, name, stages=stages, is_strict=body.is_strict)
    return shown_pipeline(await services.core.life.pipelines.get(name))


@router.delete("/pipelines/{name}", status_code=204)
async def delete_pipeline(caller: SignedIn, services: Services, name: NamePath) -> None:
    """Delete a pipeline; its channels stay."""
    found = await _visible(name, caller, services)
    _managed(found.stages, caller, services)
    await services.core.life.pipelines.delete(caller.actor, name)


async def _visible(name: str, caller: SignedIn, services: Services) -> Pipeline:
    """Raises NotFound `pipeline-unknown` also for one that the caller may not see."""
    found = await services.core.life.pipelines.get(name)
    if not _may_see(found, caller, services):
        raise NotFound("pipeline-unknown", f"There is no pipeline {name}.")
    return found


def _may_see(pipeline: Pipeline, caller: SignedIn, services: Services) -> bool:
    channels = [services.catalog.find(stage) for stage in pipeline.stages]
    return all(channel is not None and may_read(caller, channel) for channel in channels)


def _managed(names: Iterable[str], caller: SignedIn, services: Services) -> list[ChannelName]:
    """Raises Refused unless the caller manages them all, NotFound `channel-unknown`."""
    return [visit(services, caller, Permission.CHANNEL_MANAGE, name).channel.name for name in names]
