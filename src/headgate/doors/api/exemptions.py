"""Exemptions: listed, added, revoked."""

from typing import Annotated

from fastapi import APIRouter, Path

from headgate.access.permissions import Permission
from headgate.channels.exempting import Wish
from headgate.doors.api.callers import PolicyReader, Services, SignedIn, require
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_policies import ExemptionAnswer, ExemptionBody
from headgate.doors.api.paging import Listing, Number, Paging
from headgate.kernel.errors import Invalid, NotFound

router = APIRouter(tags=["exemptions"], route_class=IdempotentRoute)


@router.get("/exemptions")
async def list_exemptions(_caller: PolicyReader, services: Services, page: Paging) -> Listing[ExemptionAnswer]:
    """The exemptions that were not revoked, in the order they were made."""
    (after,) = page.after(tuple[Number]) or (0,)
    found = [one for one in await services.core.exemptions.list_exemptions() if one.id > after]
    shown, following = page.cut(found, lambda one: (one.id,))
    return Listing(items=[ExemptionAnswer.model_validate(one) for one in shown], next=following)


@router.post("/exemptions", status_code=201)
async def add_exemption(body: ExemptionBody, caller: SignedIn, services: Services) -> ExemptionAnswer:
    """Let something pass in spite of a rule; it is in the index when this answers."""
    require(caller, Permission.EXEMPTION_MANAGE, body.channel)
    made = await services.core.exemptions.add(caller.actor, wish_of(body, caller.name))
    await services.snapshots.reload()
    return ExemptionAnswer.model_validate(made)


@router.delete("/exemptions/{id}", status_code=204)
async def revoke_exemption(
    caller: SignedIn, services: Services, number: Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[7])]
) -> None:
    """End an exemption at once."""
    found = next((one for one in await services.core.exemptions.list_exemptions() if one.id == number), None)
    require(caller, Permission.EXEMPTION_MANAGE, None if found is None else found.channel)
    if found is None:
        raise NotFound("exemption-unknown", f"There is no exemption {number}, or it was revoked.")
    await services.core.exemptions.revoke(caller.actor, number)
    await services.snapshots.reload()


def wish_of(body: ExemptionBody, caller: str) -> Wish:
    """The exemption that a body describes. Raises Invalid `exemption-invalid`."""
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        raise Invalid("exemption-invalid", "`expires_at` needs a time zone, such as 2027-01-31T00:00:00Z.")
    return Wish(
        kind=body.kind,
        target=body.target,
        reason=body.reason,
        owner=body.owner or caller,
        channel=body.channel,
        spec=body.spec,
        expires_at=body.expires_at,
    )
