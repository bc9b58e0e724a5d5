"""Users and service accounts: listed, created, changed, deleted."""

from dataclasses import replace

from fastapi import APIRouter

from headgate.access.grants import PrincipalKind
from headgate.access.users import FirstPassword, UserChange
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import AccessManager, AccessReader, Services, require_administrator
from headgate.doors.api.models_access import NamePath, UserAnswer, UserBody, UserChangeBody
from headgate.doors.api.paging import Listing, Paging

# Not idempotent by key: of a body with a password not even a digest is kept. A name is what two users cannot share.
router = APIRouter(tags=["users"], route_class=BoundedRoute)


@router.get("/users")
async def list_users(_caller: AccessReader, services: Services, page: Paging) -> Listing[UserAnswer]:
    """Users and service accounts, by name."""
    users, following = page.cut_whole(await services.core.access.users.list_users(), lambda user: (user.name,))
    return Listing(items=[UserAnswer.model_validate(user) for user in users], next=following)


@router.post("/users", status_code=201)
async def create_user(body: UserBody, caller: AccessManager, services: Services) -> UserAnswer:
    """Create a user or a service account, in groups at once; an administrator is made by an administrator."""
    if body.is_administrator:
        require_administrator(caller)
    await services.core.access.users.create(
        caller.actor,
        body.name,
        _first_password(body),
        kind=PrincipalKind(body.kind),
        is_administrator=body.is_administrator,
        groups=body.groups,
    )
    return await _changed(services, body.name)


@router.get("/users/{name}")
async def show_user(_caller: AccessReader, services: Services, name: NamePath) -> UserAnswer:
    """One user or service account."""
    return UserAnswer.model_validate(await services.core.access.users.get_user(name))


@router.patch("/users/{name}")
async def change_user(body: UserChangeBody, caller: AccessManager, services: Services, name: NamePath) -> UserAnswer:
    """Change what is given; administrators are made and changed by administrators."""
    known = await services.core.access.users.get_user(name)
    if known.is_administrator or body.is_administrator is not None:
        require_administrator(caller)
    change = UserChange(**body.model_dump())
    if change.password is not None and change.must_change_password is None:
        change = replace(change, must_change_password=name != caller.name)
    await services.core.access.users.change(caller.actor, name, change)
    return await _changed(services, name)


@router.delete("/users/{name}", status_code=204)
async def delete_user(caller: AccessManager, services: Services, name: NamePath) -> None:
    """Delete a user or service account, with their tokens and grants; an administrator is deleted by another."""
    if (await services.core.access.users.get_user(name)).is_administrator:
        require_administrator(caller)
    await services.core.access.users.delete(caller.actor, name)
    await services.snapshots.reload()


def _first_password(body: UserBody) -> FirstPassword | None:
    if body.password is None:
        return None
    return FirstPassword(body.password, must_change=body.must_change_password is not False)


async def _changed(services: Services, name: str) -> UserAnswer:
    await services.snapshots.reload()
    return UserAnswer.model_validate(await services.core.access.users.get_user(name))
