"""Incidents: listed, declared, lifted."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from headgate.channels.incidents import IncidentKind, guess_kind
from headgate.doors.api.callers import IncidentManager, PolicyReader, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.paging import Listing, Number, Paging

router = APIRouter(tags=["incidents"], route_class=IdempotentRoute)
IncidentPath = Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[3])]
Reason = Annotated[str, Field(min_length=1, max_length=1000, examples=["A wheel with a stealer; see the advisory."])]


class IncidentBody(BaseModel):
    """What to block everywhere."""

    model_config = ConfigDict(extra="forbid")
    target: str = Field(
        min_length=1, max_length=512, description="An advisory's id, a match spec, or a sha256.", examples=["xz >=5.6"]
    )
    kind: IncidentKind | None = Field(default=None, description="What the target is; without it, what it looks like.")
    reason: Reason


class LiftBody(BaseModel):
    """Why something is blocked no longer."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


class IncidentAnswer(BaseModel):
    """An incident."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    kind: IncidentKind
    target: str
    reason: str
    is_open: bool
    declared_at: datetime
    declared_by: str
    lifted_at: datetime | None
    lifted_by: str | None
    lifted_because: str | None


@router.get("/incidents")
async def list_incidents(
    _caller: PolicyReader,
    services: Services,
    page: Paging,
    is_open: Annotated[bool | None, Query(description="Only the open ones, or only the lifted ones.")] = None,
) -> Listing[IncidentAnswer]:
    """Incidents, the newest first."""
    (before,) = page.after(tuple[Number]) or (1 << 62,)
    found = [one for one in await services.core.incidents.list_incidents(is_open=is_open) if one.id < before]
    shown, following = page.cut(found, lambda one: (one.id,))
    return Listing(items=[IncidentAnswer.model_validate(one) for one in shown], next=following)


@router.post("/incidents", status_code=201)
async def declare_incident(body: IncidentBody, caller: IncidentManager, services: Services) -> IncidentAnswer:
    """Block something everywhere, now; no exemption overrules that. Downloads are refused when this answers."""
    kind = body.kind or guess_kind(body.target)
    made = await services.core.incidents.declare(caller.actor, kind, body.target, body.reason)
    await services.snapshots.reload()
    return IncidentAnswer.model_validate(made)


@router.get("/incidents/{id}")
async def get_incident(_caller: PolicyReader, services: Services, number: IncidentPath) -> IncidentAnswer:
    """One incident."""
    return IncidentAnswer.model_validate(await services.core.incidents.get(number))


@router.post("/incidents/{id}/lift")
async def lift_incident(
    body: LiftBody, caller: IncidentManager, services: Services, number: IncidentPath
) -> IncidentAnswer:
    """Undo it."""
    lifted = await services.core.incidents.lift(caller.actor, number, body.reason)
    await services.snapshots.reload()
    return IncidentAnswer.model_validate(lifted)
