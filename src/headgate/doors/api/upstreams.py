"""Mirrors: their upstreams, how they stand, and syncs."""

from typing import Annotated

from fastapi import APIRouter, Query

from headgate.channels.model import Channel, SourceKind
from headgate.conda.names import Subdir
from headgate.doors.api.callers import Mirroring, Reading, Services
from headgate.doors.api.channels import shown, upstream_of
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import (
    ChannelAnswer,
    JobAnswer,
    MirrorAnswer,
    MirrorSubdirAnswer,
    MirrorUpstreamAnswer,
    SyncBody,
    UpstreamAnswer,
    UpstreamBody,
)
from headgate.doors.api.paging import Listing
from headgate.http.masking import mask_url
from headgate.intake.status import UpstreamStatus, mirror_status, require_mirror

router = APIRouter(tags=["mirrors"], route_class=IdempotentRoute)


@router.get("/channels/{channel:path}/upstreams")
async def list_upstreams(visit: Reading) -> Listing[UpstreamAnswer]:
    """The upstreams of a mirror, the most important first; none for other channels."""
    return Listing(items=_upstreams(visit.channel), next=None)


@router.post("/channels/{channel:path}/upstreams", status_code=201)
async def add_upstream(body: UpstreamBody, visit: Mirroring, services: Services) -> ChannelAnswer:
    """Let a mirror follow another upstream, behind those it has."""
    upstream = upstream_of(body)
    await services.core.channels.add_upstream(visit.actor, visit.channel.name, upstream.url, upstream.subdirs)
    await services.snapshots.reload()
    return shown(services.catalog.get(visit.channel.name))


@router.delete("/channels/{channel:path}/upstreams", status_code=204)
async def remove_upstream(
    visit: Mirroring,
    services: Services,
    url: Annotated[
        str | None,
        Query(max_length=4096, description="Which one, as given or as shown; may be left out when it is the only one."),
    ] = None,
) -> None:
    """Stop following an upstream; its records leave the index."""
    await services.core.channels.remove_upstream(visit.actor, visit.channel.name, url)
    await services.snapshots.reload()


@router.get("/channels/{channel:path}/mirror")
async def show_mirror(visit: Reading, services: Services) -> MirrorAnswer:
    """How each upstream and subdir of a mirror stands."""
    found = await mirror_status(services.core.database, visit.channel)
    return MirrorAnswer(channel=visit.channel.name, upstreams=[_standing(one) for one in found])


@router.post("/channels/{channel:path}/sync", status_code=202)
async def sync_mirror(visit: Mirroring, services: Services, body: SyncBody | None = None) -> JobAnswer:
    """Ask for a sync; one for the same subdirs that is waiting or running already is that one."""
    require_mirror(visit.channel)
    wanted = None if body is None or body.subdirs is None else [Subdir.parse(subdir) for subdir in body.subdirs]
    await services.core.channels.note_wish_for_sync(visit.actor, visit.channel.name, wanted)
    job_id = await services.jobs.sync(visit.actor, visit.channel.name, wanted)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


def _upstreams(channel: Channel) -> list[UpstreamAnswer]:
    return [
        UpstreamAnswer(url=mask_url(source.url or ""), subdirs=None if source.subdirs is None else list(source.subdirs))
        for source in channel.sources
        if source.kind is SourceKind.UPSTREAM
    ]


def _standing(upstream: UpstreamStatus) -> MirrorUpstreamAnswer:
    source = upstream.source
    return MirrorUpstreamAnswer(
        url=mask_url(source.url or ""),
        subdirs=None if source.subdirs is None else list(source.subdirs),
        status=[
            MirrorSubdirAnswer(
                name=one.subdir,
                checked_at=one.checked_at,
                synced_at=one.synced_at,
                failure=one.failure,
                names=one.names,
            )
            for one in upstream.subdirs
        ],
    )
