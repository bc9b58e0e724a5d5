"""Mirrors: what a channel follows, how that stands, and syncs."""

from typing import Any

from fastapi import APIRouter

from headgate.audit.events import Action
from headgate.channels.mirror_service import find_mirror
from headgate.channels.model import Source, SourceKind
from headgate.conda.names import Subdir
from headgate.doors.api.callers import Mirroring, Reading, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import JobAnswer
from headgate.doors.api.models_mirrors import (
    MirrorAnswer,
    MirrorBody,
    MirrorChange,
    MirrorStatusAnswer,
    MirrorSubdirAnswer,
    StandingAnswer,
    SyncBody,
)
from headgate.doors.api.models_network import RestingAnswer, TrialAnswer, TrialsAnswer
from headgate.doors.api.paging import Listing
from headgate.doors.api.services import ApiServices
from headgate.intake.status import MirrorStatus, mirror_status, require_mirror
from headgate.intake.trial import try_mirror

router = APIRouter(tags=["mirrors"], route_class=IdempotentRoute)


@router.get("/channels/{channel:path}/mirrors")
async def list_mirrors(visit: Mirroring, services: Services) -> Listing[MirrorAnswer]:
    """The mirrors of a channel, the most important first; none for channels of other kinds."""
    found = [_shown(services, source) for source in visit.channel.sources if source.kind is SourceKind.UPSTREAM]
    return Listing(items=found, next=None)


@router.post("/channels/{channel:path}/mirrors", status_code=201)
async def add_mirror(body: MirrorBody, visit: Mirroring, services: Services) -> MirrorAnswer:
    """Let a channel follow another mirror, behind those it has."""
    name = await services.core.mirrors.add(visit.actor, visit.channel.name, body.mirror())
    return await _now(visit, services, name)


@router.get("/channels/{channel:path}/mirrors/{name}")
async def show_mirror(name: str, visit: Mirroring, services: Services) -> MirrorAnswer:
    """One mirror."""
    return _shown(services, find_mirror(visit.channel, name))


@router.put("/channels/{channel:path}/mirrors/{name}")
async def replace_mirror(name: str, body: MirrorBody, visit: Mirroring, services: Services) -> MirrorAnswer:
    """Make a mirror what the body says; settings that it leaves out, and secrets that it shows as `•••`, stay."""
    return await _change(visit, services, name, {"subdirs": None} | body.given())


@router.patch("/channels/{channel:path}/mirrors/{name}")
async def change_mirror(name: str, body: MirrorChange, visit: Mirroring, services: Services) -> MirrorAnswer:
    """Change what is given."""
    return await _change(visit, services, name, body.given())


@router.delete("/channels/{channel:path}/mirrors/{name}", status_code=204)
async def remove_mirror(name: str, visit: Mirroring, services: Services) -> None:
    """Stop following a mirror; what only it has leaves the index."""
    await services.core.mirrors.remove(visit.actor, visit.channel.name, name)
    await services.snapshots.reload()


@router.post("/channels/{channel:path}/mirrors/{name}/test")
async def test_mirror(name: str, visit: Mirroring, services: Services) -> TrialsAnswer:
    """Try each URL of a mirror: name, proxy, TLS, credentials, repodata, one package's head."""
    source = find_mirror(visit.channel, name)
    trials = await try_mirror(services.routes, source)
    return TrialsAnswer(
        channel=visit.channel.name,
        mirror=name,
        is_good=any(trial.is_good for trial in trials),
        warnings=services.routes.warnings(source),
        trials=[TrialAnswer.model_validate(trial) for trial in trials],
    )


@router.get("/channels/{channel:path}/mirror")
async def show_standing(visit: Reading, services: Services) -> StandingAnswer:
    """How each mirror of a channel stands, subdir by subdir."""
    found = await mirror_status(services.core.database, visit.channel)
    return StandingAnswer(channel=visit.channel.name, mirrors=[_standing(one, services) for one in found])


@router.post("/channels/{channel:path}/sync", status_code=202)
async def sync_mirror(visit: Mirroring, services: Services, body: SyncBody | None = None) -> JobAnswer:
    """Ask for a sync; one for the same mirror and subdirs that is waiting or running already is that one."""
    require_mirror(visit.channel)
    wanted = SyncBody() if body is None else body
    subdirs = None if wanted.subdirs is None else [Subdir.parse(subdir) for subdir in wanted.subdirs]
    if wanted.mirror is not None:
        find_mirror(visit.channel, wanted.mirror)
    detail = {"subdirs": subdirs, "mirror": wanted.mirror}
    await services.core.channels.note_wish(visit.actor, Action.MIRROR_ASK_SYNC, visit.channel.name, **detail)
    job_id = await services.jobs.sync(visit.actor, visit.channel.name, subdirs, wanted.mirror)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


async def _change(visit: Mirroring, services: Services, name: str, given: dict[str, Any]) -> MirrorAnswer:
    """Change a mirror; what takes effect through a sync alone, filters and files ahead, asks for one."""
    before = find_mirror(visit.channel, name).settings
    await services.core.mirrors.set(visit.actor, visit.channel.name, name, given)
    answer = await _now(visit, services, given.get("name", name))
    after = find_mirror(services.catalog.get(visit.channel.name), answer.name).settings
    if (before.filters, before.fetch) != (after.filters, after.fetch):
        await services.jobs.sync(visit.actor, visit.channel.name, mirror=answer.name)
    return answer


async def _now(visit: Mirroring, services: Services, name: str) -> MirrorAnswer:
    await services.snapshots.reload()
    return _shown(services, find_mirror(services.catalog.get(visit.channel.name), name))


def _shown(services: ApiServices, source: Source) -> MirrorAnswer:
    return MirrorAnswer.model_validate(source.as_json() | {"warnings": services.routes.warnings(source)})


def _standing(mirror: MirrorStatus, services: Services) -> MirrorStatusAnswer:
    source = mirror.source
    return MirrorStatusAnswer(
        name=source.name or "",
        urls=list(source.urls),
        subdirs=None if source.subdirs is None else list(source.subdirs),
        warnings=services.routes.warnings(source),
        resting=[RestingAnswer.model_validate(one) for one in services.routes.resting(source)],
        status=[
            MirrorSubdirAnswer(
                name=one.subdir,
                checked_at=one.checked_at,
                synced_at=one.synced_at,
                failure=one.failure,
                names=one.names,
            )
            for one in mirror.subdirs
        ],
    )
