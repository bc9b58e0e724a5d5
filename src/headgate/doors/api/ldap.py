"""LDAP directories: listed, added, changed, removed, tried out and followed."""

from fastapi import APIRouter

from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import AccessManager, AccessReader, Services
from headgate.doors.api.models import JobAnswer
from headgate.doors.api.models_access import NamePath
from headgate.doors.api.models_ldap import (
    LdapChangeBody,
    LdapDirectoryAnswer,
    LdapDirectoryBody,
    LdapStepAnswer,
    LdapSyncBody,
    LdapTestAnswer,
    LdapTestBody,
    shown_directory,
)
from headgate.doors.api.paging import Listing, Number, Paging

# Not idempotent by key: bodies hold passwords.
router = APIRouter(tags=["ldap"], route_class=BoundedRoute)


@router.get("/ldap-directories")
async def list_directories(_caller: AccessReader, services: Services, page: Paging) -> Listing[LdapDirectoryAnswer]:
    """The directories, in the order in which they are asked."""
    (after,) = page.after(tuple[Number]) or (0,)
    known = await services.core.ldap.list_directories()
    found, following = page.cut(
        [one for one in known if one.directory.position > after], lambda one: (one.directory.position,)
    )
    return Listing(items=[shown_directory(one) for one in found], next=following)


@router.post("/ldap-directories", status_code=201)
async def add_directory(body: LdapDirectoryBody, caller: AccessManager, services: Services) -> LdapDirectoryAnswer:
    """Add a directory: a template, and what differs from it."""
    await services.core.ldap.add(caller.actor, body.name, body.change(), body.template)
    return await _changed(services, body.name)


@router.get("/ldap-directories/{name}")
async def show_directory(_caller: AccessReader, services: Services, name: NamePath) -> LdapDirectoryAnswer:
    """One directory, and how its last sync went."""
    return shown_directory(await services.core.ldap.get(name))


@router.patch("/ldap-directories/{name}")
async def change_directory(
    body: LdapChangeBody, caller: AccessManager, services: Services, name: NamePath
) -> LdapDirectoryAnswer:
    """Change what is given."""
    await services.core.ldap.change(caller.actor, name, body.change())
    return await _changed(services, name)


@router.put("/ldap-directories/{name}")
async def replace_directory(
    body: LdapChangeBody, caller: AccessManager, services: Services, name: NamePath
) -> LdapDirectoryAnswer:
    """Replace every setting; the bind password stays unless another is given."""
    await services.core.ldap.change(caller.actor, name, body.change(), is_whole=True)
    return await _changed(services, name)


@router.delete("/ldap-directories/{name}", status_code=204)
async def remove_directory(caller: AccessManager, services: Services, name: NamePath) -> None:
    """Remove a directory; its people are disabled."""
    await services.core.ldap.remove(caller.actor, name)
    await services.snapshots.reload()


@router.post("/ldap-directories/{name}/sync", status_code=202)
async def sync_directory(
    caller: AccessManager, services: Services, name: NamePath, body: LdapSyncBody | None = None
) -> JobAnswer:
    """Ask for a sync; one that is waiting or running already is that one."""
    is_forced = body is not None and body.force
    await services.core.ldap.note_sync(caller.actor, name, is_forced=is_forced)
    job_id = await services.jobs.sync_ldap(caller.actor, name, is_forced=is_forced)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


@router.post("/ldap-directories/{name}/test")
async def try_directory(
    body: LdapTestBody, _caller: AccessManager, services: Services, name: NamePath
) -> LdapTestAnswer:
    """Try a directory out with somebody's login: each step, and what to do about one that failed. Changes nothing."""
    kept = await services.core.ldap.get(name)
    steps = await services.ldap_examiner.examine(name, body.login, body.password)
    return LdapTestAnswer(
        directory=name,
        is_ok=bool(steps) and steps[-1].is_ok,
        warnings=list(kept.directory.settings.warnings),
        steps=[LdapStepAnswer.model_validate(step) for step in steps],
    )


async def _changed(services: Services, name: str) -> LdapDirectoryAnswer:
    await services.snapshots.reload()
    return shown_directory(await services.core.ldap.get(name))
