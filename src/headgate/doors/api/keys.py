"""What the server takes without being asked: trusted keys, and what came by the drop folder."""

from fastapi import APIRouter

from headgate.airgap.drops import list_dropped
from headgate.doors.api.callers import BundleTruster, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import JobAnswer
from headgate.doors.api.models_access import NamePath
from headgate.doors.api.models_bundles import DroppedAnswer, KeyAnswer, KeyBody
from headgate.doors.api.paging import Listing, Number, Paging

router = APIRouter(tags=["bundles"], route_class=IdempotentRoute)


@router.get("/bundles/keys")
async def list_keys(_caller: BundleTruster, services: Services, page: Paging) -> Listing[KeyAnswer]:
    """The keys whose bundles are taken, by name."""
    keys, following = page.cut_whole(await services.core.trust.list_keys(), lambda key: (key.name,))
    return Listing(items=[KeyAnswer.model_validate(key) for key in keys], next=following)


@router.post("/bundles/keys", status_code=201)
async def add_key(body: KeyBody, caller: BundleTruster, services: Services) -> KeyAnswer:
    """Trust a key."""
    return KeyAnswer.model_validate(await services.core.trust.add(caller.actor, body.name, body.key))


@router.delete("/bundles/keys/{name}", status_code=204)
async def remove_key(caller: BundleTruster, services: Services, name: NamePath) -> None:
    """Trust a key no longer; what came with it stays."""
    await services.core.trust.remove(caller.actor, name)


@router.get("/bundles/dropped")
async def list_drops(_caller: BundleTruster, services: Services, page: Paging) -> Listing[DroppedAnswer]:
    """What came by the drop folder, the newest first."""
    (before,) = page.after(tuple[Number]) or (None,)
    found = await list_dropped(services.core.database, before=before, limit=page.limit + 1)
    dropped, following = page.cut(found, lambda one: (one[0],))
    return Listing(items=[DroppedAnswer.model_validate(one) for _, one in dropped], next=following)


@router.post("/bundles/scan", status_code=202)
async def scan_drops(caller: BundleTruster, services: Services) -> JobAnswer:
    """Look through the drop folder now; answers with the job."""
    job_id = await services.jobs.scan_drops(caller.actor)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))
