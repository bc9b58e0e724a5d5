"""Filters of mirrors, tried and looked into; files fetched ahead."""

from fastapi import APIRouter

from headgate.audit.events import Action
from headgate.channels.mirror_service import find_mirror, mirror_of
from headgate.channels.mirrors import changed
from headgate.conda.names import Subdir
from headgate.doors.api.callers import Mirroring, Reading, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import JobAnswer
from headgate.doors.api.models_mirrors import DryRunAnswer, DryRunBody, FetchRequestBody, HeldBackAnswer
from headgate.doors.api.paging import Listing, Paging
from headgate.intake.dry_run import HeldBack, dry_run, iter_held_back
from headgate.intake.status import require_mirror
from headgate.intake.wanted import find_wanted

router = APIRouter(tags=["mirrors"], route_class=IdempotentRoute)


@router.post("/channels/{channel:path}/mirrors/{name}/filters/dry-run")
async def try_filters(name: str, body: DryRunBody, visit: Mirroring, services: Services) -> DryRunAnswer:
    """What filters would hold back of what is stored, and why; the body says how they differ from what is set."""
    source = find_mirror(visit.channel, name)
    now = mirror_of(source)
    wanted = changed(now, now, {"settings": {"filters": body.model_dump(exclude_unset=True, exclude={"subdirs"})}})
    subdirs = None if body.subdirs is None else {Subdir.parse(subdir) for subdir in body.subdirs}
    found = await dry_run(
        services.core.database, source, wanted.settings.filters, subdirs, services.core.store.folder.scratch
    )
    return DryRunAnswer.model_validate(found)


@router.get("/channels/{channel:path}/mirrors/{name}/filtered")
async def list_filtered(name: str, visit: Reading, services: Services, page: Paging) -> Listing[HeldBackAnswer]:
    """The records that a mirror's filters hold back, with the reason of each; whole packages at a time."""
    source = find_mirror(visit.channel, name)
    after = page.after(tuple[str, str]) or ("", "")
    found: list[HeldBack] = []
    async for batch in iter_held_back(services.core.database, source, after):
        found += batch
        if len({(one.subdir, one.package) for one in found}) > page.limit:
            break
    packages = list(dict.fromkeys((one.subdir, one.package) for one in found))
    shown, following = page.cut(packages, lambda last: last)
    chosen = set(shown)
    items = [HeldBackAnswer.model_validate(one) for one in found if (one.subdir, one.package) in chosen]
    return Listing(items=items, next=following)


@router.post("/channels/{channel:path}/fetch", status_code=202)
async def fetch_ahead(visit: Mirroring, services: Services, body: FetchRequestBody | None = None) -> JobAnswer:
    """Ask for files ahead: what the mirrors' settings want, or what a lock file or match specs name."""
    require_mirror(visit.channel)
    wanted = FetchRequestBody() if body is None else body
    files = await find_wanted(services.core.database, visit.channel, wanted.text, wanted.specs or ())
    detail = {"files": None if files is None else len(files)}
    await services.core.channels.note_wish(visit.actor, Action.MIRROR_ASK_FETCH, visit.channel.name, **detail)
    job_id = await services.jobs.fetch(visit.actor, visit.channel.name, files)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))
