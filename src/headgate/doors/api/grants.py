"""Grants: listed, added, removed."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from headgate.access.grants import Grant, PrincipalKind, Scope
from headgate.doors.api.callers import AccessManager, AccessReader, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import Name, Text
from headgate.doors.api.models_access import GrantAnswer, GrantBody, shown_grant
from headgate.doors.api.paging import Listing, Number, Paging

router = APIRouter(tags=["grants"], route_class=IdempotentRoute)

GrantPath = Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[7])]


@dataclass(frozen=True, slots=True)
class GrantFilter:
    """Which grants a list shows."""

    kind: Annotated[PrincipalKind | None, Query(description="Only to principals of that kind.")] = None
    principal: Annotated[Name | None, Query(description="Only to that principal.")] = None
    role: Annotated[Name | None, Query(description="Only of that role.")] = None
    channel: Annotated[Text | None, Query(description="Only on that channel or prefix, as the grant names it.")] = None

    def takes(self, grant: Grant) -> bool:
        """True for a grant that was asked for."""
        asked = ((self.kind, grant.kind), (self.principal, grant.principal), (self.role, grant.role))
        return all(wanted in {None, found} for wanted, found in (*asked, (self.channel, grant.scope.channel)))


@router.get("/grants")
async def list_grants(
    _caller: AccessReader, services: Services, page: Paging, wanted: Annotated[GrantFilter, Depends()]
) -> Listing[GrantAnswer]:
    """The grants, in the order they were given."""
    (after,) = page.after(tuple[Number]) or (0,)
    grants = [
        grant for grant in await services.core.access.grants.list_grants() if grant.id > after and wanted.takes(grant)
    ]
    shown, following = page.cut(grants, lambda grant: (grant.id,))
    return Listing(items=[shown_grant(grant) for grant in shown], next=following)


@router.post("/grants", status_code=201)
async def add_grant(body: GrantBody, caller: AccessManager, services: Services) -> GrantAnswer:
    """Give a role to somebody within a scope, or withhold it."""
    service = services.core.access.grants
    scope = Scope(body.channel, body.package)
    number = await service.add_grant(caller.actor, body.kind, body.principal, body.role, scope, is_deny=body.is_deny)
    await services.snapshots.reload()
    return shown_grant(await service.get_grant(number))


@router.delete("/grants/{id}", status_code=204)
async def remove_grant(caller: AccessManager, services: Services, number: GrantPath) -> None:
    """Take a grant back."""
    await services.core.access.grants.remove_grant(caller.actor, number)
    await services.snapshots.reload()
