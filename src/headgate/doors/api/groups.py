"""Groups: listed, created, filled, deleted."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from headgate.doors.api.callers import AccessManager, AccessReader, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_access import GroupAnswer, GroupBody, NamePath
from headgate.doors.api.paging import Listing, Paging

router = APIRouter(tags=["groups"], route_class=IdempotentRoute)

KindPath = Annotated[Literal["user", "group"], Path(description="A service account counts as a user here.")]


@router.get("/groups")
async def list_groups(_caller: AccessReader, services: Services, page: Paging) -> Listing[GroupAnswer]:
    """The groups with who is in them directly, by name."""
    groups, following = page.cut_whole(await services.core.access.groups.list_groups(), lambda group: (group.name,))
    return Listing(items=[GroupAnswer.model_validate(group) for group in groups], next=following)


@router.post("/groups", status_code=201)
async def create_group(body: GroupBody, caller: AccessManager, services: Services) -> GroupAnswer:
    """Create an empty group."""
    await services.core.access.groups.create(caller.actor, body.name)
    await services.snapshots.reload()
    return GroupAnswer(name=body.name, users=[], groups=[])


@router.delete("/groups/{name}", status_code=204)
async def delete_group(caller: AccessManager, services: Services, name: NamePath) -> None:
    """Delete a group with its grants; its members stay."""
    await services.core.access.groups.delete(caller.actor, name)
    await services.snapshots.reload()


@router.put("/groups/{name}/members/{kind}/{member}", status_code=204)
async def add_member(
    caller: AccessManager, services: Services, name: NamePath, kind: KindPath, member: NamePath
) -> None:
    """Put a user, a service account or a group into a group; being in it already is as good."""
    await services.core.access.groups.add(caller.actor, name, **{kind: member})
    await services.snapshots.reload()


@router.delete("/groups/{name}/members/{kind}/{member}", status_code=204)
async def remove_member(
    caller: AccessManager, services: Services, name: NamePath, kind: KindPath, member: NamePath
) -> None:
    """Take a user, a service account or a group out of a group."""
    await services.core.access.groups.remove(caller.actor, name, **{kind: member})
    await services.snapshots.reload()
