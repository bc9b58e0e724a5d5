"""Records, shards, findings and policies to judge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from headgate.advisories.findings import AdvisoryStatus, Assessment, Coverage, Finding, Sureness
from headgate.conda.records import Record, RecordView
from headgate.conda.shards import Shard
from headgate.kernel import clock
from headgate.policy.exemptions import Exemption
from headgate.policy.facts import Facts
from headgate.policy.gate import Attached, evaluate
from headgate.policy.model import parse_policy
from headgate.policy.verdicts import Evaluation, Verdict

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def ago(days: float) -> int:
    """Milliseconds of that many days before now."""
    return clock.to_ms(NOW - days * DAY)


def record(name: str = "demo", version: str = "1.0", build: str | None = "0", **more: Any) -> Record:
    """A record in wire form, a hundred days old unless said otherwise."""
    plain: dict[str, Any] = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": 0,
        "subdir": "noarch",
        "size": 1000,
    }
    plain |= {"license": "MIT", "indexed_timestamp": ago(100), "timestamp": ago(200), "sha256": b"\1" * 32}
    return plain | more


def finding(advisory: str = "CVE-2026-1", **more: Any) -> Finding:
    """A critical finding that nobody has judged."""
    values: dict[str, Any] = {
        "aliases": ("GHSA-abcd",), "status": AdvisoryStatus.REPORTED, "cvss": 9.8, "severity": "critical", "epss": 0.4,
        "is_known_exploited": False, "is_malicious": False, "is_curated": False, "sureness": Sureness.EXACT,
        "why": "pkg:pypi/demo, all versions",
    }  # fmt: skip
    return Finding(advisory, **(values | more))


@dataclass
class Book:
    """Assessments made up by file name; the others were checked and have no findings."""

    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    coverage: Coverage = Coverage.CHECKED
    feed_at: datetime | None = NOW - DAY
    is_broken: bool = False

    def digest(self, name: str) -> bytes:
        return repr((self.findings, self.coverage, self.feed_at, name)).encode()

    def assess(self, name: str, records: Mapping[str, RecordView]) -> Mapping[str, Assessment]:
        if self.is_broken:
            raise RuntimeError("the book fell apart")
        return {file: Assessment(self.coverage, "no identity", self.findings.get(file, ())) for file in records}

    def usual(self, name: str) -> Assessment | None:
        """Whatever name is asked for."""
        if self.is_broken:
            raise RuntimeError("the book fell apart")
        return None if self.findings else Assessment(self.coverage, "no identity")

    def newest_feed_at(self) -> datetime | None:
        return self.feed_at


def shard_of(*records: Record, extension: str = ".conda") -> Shard:
    """One shard of them all."""
    named = {f"{one['name']}-{one['version']}-{one['build']}{extension}": one for one in records}
    return Shard(conda=named) if extension == ".conda" else Shard(packages=named)


def attached(
    *rules: Mapping[str, Any], name: str = "test", mode: str = "enforce", source: int | None = None
) -> Attached:
    """A policy of these rules; each blocks unless it says what else."""
    document = {"name": name, "mode": mode, "rule": [{"action": "block"} | dict(rule) for rule in rules]}
    return Attached(parse_policy(document), source)


def judge(
    shard: Shard, *rules: Mapping[str, Any], exemptions: tuple[Exemption, ...] = (), now: datetime = NOW, **facts: Any
) -> Evaluation:
    """What one policy of these rules makes of a shard."""
    told: dict[str, Any] = {"name": "demo", "book": Book()} | facts
    return evaluate(shard, [attached(*rules)], exemptions, Facts(**told), now)


def judge_one(rule: Mapping[str, Any], one: Record | None = None, **facts: Any) -> Verdict:
    """What one rule makes of one record."""
    shard = shard_of(one or record())
    return judge(shard, rule, **facts).verdict(next(iter(shard.conda)))
