"""Match specs and versions, as py-rattler understands them: server and clients agree by construction."""

from functools import lru_cache
from typing import Any

from rattler import MatchSpec, PackageRecord, Version
from rattler.exceptions import InvalidMatchSpecError, InvalidPackageNameError, InvalidVersionError
from rattler.package.build_string import BuildString

from headgate.conda.records import RecordView, build_time_ms
from headgate.kernel.errors import Invalid

# py-rattler has no common error; besides its own it raises these for values of the wrong type, sign or form.
_UNREADABLE = (
    InvalidPackageNameError,
    InvalidVersionError,
    AttributeError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)


@lru_cache(maxsize=65_536)
def parse_spec(text: str) -> MatchSpec:
    """Read a match spec such as `numpy >=2,<3`. Raises Invalid `match-spec-invalid`."""
    try:
        return MatchSpec(text)
    except (InvalidMatchSpecError, ValueError) as error:
        raise Invalid("match-spec-invalid", f"{text[:200]!r} is not a match spec: {error}.") from error


@lru_cache(maxsize=65_536)
def version_key(text: str) -> Version:
    """A version that compares as conda compares. Raises Invalid `version-invalid`."""
    try:
        return Version(text)
    except (InvalidVersionError, TypeError, ValueError) as error:
        raise Invalid("version-invalid", f"{text!r:.100} is not a version: {error}.") from error


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1 as `left` is older than, equal to or newer than `right`. Raises Invalid `version-invalid`."""
    first, second = version_key(left), version_key(right)
    return (first > second) - (first < second)


def age_key(record: RecordView) -> tuple[Any, ...]:
    """Orders records by version, build number and build time; one whose version makes no sense is the oldest."""
    number = record.get("build_number")
    rest = (number if isinstance(number, int) else 0, build_time_ms(record) or 0)
    try:
        return (True, version_key(str(record.get("version"))), *rest)
    except Invalid:
        return (False, str(record.get("version")), *rest)


def matches(spec: MatchSpec, record: RecordView) -> bool:
    """Whether a record, in either form, satisfies a spec; a record that makes no sense satisfies none.

    The channel of the spec is not looked at.
    """
    try:
        return is_match(spec, record)
    except Invalid:
        return False


def is_match(spec: MatchSpec, record: RecordView) -> bool:
    """The same for who must know the difference. Raises Invalid `record-unreadable` for one that makes no sense."""
    if spec.subdir is not None and spec.subdir != record.get("subdir"):
        return False
    try:
        return spec.matches(_as_package_record(record))
    except _UNREADABLE as error:
        raise Invalid("record-unreadable", f"The record of {record.get('name')!r:.80} makes no sense.") from error


def _as_package_record(record: RecordView) -> PackageRecord:
    return PackageRecord(
        name=record["name"],
        version=record["version"],
        build=BuildString(record["build"]),
        build_number=record.get("build_number", 0),
        subdir=record.get("subdir") or "noarch",
        md5=_digest(record.get("md5")),
        sha256=_digest(record.get("sha256")),
        license=record.get("license"),
        license_family=record.get("license_family"),
        flags=record.get("flags"),
        extra_depends=record.get("extra_depends"),
    )


def _digest(value: str | bytes | None) -> bytes | None:
    return bytes.fromhex(value) if isinstance(value, str) else value
