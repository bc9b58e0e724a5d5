"""OSV records (schema 1.7) as statements. Pure.

What is not as the schema says is refused for the whole record; members nobody here needs are not looked at.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec

from headgate.advisories.purls import package_of, read_purl
from headgate.advisories.statements import Affected, Event, Exploited, Range, RangeKind, Score, Statement
from headgate.kernel.errors import Invalid

# Markup of long advisories is of no use beyond this; the references lead to the rest.
DETAILS_CHARACTERS = 4_000
REFERENCES = 40
_KINDS = ("introduced", "fixed", "last_affected", "limit")
_REPOSITORY = re.compile(r"(?:git\+)?(?:https?|git|ssh)://(?:[^@/]+@)?(?:www\.)?([^/:]+)/([^?#]+)")
_ID = r"[A-Za-z0-9._:+-]{3,200}"
_ALIAS = re.compile(_ID)
Id = Annotated[str, msgspec.Meta(pattern=f"^{_ID}$")]


class _Package(msgspec.Struct):
    ecosystem: str = ""
    name: str = ""
    purl: str | None = None


class _Range(msgspec.Struct):
    type: str
    events: list[dict[str, Any]] = []
    repo: str | None = None


class _Severity(msgspec.Struct):
    type: str = ""
    score: str = ""


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] | None = None
    versions: list[str] | None = None
    severity: list[_Severity] | None = None


class _Reference(msgspec.Struct):
    url: str = ""


class _Record(msgspec.Struct):
    id: Id
    modified: str | None = None
    published: str | None = None
    withdrawn: str | None = None
    aliases: list[str] | None = None
    summary: str = ""
    details: str = ""
    severity: list[_Severity] | None = None
    affected: list[_Affected] | None = None
    references: list[_Reference] | None = None
    database_specific: Any = None


_decoder = msgspec.json.Decoder(_Record)


def parse_osv(data: bytes) -> Statement:
    """One OSV record. Raises Invalid `advisory-invalid`."""
    try:
        record = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("advisory-invalid", f"This is not an OSV record: {error}.") from error
    specific = record.database_specific if isinstance(record.database_specific, dict) else {}
    severity, cwes = specific.get("severity"), specific.get("cwe_ids")
    affected = record.affected or ()
    return Statement(
        id=record.id,
        aliases=tuple(sorted({one for one in record.aliases or () if _ALIAS.fullmatch(one)} - {record.id})),
        summary=record.summary[:500],
        details=record.details[:DETAILS_CHARACTERS],
        published=record.published,
        modified=record.modified,
        withdrawn=record.withdrawn,
        severity=severity if isinstance(severity, str) else None,
        scores=_scores(record.id, [*(record.severity or ()), *(s for one in affected for s in one.severity or ())]),
        references=tuple(one.url for one in record.references or () if one.url)[:REFERENCES],
        cwes=tuple(one for one in cwes if isinstance(one, str)) if isinstance(cwes, list) else (),
        affected=tuple(found for one in affected for found in _affected(one)),
        exploited=_exploited(specific.get("exploited")),
    )


def _exploited(given: Any) -> Exploited | None:
    """What another server of ours knew of it; others do not say this."""
    try:
        return None if given is None else msgspec.convert(given, Exploited)
    except msgspec.ValidationError:
        return None


def _scores(origin: str, given: Iterable[_Severity]) -> tuple[Score, ...]:
    known = (one for one in given if one.type in {"CVSS_V2", "CVSS_V3", "CVSS_V4"})
    return tuple(dict.fromkeys(Score(one.type, one.score, origin) for one in known))


def _affected(given: _Affected) -> Iterator[Affected]:
    """The package; or, of a record that names none, each repository, whose listed tags are all that can be compared."""
    versions = tuple(given.versions or ())
    ranges = tuple(_range(one) for one in given.ranges or () if one.type in {"ECOSYSTEM", "SEMVER"})
    package = given.package
    read = read_purl(package.purl) if package is not None and package.purl else None
    if read is not None and read[0].ecosystem == "conda":
        yield Affected("conda", read[0].name, ranges, versions, read[2])
    elif package is not None and package.ecosystem and package.name:
        found = package_of(package.ecosystem, package.name)
        yield Affected(found.ecosystem, found.name, ranges, versions)
    elif read is not None:
        yield Affected(read[0].ecosystem, read[0].name, ranges, versions)
    elif versions:
        repositories = {repo for one in given.ranges or () if (repo := repository_of(one.repo or ""))}
        yield from (Affected("GIT", name, versions=versions) for name in sorted(repositories))


def _range(given: _Range) -> Range:
    events = tuple(
        Event(kind, event[kind]) for event in given.events for kind in _KINDS if isinstance(event.get(kind), str)
    )
    return Range(RangeKind(given.type), events)


def repository_of(url: str) -> str | None:
    """`github.com/madler/zlib` of a repository's URL, or of one below it; None for other URLs."""
    found = _REPOSITORY.match(url)
    if found is None:
        return None
    host, path = found[1].lower(), found[2].strip("/").lower()
    if host in {"github.com", "gitlab.com"}:
        path = "/".join(path.split("/")[:2])
    path = path.removesuffix(".git")
    return f"{host}/{path}" if "/" in path else None
