"""What there is to say of one package in one channel: every build with its verdict, approved beside upstream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import select

from headgate.advisories.findings import Finding
from headgate.channels.model import Channel
from headgate.channels.revisions import World
from headgate.channels.why import Explanation, explain_spec
from headgate.conda.records import RecordView
from headgate.conda.specs import age_key
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.tables_life import package_note
from headgate.kernel.errors import NotFound
from headgate.policy.verdicts import Outcome

_ABOUT = ("summary", "description", "home", "dev_url", "doc_url")


@dataclass(frozen=True, slots=True)
class Cell:
    """The builds of one version for one platform."""

    builds: tuple[Explanation, ...]

    @property
    def passing(self) -> int:
        """How many pass."""
        return sum(one.verdict.is_passing for one in self.builds)

    @property
    def state(self) -> str:
        """`passes` when any build does, `warned` when each of those comes with a warning; else the mildest refusal."""
        outcome = min((one.verdict.outcome for one in self.builds), key=lambda one: one.rank)
        return STATES[outcome]


STATES: Mapping[Outcome, str] = {
    Outcome.ALLOW: "passes",
    Outcome.WARN: "warned",
    Outcome.HOLD: "held",
    Outcome.BLOCK: "blocked",
}


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version: platform -> its builds."""

    version: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class FoundAdvisory:
    """An advisory that affects builds of the package: how many, how many of them pass, and in which versions."""

    finding: Finding
    files: int
    passing: int
    versions: tuple[str, ...]


@dataclass(frozen=True)
class PackageSheet:
    """One package in one channel; `builds` are ordered, the newest first."""

    channel: Channel
    name: str
    builds: Sequence[Explanation]
    about: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None

    @cached_property
    def subdirs(self) -> list[str]:
        """Platforms that it has builds for."""
        return sorted({one.subdir for one in self.builds})

    @cached_property
    def versions(self) -> list[VersionRow]:
        """The newest first."""
        grid: dict[str, dict[str, list[Explanation]]] = {}
        for one in self.builds:
            grid.setdefault(str(one.record.get("version")), {}).setdefault(one.subdir, []).append(one)
        return [
            VersionRow(version, {subdir: Cell(tuple(builds)) for subdir, builds in row.items()})
            for version, row in grid.items()
        ]

    @cached_property
    def approved(self) -> Explanation | None:
        """The newest build that passes."""
        return next((one for one in self.builds if one.verdict.is_passing), None)

    @property
    def newest(self) -> Explanation:
        """The newest build that sources have, whether it passes or not."""
        return self.builds[0]

    @property
    def is_behind(self) -> bool:
        """Whether sources have a newer version than passes."""
        return self.approved is None or self.approved.record.get("version") != self.newest.record.get("version")

    @cached_property
    def licences(self) -> list[str]:
        """Of every build."""
        return sorted({str(one.record["license"]) for one in self.builds if one.record.get("license")})

    @cached_property
    def depends(self) -> list[tuple[str, str]]:
        """(name, the rest of the spec) of what the newest passing build, or else the newest, needs."""
        record: RecordView = (self.approved or self.newest).record
        specs = (str(spec).strip().partition(" ") for spec in record.get("depends") or ())
        return sorted((name, rest) for name, _, rest in specs if name)


async def read_sheet(database: Database, world: World, channel: Channel, name: str) -> PackageSheet:
    """The sheet of a package. Raises NotFound `package-unknown` where the channel has no such name."""
    found = await explain_spec(database, world, channel, name)
    if not found:
        raise NotFound("package-unknown", f"{channel.name} has no package {name[:80]}.")
    builds = sorted(found, key=lambda one: (age_key(one.record), one.filename), reverse=True)
    async with database.read() as connection:
        artifact, subdir = tables.artifact.c, tables.subdir.c
        about = await connection.execute(
            select(artifact.about)
            .join(tables.subdir, subdir.id == artifact.subdir_id)
            .where(artifact.package == name, artifact.about.is_not(None), subdir.channel_id == channel.id)
            .order_by(artifact.created_at.desc())
            .limit(1)
        )
        said = about.scalar_one_or_none() or {}
        note = await connection.execute(
            select(package_note.c.text).where(package_note.c.channel_id == channel.id, package_note.c.package == name)
        )
        text = note.scalar_one_or_none()
    shown = {key: _text(said[key]) for key in _ABOUT if said.get(key)}
    return PackageSheet(channel, name, builds, shown, text)


def find_advisories(world: World, sheet: PackageSheet) -> list[FoundAdvisory]:
    """What advisories say of its builds, the worst first."""
    by_subdir: dict[str, list[Explanation]] = {}
    for one in sheet.builds:
        by_subdir.setdefault(one.subdir, []).append(one)
    touched: dict[str, list[tuple[Finding, Explanation]]] = {}
    for builds in by_subdir.values():
        assessed = world.book.assess(sheet.name, {one.filename: dict(one.record) for one in builds})
        for one in builds:
            for finding in assessed[one.filename].findings:
                touched.setdefault(finding.advisory, []).append((finding, one))
    return sorted(map(_advisory, touched.values()), key=_severity)


def _advisory(found: Sequence[tuple[Finding, Explanation]]) -> FoundAdvisory:
    builds = [one for _, one in found]
    versions = dict.fromkeys(str(one.record.get("version")) for one in builds)
    return FoundAdvisory(found[0][0], len(builds), sum(one.verdict.is_passing for one in builds), tuple(versions))


def _severity(found: FoundAdvisory) -> tuple[bool, bool, float, str]:
    finding = found.finding
    return (
        not finding.is_malicious,
        not finding.is_known_exploited,
        -(finding.cvss or 0),
        finding.advisory,
    )


def _text(value: object) -> str:
    """Texts of about.json may be lists of them."""
    return str(value[0]) if isinstance(value, list) and value else str(value)
