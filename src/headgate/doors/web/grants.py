"""Grants: who has which role where; and why somebody may do something, or not."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.decisions import Decision, decide
from headgate.access.grants import PSEUDO_GROUPS, Grant, PrincipalKind, Scope
from headgate.access.permissions import Permission
from headgate.conda.names import ChannelName, PackageName
from headgate.doors.web.admin import admin_page
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel.errors import Invalid, NotFound

_HERE, _EXPLAIN = "/admin/grants", "/admin/explain"


@signed_in
async def show_grants(viewer: Viewer) -> Response:
    """All grants; filtered as one types."""
    viewer.require(Permission.ACCESS_READ)
    wanted = viewer.request.query_params.get("q", "")
    access = viewer.services.core.access
    grants = [one for one in await access.grants.list_grants() if all(_fits(one, term) for term in wanted.split())]
    return admin_page(
        viewer,
        "grants.html",
        _HERE,
        part="grants_found.html",
        wanted=wanted,
        grants=grants,
        roles=sorted(await access.grants.list_roles()),
        users=await access.users.list_users(),
        groups=await access.groups.list_groups(),
        pseudo_groups=PSEUDO_GROUPS,
        channels=viewer.channels(),
    )


def _fits(grant: Grant, term: str) -> bool:
    key, colon, value = term.lower().partition(":")
    members = {"to": grant.principal, "role": grant.role, "on": grant.scope.channel or "everywhere"}
    if colon and key in members:
        return value in members[key].lower()
    return term.lower() in str(grant).lower()


@change
async def add_grant(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """A role to somebody within a scope, or withheld there."""
    viewer.require(Permission.ACCESS_MANAGE)
    kind, _, principal = form.get("principal", "").partition(":")
    if kind not in set(PrincipalKind):
        raise Invalid("scope-invalid", "Choose to whom the role is granted.")
    scope = Scope(form.get("channel", "").strip() or None, form.get("package", "").strip() or None)
    number = await viewer.services.core.access.grants.add_grant(
        viewer.actor, PrincipalKind(kind), principal, form.get("role", ""), scope, is_deny=form.get("is_deny") == "on"
    )
    await viewer.services.snapshots.reload()
    grant = await viewer.services.core.access.grants.get_grant(number)
    return viewer.go(_HERE, f"{grant}.", Undo(f"{_HERE}/remove", {"id": str(number)}))


@change
async def remove_grant(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Can be taken back: another one like it is given."""
    viewer.require(Permission.ACCESS_MANAGE)
    grants = viewer.services.core.access.grants
    grant = await grants.get_grant(_number(form.get("id", "")))
    await grants.remove_grant(viewer.actor, grant.id)
    await viewer.services.snapshots.reload()
    fields = {
        "principal": f"{grant.kind}:{grant.principal}",
        "role": grant.role,
        "channel": grant.scope.channel or "",
        "package": grant.scope.package or "",
        "is_deny": "on" if grant.is_deny else "",
    }
    return viewer.go(_HERE, f"No longer: {grant}.", Undo(_HERE, fields))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound("grant-unknown", f"There is no grant {text[:20]!r}.")
    return int(text)


@signed_in
async def explain(viewer: Viewer) -> Response:
    """Whether somebody may do something, which grant says so, and which grants it beats."""
    viewer.require(Permission.ACCESS_READ)
    asked = {
        key: viewer.request.query_params.get(key, "").strip() for key in ("user", "permission", "channel", "package")
    }
    users = await viewer.services.core.access.users.list_users()
    decision = _decided(viewer, asked) if asked["permission"] else None
    return admin_page(
        viewer,
        "explain.html",
        _EXPLAIN,
        asked=asked,
        decision=decision,
        users=users,
        permissions=sorted(Permission),
        channels=viewer.channels(),
    )


def _decided(viewer: Viewer, asked: Mapping[str, str]) -> Decision:
    if asked["permission"] not in set(Permission):
        raise Invalid("request-invalid", f"There is no permission {asked['permission'][:40]!r}.")
    principal = (
        viewer.services.authenticator.find(asked["user"]) if asked["user"] else viewer.services.authenticator.nobody
    )
    if principal is None:
        raise NotFound("user-unknown", f"There is no user {asked['user']}.")
    channel = ChannelName.parse(asked["channel"]) if asked["channel"] else None
    package = PackageName.parse(asked["package"]) if asked["package"] else None
    found = None if channel is None else viewer.services.catalog.find(channel)
    # What does not exist is decided as if it were private.
    privacy = None if channel is None else "private" if found is None else found.privacy
    return decide(principal, Permission(asked["permission"]), channel, privacy, package)


ROUTES = [
    Route("/admin/grants", show_grants),
    Route("/admin/grants", add_grant, methods=["POST"]),
    Route("/admin/grants/remove", remove_grant, methods=["POST"]),
    Route("/admin/explain", explain),
]
