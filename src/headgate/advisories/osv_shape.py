"""Advisories in the shape of OSV, for tools that know osv.dev. Pure.

`database_specific` holds what OSV has no member for: the feeds, EPSS, and how the advisory stands with the build asked
for.
"""

from typing import Any

from msgspec import to_builtins

from headgate.advisories.catalogue import Listed
from headgate.advisories.findings import Finding
from headgate.advisories.purls import Package
from headgate.advisories.statements import Affected


def render_osv(listed: Listed, finding: Finding | None = None) -> dict[str, Any]:
    """An OSV record, schema 1.7.5."""
    one = listed.advisory
    own: dict[str, Any] = {
        "sources": [{"feed": feed, "id": name} for feed, name in one.sources],
        "severity": one.severity,
        "cvss": one.cvss,
        "epss": listed.epss,
        "is_known_exploited": one.exploited is not None,
        "is_malicious": one.is_malicious,
        "cwe_ids": list(one.cwes),
    }
    if one.exploited is not None:
        own["exploited"] = to_builtins(one.exploited)
    if finding is not None:
        own |= {"status": finding.status.value, "sureness": finding.sureness.value, "why": finding.why}
    record = {
        "schema_version": "1.7.5",
        "id": one.id,
        "aliases": list(one.aliases),
        "summary": one.summary,
        "details": one.details,
        "published": one.published,
        "modified": one.modified or "1970-01-01T00:00:00Z",
        "withdrawn": one.withdrawn,
        "severity": [{"type": score.kind, "score": score.vector} for score in one.scores],
        "affected": [_affected(found) for found in one.affected],
        "references": [{"type": "WEB", "url": url} for url in one.references],
        "database_specific": own,
    }
    return {key: value for key, value in record.items() if value not in (None, "", [])}


def _affected(given: Affected) -> dict[str, Any]:
    package = Package(given.ecosystem, given.name)
    purl = str(package)
    ranges = [
        {"type": one.kind.value, "events": [{event.kind: event.version} for event in one.events]}
        for one in given.ranges
    ]
    shown: dict[str, Any] = {"package": {"ecosystem": given.ecosystem, "name": given.name}}
    if purl.startswith("pkg:"):
        shown["package"]["purl"] = purl
    if ranges:
        shown["ranges"] = ranges
    if given.versions:
        shown["versions"] = list(given.versions)
    return shown
