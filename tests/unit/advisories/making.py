"""Advisories and records to test with."""

from typing import Any

from headgate.conda.records import Record

SHA = bytes(range(32))


def osv(name: str, package: str = "demo", *, ecosystem: str = "PyPI", **more: Any) -> dict[str, Any]:
    """An OSV record that affects `package` below 2.0, unless `more` says otherwise."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]
    affected = {"package": {"ecosystem": ecosystem, "name": package}, "ranges": ranges}
    return {"id": name, "modified": "2026-01-01T00:00:00Z", "affected": [affected]} | more


def ranged(name: str, *events: tuple[str, str], package: str = "demo", **more: Any) -> dict[str, Any]:
    """An OSV record with one range of these events."""
    made = osv(name, package, **more)
    made["affected"][0]["ranges"][0]["events"] = [{kind: version} for kind, version in events]
    return made


def record(version: str = "1.0", build: str = "0", *, name: str = "demo", **more: Any) -> Record:
    """A record in wire form."""
    return {
        "name": name, "version": version, "build": build, "build_number": 0, "subdir": "noarch", "depends": [],
        "sha256": SHA,
    } | more  # fmt: skip


def files(*records: Record) -> dict[str, Record]:
    """Records by file name."""
    return {f"{one['name']}-{one['version']}-{one['build']}.conda": one for one in records}
