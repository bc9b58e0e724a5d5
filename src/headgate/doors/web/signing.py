"""Our own signing: the keys, how long their metadata hold, and a root that is signed elsewhere."""

import json
from collections.abc import Mapping

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.signing import USUAL_DAYS, Role, require_signing
from headgate.doors.pages import PAGE_HEADERS
from headgate.doors.web.admin import admin_page
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in
from headgate.kernel.errors import Invalid

_HERE = "/admin/signing"
SAID: Mapping[Role, str] = {
    Role.ROOT: "names the key manager",
    Role.KEY_MANAGER: "names the key that signs records",
    Role.PACKAGES: "signs records",
}


@signed_in
async def show_signing(viewer: Viewer) -> Response:
    """Keys, metadata, what waits, and which channels are signed."""
    viewer.require(Permission.SIGNING_MANAGE)
    signing = await viewer.services.core.signing.read()
    pending = None
    if signing.pending_root is not None:
        pending = json.dumps(msgspec.json.decode(signing.pending_root), indent=2, sort_keys=True)
    return admin_page(
        viewer,
        "signing.html",
        _HERE,
        signing=signing,
        pending=pending,
        roles=SAID,
        usual_days=USUAL_DAYS,
        signed=[one.name for one in viewer.services.catalog.all() if one.settings.is_signing],
    )


@signed_in
async def show_root(viewer: Viewer) -> Response:
    """The root that clients begin with, as a file."""
    signing = await viewer.services.core.signing.read()
    require_signing(signing)
    assert signing.root is not None
    headers = PAGE_HEADERS | {"cache-control": "no-store", "content-disposition": 'attachment; filename="root.json"'}
    return Response(signing.root.body, headers=headers, media_type="application/json")


@change
async def make_keys(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """All three at once; the root's private half may be kept elsewhere."""
    viewer.require(Permission.SIGNING_MANAGE)
    root_key = form.get("root_key", "").strip() or None
    made = await viewer.services.core.signing.init(viewer.actor, root_key=root_key, days=_days(form))
    await viewer.services.snapshots.reload()
    waits = made.pending_root is not None
    return viewer.go(_HERE, "The root waits to be signed with its own key." if waits else "This server can sign.")


@change
async def rotate_key(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """The old key is destroyed: its name is asked for."""
    viewer.require(Permission.SIGNING_MANAGE)
    if form.get("role") not in set(Role):
        raise Invalid("form-invalid", "Choose a key to replace.")
    role = Role(form["role"])
    require_typed(form, role)
    root_key = form.get("root_key", "").strip() or None
    made = await viewer.services.core.signing.rotate(viewer.actor, role, root_key=root_key, days=_days(form))
    await viewer.services.snapshots.reload()
    waits = made.pending_root is not None
    said = "The new root waits to be signed elsewhere." if waits else f"The key {role} is replaced."
    return viewer.go(_HERE, said)


@change
async def take_root(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """The pending root, signed."""
    viewer.require(Permission.SIGNING_MANAGE)
    await viewer.services.core.signing.put_root(viewer.actor, form.get("root", "").strip().encode())
    await viewer.services.snapshots.reload()
    return viewer.go(_HERE, "The signed root is in force.")


def _days(form: Mapping[str, str]) -> int:
    text = form.get("days", "").strip() or str(USUAL_DAYS)
    if not text.isascii() or not text.isdecimal() or len(text) > 6:
        raise Invalid("form-invalid", f"{text[:20]!r} is no number of days.")
    return int(text)


ROUTES = [
    Route(_HERE, show_signing),
    Route(_HERE, make_keys, methods=["POST"]),
    Route(f"{_HERE}/rotate", rotate_key, methods=["POST"]),
    Route(f"{_HERE}/root", show_root),
    Route(f"{_HERE}/root", take_root, methods=["POST"]),
]
