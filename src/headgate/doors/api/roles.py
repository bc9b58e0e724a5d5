"""Roles: listed, created, deleted."""

from collections.abc import Collection

from fastapi import APIRouter

from headgate.access.permissions import Permission
from headgate.access.roles import BUILT_IN
from headgate.doors.api.callers import AccessManager, AccessReader, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_access import NamePath, RoleAnswer, RoleBody
from headgate.doors.api.paging import Listing, Paging

router = APIRouter(tags=["roles"], route_class=IdempotentRoute)


@router.get("/roles")
async def list_roles(_caller: AccessReader, services: Services, page: Paging) -> Listing[RoleAnswer]:
    """The roles with their permissions, built-in ones included, by name."""
    roles = sorted((await services.core.access.grants.list_roles()).items())
    shown, following = page.cut_whole((_shown(*role) for role in roles), lambda role: (role.name,))
    return Listing(items=shown, next=following)


@router.post("/roles", status_code=201)
async def create_role(body: RoleBody, caller: AccessManager, services: Services) -> RoleAnswer:
    """Create a role."""
    permissions = frozenset(body.permissions)
    await services.core.access.grants.create_role(caller.actor, body.name, permissions)
    await services.snapshots.reload()
    return _shown(body.name, permissions)


@router.delete("/roles/{name}", status_code=204)
async def delete_role(caller: AccessManager, services: Services, name: NamePath) -> None:
    """Delete a role that nobody has been granted; built-in ones stay."""
    await services.core.access.grants.delete_role(caller.actor, name)
    await services.snapshots.reload()


def _shown(name: str, permissions: Collection[Permission]) -> RoleAnswer:
    return RoleAnswer(name=name, permissions=sorted(permissions), is_built_in=name in BUILT_IN)
