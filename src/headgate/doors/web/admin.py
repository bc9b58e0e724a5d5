"""Administration: its parts, each a page of its own, for whoever may see it."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.doors.web.viewing import Viewer, signed_in
from headgate.kernel.errors import Refused

PARTS: Sequence[tuple[str, str, Permission]] = (
    ("Users", "/admin/users", Permission.ACCESS_READ),
    ("Groups", "/admin/groups", Permission.ACCESS_READ),
    ("Roles", "/admin/roles", Permission.ACCESS_READ),
    ("Grants", "/admin/grants", Permission.ACCESS_READ),
    ("Explain", "/admin/explain", Permission.ACCESS_READ),
    ("Tokens", "/admin/tokens", Permission.TOKEN_MANAGE),
    ("Sign-in", "/admin/providers", Permission.ACCESS_READ),
    ("Network", "/admin/network", Permission.NETWORK_MANAGE),
    ("Signing", "/admin/signing", Permission.SIGNING_MANAGE),
    ("Bundles", "/admin/bundles", Permission.BUNDLE_TRUST),
    ("Jobs", "/admin/jobs", Permission.JOB_MANAGE),
    ("Storage", "/admin/storage", Permission.JOB_MANAGE),
    ("Backups", "/admin/backups", Permission.JOB_MANAGE),
    ("Health", "/admin/health", Permission.JOB_MANAGE),
    ("Settings", "/admin/settings", Permission.NETWORK_MANAGE),
)


def parts_for(viewer: Viewer) -> list[tuple[str, str]]:
    """Title and path of the parts that they may see."""
    return [(title, path) for title, path, permission in PARTS if viewer.may(permission)]


def admin_page(
    viewer: Viewer, template: str, here: str, *, status: int = 200, part: str | None = None, **values: Any
) -> Response:
    """A page of the administration; `here` is the path of its part."""
    return viewer.page(template, status, part=part, parts=parts_for(viewer), here=here, **values)


def require_administrator(viewer: Viewer) -> None:
    """Raises Refused `permission-denied` for others: `access:manage` alone moves no administrator."""
    if not viewer.principal.is_administrator:
        raise Refused("permission-denied", "Only an administrator makes, changes or deletes administrators.")


@signed_in
async def show_administration(viewer: Viewer) -> Response:
    """The first part that they may see."""
    parts = parts_for(viewer)
    if not parts:
        raise Refused("permission-denied", "There is nothing here that you may see.")
    return viewer.go(parts[0][1])


ROUTES = [Route("/admin", show_administration)]
