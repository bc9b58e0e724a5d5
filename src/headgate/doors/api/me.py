"""Who the caller is, and their own password."""

from fastapi import APIRouter, Request

from headgate.access.decisions import decide_tokens_of
from headgate.access.principals import TokenScope
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import Newcomer, Services, insist, visitor_of
from headgate.doors.api.models_tokens import MeAnswer, MyPasswordBody, MyTokenAnswer

# Not idempotent by key: of a body with a password not even a digest is kept.
router = APIRouter(tags=["me"], route_class=BoundedRoute)


@router.get("/me")
async def show_me(caller: Newcomer, services: Services, request: Request) -> MeAnswer:
    """The caller, what the token they use narrows them to, and what a session needs for changes."""
    visitor = await visitor_of(request)
    return MeAnswer(
        name=caller.name,
        kind=caller.kind,
        is_administrator=caller.is_administrator,
        groups=list(caller.groups),
        must_change_password=caller.must_change_password,
        token=None if caller.token is None else _shown(caller.token),
        csrf_token=None if visitor is None else services.cookies.proof(visitor),
    )


@router.post("/me/password", status_code=204)
async def change_my_password(body: MyPasswordBody, caller: Newcomer, services: Services, request: Request) -> None:
    """Change one's own password, knowing the old one; a wrong one counts as a failed sign-in.

    A token must not be narrowed to less than `admin`. Tokens stay as they are.
    """
    insist(decide_tokens_of(caller, caller))
    users = services.core.access.users
    await users.check_has_password(caller.name)
    await services.sign_in.password(request.scope, caller.name, body.old_password)
    await users.change_own_password(caller.actor, caller.name, body.old_password, body.new_password)
    await services.snapshots.reload()


def _shown(scope: TokenScope) -> MyTokenAnswer:
    return MyTokenAnswer(
        name=scope.name,
        permissions=None if scope.actions is None else sorted(scope.actions),
        channels=None if scope.channels is None else sorted(scope.channels),
        addresses=None if scope.addresses is None else list(scope.addresses),
        expires_at=scope.expires_at,
    )
