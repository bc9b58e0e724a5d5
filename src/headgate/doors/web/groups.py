"""Groups, and who is in them."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.doors.web.admin import admin_page
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in

_HERE = "/admin/groups"


@signed_in
async def show_groups(viewer: Viewer) -> Response:
    """All groups with their members."""
    viewer.require(Permission.ACCESS_READ)
    access = viewer.services.core.access
    groups = await access.groups.list_groups()
    users = await access.users.list_users()
    return admin_page(viewer, "groups.html", _HERE, groups=groups, users=users)


@change
async def create_group(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """An empty one."""
    viewer.require(Permission.ACCESS_MANAGE)
    name = form.get("name", "").strip()
    await viewer.services.core.access.groups.create(viewer.actor, name)
    return await _done(viewer, f"Group {name} is made.")


@change
async def add_member(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """A user, a service account, or another group."""
    return await _move(viewer, form, is_added=True)


@change
async def remove_member(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Out of the group; can be taken back."""
    return await _move(viewer, form, is_added=False)


async def _move(viewer: Viewer, form: Mapping[str, str], *, is_added: bool) -> Response:
    viewer.require(Permission.ACCESS_MANAGE)
    name, member = form.get("name", ""), form.get("member", "").strip()
    kind = "group" if form.get("kind") == "group" else "user"
    groups = viewer.services.core.access.groups
    await (groups.add if is_added else groups.remove)(viewer.actor, name, **{kind: member})
    said = f"{member} is in {name}." if is_added else f"{member} is out of {name}."
    back = Undo(f"{_HERE}/{'remove' if is_added else 'add'}", {"name": name, "member": member, "kind": kind})
    return await _done(viewer, said, back, form.get("then"))


@change
async def delete_group(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """With its grants; its members stay."""
    viewer.require(Permission.ACCESS_MANAGE)
    name = form.get("name", "")
    require_typed(form, name)
    await viewer.services.core.access.groups.delete(viewer.actor, name)
    return await _done(viewer, f"Group {name} is deleted.")


async def _done(viewer: Viewer, said: str, back: Undo | None = None, then: str | None = None) -> Response:
    await viewer.services.snapshots.reload()
    is_own = then is not None and then.startswith("/admin/")
    return viewer.go(then if then is not None and is_own else _HERE, said, back)


ROUTES = [
    Route("/admin/groups", show_groups),
    Route("/admin/groups", create_group, methods=["POST"]),
    Route("/admin/groups/add", add_member, methods=["POST"]),
    Route("/admin/groups/remove", remove_member, methods=["POST"]),
    Route("/admin/groups/delete", delete_group, methods=["POST"]),
]
