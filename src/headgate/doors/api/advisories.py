"""Advisories: listed, shown, imported; and channels held against them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.exceptions import HTTPException

from headgate.advisories.catalogue import AdvisoryFilter, Listed
from headgate.advisories.curating import CurationFilter
from headgate.advisories.feeds import FEED_NAME, MAX_BYTES, UPLOADS
from headgate.advisories.identities import choose, identities_of
from headgate.advisories.purls import Package, read_purl
from headgate.channels.exposure import Exposed
from headgate.doors.api.callers import Advised, AdvisoryKeeping, AdvisoryReading, Services
from headgate.doors.api.models import JobAnswer
from headgate.doors.api.models_advisories import (
    AdvisoryAnswer,
    AffectedAnswer,
    CoverageAnswer,
    SubdirCoverageAnswer,
    shown_curation,
    shown_finding,
)
from headgate.doors.api.paging import Listing, Paging, Word
from headgate.doors.api.services import ApiServices
from headgate.doors.metrics import observe_affected
from headgate.kernel.errors import Invalid, NotFound

router = APIRouter(tags=["advisories"])

_KINDS = frozenset({"import-advisories", "refresh-feed"})
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
NameQuery = Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="A conda package.")]
IdPath = Annotated[str, Path(alias="id", max_length=200, pattern=r"^[^\x00/]+$", examples=["CVE-2024-35195"])]
FeedQuery = Annotated[
    str, Query(max_length=64, pattern=FEED_NAME, description="The feed that it belongs to; made when it is new.")
]


@router.get("/advisories")
async def list_advisories(
    _caller: AdvisoryReading,
    services: Services,
    page: Paging,
    text: Annotated[
        str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="In an id or the summary.")
    ] = None,
    severity: Annotated[list[str] | None, Query(max_length=5, description="May be repeated.")] = None,
    least_cvss: Annotated[float | None, Query(ge=0, le=10)] = None,
    name: NameQuery = None,
    purl: Annotated[
        str | None, Query(max_length=500, pattern=r"^[^\x00]*$", description="An upstream package.")
    ] = None,
    is_known_exploited: bool | None = None,
    is_malicious: bool | None = None,
    with_withdrawn: bool = False,
) -> Listing[AdvisoryAnswer]:
    """The advisories, by id."""
    wanted = AdvisoryFilter(
        text=text,
        severities=severity,
        least_cvss=least_cvss,
        packages=packages_of(services, name, purl),
        is_known_exploited=is_known_exploited,
        is_malicious=is_malicious,
        with_withdrawn=with_withdrawn,
    )
    (after,) = page.after(tuple[Word]) or ("",)
    found = await services.advisories.catalogue.list_advisories(wanted, after=after, limit=page.limit + 1)
    items, following = page.cut(found, lambda one: (one.advisory.id,))
    return Listing(items=[shown(one) for one in items], next=following)


@router.get("/advisories/{id}")
async def show_advisory(_caller: AdvisoryReading, services: Services, name: IdPath) -> AdvisoryAnswer:
    """One advisory, by any of its ids, with the curations in force."""
    answer = shown(await services.advisories.catalogue.get_advisory(name))
    curations = await services.advisories.curations.list_curations(CurationFilter(advisory=name), limit=1000)
    answer.curations = [shown_curation(one) for one in curations]
    return answer


@router.post("/advisories/import", status_code=202, openapi_extra=_BODY)
async def import_advisories(
    request: Request,
    caller: AdvisoryKeeping,
    services: Services,
    feed: FeedQuery = UPLOADS,
    is_whole: Annotated[bool, Query(description="The file lists all that the feed has: what lacks is gone.")] = False,
) -> JobAnswer:
    """Upload a file of advisories, VEX, curations, scores or names, whatever its form; a job reads it."""
    with services.core.store.writer() as writer:
        async for piece in request.stream():
            if writer.size_bytes + len(piece) > MAX_BYTES:
                raise HTTPException(413)
            writer.write(piece)
        if not writer.size_bytes:
            raise Invalid("feed-invalid", "The file is empty.")
        sha256 = writer.commit()
    job_id = await services.jobs.import_advisories(caller.actor, feed, sha256, is_whole=is_whole)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


@router.get("/advisories/imports/{job_id}")
async def show_import(
    _caller: AdvisoryKeeping, services: Services, job_id: Annotated[str, Path(max_length=200, pattern=r"^[!-~]+$")]
) -> JobAnswer:
    """The job of an import, or of a look at a feed's URL."""
    job = await services.jobs.get_job(job_id)
    if job.kind not in _KINDS:
        raise NotFound("job-unknown", f"There is no import {job_id}.")
    return JobAnswer.model_validate(job)


@router.get("/channels/{channel:path}/coverage")
async def show_coverage(visit: Advised, services: Services) -> CoverageAnswer:
    """How many files of each subdir are affected, not affected, or were not checked, and why."""
    rows = await services.exposure.coverage(visit.channel)
    observe_affected(visit.channel.name, sum(row.affected for row in rows))
    return CoverageAnswer(
        channel=visit.channel.name,
        subdirs=[
            SubdirCoverageAnswer(
                subdir=row.subdir,
                affected=row.affected,
                not_affected=row.not_affected,
                not_checked=row.not_checked,
                advisories=len(row.advisories),
                not_checked_because=dict(row.reasons),
            )
            for row in rows
        ],
        newest_feed_at=services.advisories.book.newest_feed_at(),
    )


@router.get("/channels/{channel:path}/affected")
async def list_affected(
    visit: Advised,
    services: Services,
    page: Paging,
    subdir: Annotated[str | None, Query(max_length=32)] = None,
    name: NameQuery = None,
    advisory: Annotated[str | None, Query(max_length=200, description="By any of its ids.")] = None,
    least_cvss: Annotated[float | None, Query(ge=0, le=10)] = None,
    with_harmless: Annotated[bool, Query(description="Also what curations mitigated or cleared.")] = False,
) -> Listing[AffectedAnswer]:
    """The files of a channel that advisories affect, with each finding."""
    after = page.after(tuple[Word, Word, Word])
    found: list[Exposed] = []
    async for one in services.exposure.iter_affected(visit.channel, subdir):
        if (after is not None and _key(one) <= after) or not (one.is_affected or with_harmless):
            continue
        if name in {None, one.name} and _concerns(one, advisory, least_cvss):
            found.append(one)
        if len(found) > page.limit:
            break
    items, following = page.cut(found, _key)
    return Listing(items=[_affected(one) for one in items], next=following)


def _key(one: Exposed) -> tuple[str, str, str]:
    return one.subdir, one.name, one.filename


def _concerns(one: Exposed, advisory: str | None, least_cvss: float | None) -> bool:
    return any(
        (advisory is None or advisory == finding.advisory or advisory in finding.aliases)
        and (least_cvss is None or (finding.cvss or 0) >= least_cvss)
        for finding in one.findings
    )


def _affected(one: Exposed) -> AffectedAnswer:
    findings = [shown_finding(finding) for finding in one.findings]
    return AffectedAnswer(
        subdir=one.subdir,
        name=one.name,
        filename=one.filename,
        sha256=one.sha256,
        is_affected=one.is_affected,
        findings=findings,
    )


def packages_of(services: ApiServices, name: str | None, purl: str | None = None) -> list[Package] | None:
    """The upstream packages that a conda name is, and that of a purl; None without either. Raises Invalid `purl-invalid`."""
    if name is None and purl is None:
        return None
    found: list[Package] = []
    if name is not None:
        rows = services.advisories.book.knowledge.names.get(name, ())
        found += [Package("conda", name), *(one.package for one in choose(identities_of(name, rows)))]
    if purl is not None:
        read = read_purl(purl)
        if read is None:
            raise Invalid("purl-invalid", f"{purl[:200]!r} is no package URL of an ecosystem that is known.")
        found.append(read[0])
    return found


def shown(listed: Listed) -> AdvisoryAnswer:
    """An advisory as the API shows it."""
    one = listed.advisory
    return AdvisoryAnswer(
        id=one.id,
        aliases=list(one.aliases),
        summary=one.summary,
        details=one.details,
        severity=one.severity,
        cvss=one.cvss,
        epss=listed.epss,
        is_known_exploited=one.exploited is not None,
        is_malicious=one.is_malicious,
        is_withdrawn=listed.is_withdrawn,
        published=one.published,
        modified=one.modified,
        cwes=list(one.cwes),
        references=list(one.references),
        sources=[f"{feed}:{name}" for feed, name in one.sources],
        affected=sorted({str(Package(found.ecosystem, found.name)) for found in one.affected}),
        vectors=[score.vector for score in one.scores],
    )
