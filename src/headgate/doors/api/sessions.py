"""Sessions: those of the caller, and of others for who may manage their tokens; listed and ended."""

from typing import Annotated

from fastapi import APIRouter, Path

from headgate.access.decisions import decide_tokens_of
from headgate.access.principals import Principal
from headgate.access.sessions import Session
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import Services, SignedIn, insist
from headgate.doors.api.models_access import NamePath
from headgate.doors.api.models_sign_in import SessionAnswer
from headgate.doors.api.paging import Listing, Number, Paging
from headgate.kernel.errors import NotFound

router = APIRouter(tags=["sessions"], route_class=BoundedRoute)
SessionId = Annotated[int, Path(ge=1, lt=1 << 62, examples=[7])]


@router.get("/me/sessions")
async def list_own_sessions(caller: SignedIn, services: Services, page: Paging) -> Listing[SessionAnswer]:
    """Where the caller is signed in, the newest first."""
    return await _list(caller, services, caller.name, page)


@router.delete("/me/sessions/{id}", status_code=204)
async def end_own_session(caller: SignedIn, services: Services, id: SessionId) -> None:  # noqa: A002 - its name in the path
    """End one of the caller's sessions, at once."""
    await _end(caller, services, caller.name, id)


@router.get("/users/{name}/sessions")
async def list_sessions(caller: SignedIn, services: Services, name: NamePath, page: Paging) -> Listing[SessionAnswer]:
    """Where somebody is signed in, the newest first."""
    return await _list(caller, services, name, page)


@router.delete("/users/{name}/sessions", status_code=204)
async def end_sessions(caller: SignedIn, services: Services, name: NamePath) -> None:
    """End all of somebody's sessions, at once."""
    await _end(caller, services, name, None)


@router.delete("/users/{name}/sessions/{id}", status_code=204)
async def end_session(caller: SignedIn, services: Services, name: NamePath, id: SessionId) -> None:  # noqa: A002 - as above
    """End one of somebody's sessions, at once."""
    await _end(caller, services, name, id)


async def _list(caller: Principal, services: Services, name: str, page: Paging) -> Listing[SessionAnswer]:
    owner = services.authenticator.find(name)
    insist(decide_tokens_of(caller, owner))
    if owner is None:
        raise NotFound("user-unknown", f"There is no user {name}.")
    after = page.after(tuple[Number])
    found = sorted(await services.core.sessions.list_sessions(name), key=lambda one: one.id, reverse=True)
    left = [one for one in found if after is None or one.id < after[0]]
    sessions, following = page.cut(left, lambda one: (one.id,))
    return Listing(items=[_shown(one) for one in sessions], next=following)


async def _end(caller: Principal, services: Services, name: str, number: int | None) -> None:
    insist(decide_tokens_of(caller, services.authenticator.find(name)))
    await services.core.sessions.end(caller.actor, name, number)
    await services.snapshots.reload()


def _shown(session: Session) -> SessionAnswer:
    return SessionAnswer.model_validate(session)
