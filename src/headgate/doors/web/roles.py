"""Roles: named sets of permissions."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.access.roles import BUILT_IN
from headgate.doors.web.admin import admin_page
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in

_HERE = "/admin/roles"


@signed_in
async def show_roles(viewer: Viewer) -> Response:
    """All roles, those of our own first."""
    viewer.require(Permission.ACCESS_READ)
    roles = sorted((await viewer.services.core.access.grants.list_roles()).items())
    roles.sort(key=lambda role: role[0] in BUILT_IN)
    shown = [(name, sorted(permissions), name in BUILT_IN) for name, permissions in roles]
    return admin_page(viewer, "roles.html", _HERE, roles=shown, permissions=sorted(Permission))


@change
async def create_role(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """With the permissions that are ticked."""
    viewer.require(Permission.ACCESS_MANAGE)
    name = form.get("name", "").strip()
    permissions = [one for one in Permission if form.get(f"may:{one}") == "on"]
    await viewer.services.core.access.grants.create_role(viewer.actor, name, permissions)
    await viewer.services.snapshots.reload()
    return viewer.go(_HERE, f"Role {name} is made.")


@change
async def delete_role(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """One that nobody has been granted."""
    viewer.require(Permission.ACCESS_MANAGE)
    name = form.get("name", "")
    require_typed(form, name)
    await viewer.services.core.access.grants.delete_role(viewer.actor, name)
    await viewer.services.snapshots.reload()
    return viewer.go(_HERE, f"Role {name} is deleted.")


ROUTES = [
    Route("/admin/roles", show_roles),
    Route("/admin/roles", create_role, methods=["POST"]),
    Route("/admin/roles/delete", delete_role, methods=["POST"]),
]
