"""The questions of osv.dev's API, answered for `pkg:conda` down to the build, and for what feeds name themselves.

https://google.github.io/osv.dev/api/: a tool that lets its base URL be set asks here as it asks there.
"""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from headgate.advisories.findings import HARMLESS, Finding
from headgate.advisories.osv_shape import render_osv
from headgate.advisories.purls import package_of, read_purl
from headgate.advisories.statements import Builds
from headgate.conda.records import Record
from headgate.doors.api.advisories import IdPath
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import AdvisoryReading, Services
from headgate.doors.api.models import Text
from headgate.doors.api.services import ApiServices
from headgate.kernel.errors import Invalid

router = APIRouter(tags=["osv"], prefix="/api/osv/v1", route_class=BoundedRoute)


class OsvPackage(BaseModel):
    """A package, by its purl or by ecosystem and name."""

    purl: Text | None = None
    ecosystem: Text | None = None
    name: Text | None = None


class OsvQuery(BaseModel):
    """A question about one package. A version may be in the purl or beside it."""

    package: OsvPackage
    version: Text | None = None
    page_token: Text | None = None


class OsvBatch(BaseModel):
    """Several questions at once."""

    queries: Annotated[list[OsvQuery], Field(max_length=1000)]


@router.post("/query")
async def query(body: OsvQuery, _caller: AdvisoryReading, services: Services) -> dict[str, Any]:
    """The advisories that affect a package, whole; mitigated and cleared ones are left out."""
    found = _answer(services, body)
    listed = await services.advisories.catalogue.get_many(list(found))
    vulns = [render_osv(listed[name], finding) for name, finding in found.items() if name in listed]
    return {"vulns": vulns} if vulns else {}


@router.post("/querybatch")
async def query_batch(body: OsvBatch, _caller: AdvisoryReading, services: Services) -> dict[str, Any]:
    """The same for many packages: ids and times of change alone, in the order of the questions."""
    answers = [_answer(services, one) for one in body.queries]
    listed = await services.advisories.catalogue.get_many([name for one in answers for name in one])
    results: list[dict[str, Any]] = []
    for answer in answers:
        known = [listed[name].advisory for name in answer if name in listed]
        vulns = [{"id": one.id, "modified": one.modified or "1970-01-01T00:00:00Z"} for one in known]
        results.append({"vulns": vulns} if vulns else {})
    return {"results": results}


@router.get("/vulns/{id}")
async def show_vulnerability(_caller: AdvisoryReading, services: Services, name: IdPath) -> dict[str, Any]:
    """One advisory as an OSV record, by any of its ids."""
    return render_osv(await services.advisories.catalogue.get_advisory(name))


def _answer(services: ApiServices, asked: OsvQuery) -> dict[str, Finding | None]:
    """Advisory id -> finding (of conda packages), of what affects the package. Raises Invalid `purl-invalid`."""
    knowledge = services.advisories.book.knowledge
    package, version, builds = _read(asked)
    if package.ecosystem != "conda":
        return dict.fromkeys(knowledge.query(package, version))
    record = _record(package.name, version or "", builds or Builds())
    assessment = knowledge.assess(package.name, {"": record})[""]
    return {one.advisory: one for one in assessment.findings if one.status not in HARMLESS}


def _read(asked: OsvQuery) -> Any:
    given = asked.package
    if given.purl is not None:
        read = read_purl(given.purl)
        if read is None:
            raise Invalid("purl-invalid", f"{given.purl[:200]!r} is no package URL of an ecosystem that is known.")
        return read[0], read[1] or asked.version, read[2]
    if given.ecosystem and given.name:
        return package_of(given.ecosystem, given.name), asked.version, None
    raise Invalid("purl-invalid", "The package needs a purl, or an ecosystem and a name.")


def _record(name: str, version: str, builds: Builds) -> Record:
    """What a purl says of a build, as a record."""
    known = {
        "build": builds.build,
        "build_number": builds.build_number,
        "subdir": builds.subdir,
        "sha256": builds.sha256,
    }
    return {"name": name, "version": version} | {key: value for key, value in known.items() if value is not None}
