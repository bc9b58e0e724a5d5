"""Users and service accounts."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.decisions import decide_tokens_of
from headgate.access.grants import PrincipalKind
from headgate.access.permissions import Permission
from headgate.access.users import FirstPassword, User, UserChange
from headgate.doors.web.admin import admin_page, require_administrator
from headgate.doors.web.fields import id_of
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in
from headgate.kernel.errors import Refused

_HERE = "/admin/users"


@signed_in
async def show_users(viewer: Viewer) -> Response:
    """All of them; filtered as one types, by name, group, `kind:` and `is:`."""
    viewer.require(Permission.ACCESS_READ)
    wanted = viewer.request.query_params.get("q", "")
    access = viewer.services.core.access
    found = [user for user in await access.users.list_users() if all(_fits(user, term) for term in wanted.split())]
    groups = [group.name for group in await access.groups.list_groups()]
    return admin_page(viewer, "users.html", _HERE, part="users_found.html", wanted=wanted, users=found, groups=groups)


def _fits(user: User, term: str) -> bool:
    key, colon, value = term.lower().partition(":")
    if colon and key == "kind":
        return user.kind.value.startswith(value)
    if colon and key == "is":
        return {"administrator": user.is_administrator, "disabled": user.is_disabled}.get(value, False)
    if colon and key == "group":
        return any(value in group.lower() for group in user.groups)
    return term.lower() in user.name.lower()


@signed_in
async def show_user(viewer: Viewer) -> Response:
    """One: groups, grants, tokens, sessions, and what can be changed."""
    viewer.require(Permission.ACCESS_READ)
    core, name = viewer.services.core, viewer.request.path_params["name"]
    user = await core.access.users.get_user(name)
    grants = [grant for grant in await core.access.grants.list_grants() if _concerns(grant.kind, grant.principal, user)]
    may_see_tokens = decide_tokens_of(viewer.principal, viewer.services.authenticator.find(name)).is_allowed
    tokens = [token for token in await core.access.tokens.list(user=name) if token.is_live] if may_see_tokens else []
    sessions = await core.sessions.list_sessions(name) if may_see_tokens else []
    groups = [group.name for group in await core.access.groups.list_groups() if group.name not in user.groups]
    return admin_page(
        viewer, "user.html", _HERE, user=user, grants=grants, may_see_tokens=may_see_tokens, tokens=tokens,
        groups=groups, sessions=sessions, may_manage_tokens=may_see_tokens and viewer.may(Permission.TOKEN_MANAGE),
    )  # fmt: skip


def _concerns(kind: PrincipalKind, principal: str, user: User) -> bool:
    if kind is PrincipalKind.GROUP:
        return principal in user.groups
    return principal == user.name and kind is not PrincipalKind.PSEUDO


@change
async def create_user(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """With a first password, which has to be changed; or as a service account, without any."""
    viewer.require(Permission.ACCESS_MANAGE)
    name, password = form.get("name", "").strip(), form.get("password", "")
    is_administrator = form.get("is_administrator") == "on"
    if is_administrator:
        require_administrator(viewer)
    await viewer.services.core.access.users.create(
        viewer.actor,
        name,
        FirstPassword(password, must_change=True) if password else None,
        kind=PrincipalKind.SERVICE if form.get("kind") == "service" else PrincipalKind.USER,
        is_administrator=is_administrator,
        groups=[form["group"]] if form.get("group") else [],
    )
    await viewer.services.snapshots.reload()
    return viewer.go(_path(name), f"{name} is here.")


@change
async def change_user(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Disable, enable, make or unmake an administrator, set a password."""
    viewer.require(Permission.ACCESS_MANAGE)
    name, wish = viewer.request.path_params["name"], form.get("wish", "")
    users = viewer.services.core.access.users
    user = await users.get_user(name)
    wanted, said, back = _wish(user, wish, form)
    if user.is_administrator or wanted.is_administrator is not None:
        require_administrator(viewer)
    await users.change(viewer.actor, name, wanted)
    await viewer.services.snapshots.reload()
    undo = None if back is None else Undo(f"{_path(name)}/change", {"wish": back})
    return viewer.go(_path(name), said, undo)


def _wish(user: User, wish: str, form: Mapping[str, str]) -> tuple[UserChange, str, str | None]:
    """The change, what is said of it, and the wish that takes it back."""
    match wish:
        case "disable":
            return UserChange(is_disabled=True), f"{user.name} can no longer sign in.", "enable"
        case "enable":
            return UserChange(is_disabled=False), f"{user.name} can sign in again.", "disable"
        case "raise":
            return UserChange(is_administrator=True), f"{user.name} is an administrator.", "lower"
        case "lower":
            return UserChange(is_administrator=False), f"{user.name} is no longer an administrator.", "raise"
        case _:
            chosen = UserChange(password=form.get("password", ""), must_change_password=True)
            return chosen, f"{user.name} has a new password, to be changed at the next sign-in.", None


@change
async def delete_user(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """With tokens and grants, for good."""
    viewer.require(Permission.ACCESS_MANAGE)
    name = viewer.request.path_params["name"]
    require_typed(form, name)
    users = viewer.services.core.access.users
    if (await users.get_user(name)).is_administrator:
        require_administrator(viewer)
    await users.delete(viewer.actor, name)
    await viewer.services.snapshots.reload()
    return viewer.go(_HERE, f"{name} is deleted.")


@change
async def end_sessions(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """All of somebody's: every browser has to sign in again."""
    name = await _end(viewer, None)
    return viewer.go(_path(name), f"{name} has to sign in again, in every browser.")


@change
async def end_session(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """One of somebody's: that browser has to sign in again."""
    name = await _end(viewer, id_of(viewer.request.path_params["id"]))
    return viewer.go(_path(name), f"The session has ended; {name} has to sign in again in that browser.")


async def _end(viewer: Viewer, number: int | None) -> str:
    name: str = viewer.request.path_params["name"]
    decision = decide_tokens_of(viewer.principal, viewer.services.authenticator.find(name))
    if not decision.is_allowed:
        raise Refused("permission-denied", decision.reason)
    await viewer.services.core.sessions.end(viewer.actor, name, number)
    await viewer.services.snapshots.reload()
    return name


def _path(name: str) -> str:
    return f"{_HERE}/{name}"


ROUTES = [
    Route("/admin/users", show_users),
    Route("/admin/users", create_user, methods=["POST"]),
    Route("/admin/users/{name}", show_user),
    Route("/admin/users/{name}/change", change_user, methods=["POST"]),
    Route("/admin/users/{name}/delete", delete_user, methods=["POST"]),
    Route("/admin/users/{name}/sessions/end", end_sessions, methods=["POST"]),
    Route("/admin/users/{name}/sessions/{id:int}/end", end_session, methods=["POST"]),
]
