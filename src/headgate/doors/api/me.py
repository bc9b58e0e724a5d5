"""Who the caller is."""

from fastapi import APIRouter, Request

from headgate.access.principals import TokenScope
from headgate.doors.api.callers import Services, SignedIn, visitor_of
from headgate.doors.api.models import MeAnswer, MyTokenAnswer

router = APIRouter(tags=["me"])


@router.get("/me")
async def show_me(caller: SignedIn, services: Services, request: Request) -> MeAnswer:
    """The caller, what the token they use narrows them to, and what a session needs for changes."""
    token = None if caller.token is None else _shown(caller.token)
    visitor = await visitor_of(request)
    proof = None if visitor is None else services.cookies.proof(visitor)
    return MeAnswer(name=caller.name, is_administrator=caller.is_administrator, token=token, csrf_token=proof)


def _shown(scope: TokenScope) -> MyTokenAnswer:
    return MyTokenAnswer(
        name=scope.name,
        permissions=None if scope.actions is None else sorted(scope.actions),
        channels=None if scope.channels is None else sorted(scope.channels),
        expires_at=scope.expires_at,
    )
