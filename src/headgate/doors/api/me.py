"""Who the caller is."""

from fastapi import APIRouter

from headgate.access.principals import TokenScope
from headgate.doors.api.callers import SignedIn
from headgate.doors.api.models import MeAnswer, MyTokenAnswer

router = APIRouter(tags=["me"])


@router.get("/me")
async def show_me(caller: SignedIn) -> MeAnswer:
    """The caller, and what the token they use narrows them to."""
    token = None if caller.token is None else _shown(caller.token)
    return MeAnswer(name=caller.name, is_administrator=caller.is_administrator, token=token)


def _shown(scope: TokenScope) -> MyTokenAnswer:
    return MyTokenAnswer(
        name=scope.name,
        permissions=None if scope.actions is None else sorted(scope.actions),
        channels=None if scope.channels is None else sorted(scope.channels),
        expires_at=scope.expires_at,
    )
