"""Curations: what people say of advisories; made, ended, exported."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from headgate.advisories.catalogue import AdvisoryFilter
from headgate.advisories.curated import render_curated
from headgate.advisories.curating import CurationFilter, claim_of, new_claim
from headgate.advisories.findings import AdvisoryStatus
from headgate.advisories.vex import render_openvex
from headgate.doors.api.advisories import packages_of
from headgate.doors.api.callers import AdvisoryCurating, AdvisoryReading, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_advisories import ChosenBody, CurationAnswer, CurationBody, shown_curation
from headgate.doors.api.paging import Listing, Number, Paging
from headgate.doors.api.services import ApiServices
from headgate.kernel import clock
from headgate.kernel.errors import Invalid

router = APIRouter(tags=["advisories"], route_class=IdempotentRoute)

MOST_AT_ONCE = 1_000
_EXPORTED = 100_000
_Word = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("/curations")
async def list_curations(
    _caller: AdvisoryReading,
    services: Services,
    page: Paging,
    advisory: _Word = None,
    name: _Word = None,
    status: AdvisoryStatus | None = None,
    author: _Word = None,
    with_ended: Annotated[bool, Query(description="The history too.")] = False,
) -> Listing[CurationAnswer]:
    """Curations, the newest first."""
    (before,) = page.after(tuple[Number]) or (None,)
    wanted = CurationFilter(
        advisory=advisory, name=name, status=status, author=author, with_ended=with_ended, before=before
    )
    found = await services.advisories.curations.list_curations(wanted, limit=page.limit + 1)
    items, following = page.cut(found, lambda one: (one.id,))
    return Listing(items=[shown_curation(one) for one in items], next=following)


@router.post("/curations", status_code=201)
async def curate(body: CurationBody, caller: AdvisoryCurating, services: Services) -> Listing[CurationAnswer]:
    """Say how advisories stand with records, at once; what was said of the very same before becomes history."""
    advisories = [body.advisory] if body.advisory else await _chosen(services, body.chosen)
    given = body.model_dump(exclude={"advisory", "chosen", "status", "expires_at"})
    expires = None if body.expires_at is None else body.expires_at.isoformat()
    claims = [new_claim(one, body.status, **given, expires=expires) for one in advisories]
    ids = await services.advisories.curations.curate(caller.actor, claims)
    await services.snapshots.reload()
    found = await services.advisories.curations.get_many(ids)
    return Listing(items=[shown_curation(one) for one in found], next=None)


async def _chosen(services: ApiServices, chosen: ChosenBody | None) -> list[str]:
    """The ids of the advisories that fit. Raises Invalid `curation-invalid`."""
    if chosen is None or not chosen.model_fields_set:
        raise Invalid("curation-invalid", "Name one advisory, or say with `chosen` which ones are meant.")
    wanted = AdvisoryFilter(
        text=chosen.text,
        severities=chosen.severities,
        least_cvss=chosen.least_cvss,
        most_cvss=chosen.most_cvss,
        packages=packages_of(services, chosen.name),
        is_malicious=chosen.is_malicious,
        is_known_exploited=chosen.is_known_exploited,
    )
    found = await services.advisories.catalogue.list_ids(wanted, MOST_AT_ONCE + 1)
    if not found or len(found) > MOST_AT_ONCE:
        how_many = "No advisory" if not found else f"More than {MOST_AT_ONCE} advisories"
        raise Invalid("curation-invalid", f"{how_many} would be curated. Choose others.")
    return found


@router.delete("/curations/{id}", status_code=204)
async def end_curation(
    caller: AdvisoryCurating,
    services: Services,
    number: Annotated[int, Path(alias="id", ge=1, lt=1 << 62)],
) -> None:
    """Take a curation back; it stays in the history."""
    await services.advisories.curations.end(caller.actor, [number])
    await services.snapshots.reload()


@router.get("/curations/openvex")
async def export_openvex(
    caller: AdvisoryReading, services: Services, advisory: _Word = None, name: _Word = None
) -> dict[str, Any]:
    """The curations in force that name a package, as an OpenVEX document."""
    wanted = CurationFilter(advisory=advisory, name=name)
    found = await services.advisories.curations.list_curations(wanted, limit=_EXPORTED)
    return render_openvex(map(claim_of, found), caller.name, clock.now().isoformat())


@router.get("/curations/export")
async def export_curations(
    _caller: AdvisoryReading, services: Services, advisory: _Word = None, name: _Word = None
) -> dict[str, Any]:
    """The curations in force as a document that another server imports."""
    wanted = CurationFilter(advisory=advisory, name=name)
    found = await services.advisories.curations.list_curations(wanted, limit=_EXPORTED)
    return render_curated(map(claim_of, found))
