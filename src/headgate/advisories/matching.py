"""Whether a version is affected: the evaluation algorithm of the OSV schema. Pure.

https://ossf.github.io/osv-schema/#evaluation: a version is affected when it is listed, or when a range includes it.
Versions are compared in the ecosystem's order, so the listed 1.0 means 1.0.0 too. A range with a version that its
order cannot read says nothing; nor does one without an order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from headgate.advisories.statements import Affected, Builds, Event, Range
from headgate.advisories.versions import Key, Parse, equality_of, order_of

_FIRST = "0"
_TIMELINE = frozenset({"introduced", "fixed", "last_affected"})


class Matcher:
    """One affected package, ready to be asked about many versions."""

    def __init__(self, affected: Affected) -> None:
        self._affected = affected
        self._same = equality_of(affected.ecosystem)
        self._listed = {key for one in affected.versions if (key := self._same(one)) is not None}
        self._spans = [span for one in affected.ranges if (span := _span(affected.ecosystem, one)) is not None]

    @property
    def knows_builds(self) -> bool:
        """Whether the answer depends on more than the version."""
        return self._affected.builds is not None

    def why(self, version: str, record: Mapping[str, Any]) -> str | None:
        """Why the version (or, for conda, the record) is affected: part of a sentence. None: it is not."""
        builds = self._affected.builds
        if builds is not None and not _is_meant(builds, version, record):
            return None
        if builds is not None and not self._affected.ranges and not self._affected.versions:
            return "this very build is named"
        if self._same(version) in self._listed:
            return f"version {version} is listed"
        found = next((span for span in self._spans if span.includes(version)), None)
        return None if found is None else f"version {version} is in {render_range(found.range)}"


def _is_meant(builds: Builds, version: str, record: Mapping[str, Any]) -> bool:
    order = equality_of("conda")
    sha256 = record.get("sha256")
    return (
        (builds.version is None or order(builds.version) == order(version))
        and (builds.build is None or builds.build == record.get("build"))
        and (builds.build_number is None or builds.build_number == record.get("build_number"))
        and (builds.subdir is None or builds.subdir == record.get("subdir"))
        and (builds.sha256 is None or builds.sha256 == (sha256.hex() if isinstance(sha256, bytes) else sha256))
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """A range with its versions read; a key of None is the beginning."""

    range: Range
    order: Parse
    timeline: tuple[tuple[str, Key | None], ...]
    limits: tuple[Key, ...] | None

    def includes(self, version: str) -> bool:
        """Whether the version is affected by the events up to it, and before a limit."""
        key = self.order(version)
        if key is None or (self.limits is not None and not any(key < limit for limit in self.limits)):
            return False
        is_affected = False
        for kind, at in self.timeline:
            if kind == "introduced":
                is_affected |= at is None or key >= at
            elif kind == "fixed":
                is_affected &= at is not None and key < at
            else:
                is_affected &= at is not None and key <= at
        return is_affected


def _span(ecosystem: str, one: Range) -> _Span | None:
    order = order_of(ecosystem, one.kind)
    if order is None:
        return None
    first: list[tuple[str, Key | None]] = []
    rest: list[tuple[str, Key]] = []
    for event in one.events:
        if event.kind not in _TIMELINE:
            continue
        key = order(event.version)
        if event.version == _FIRST:
            first.append((event.kind, None))
        elif key is None:
            return None
        else:
            rest.append((event.kind, key))
    # Stable: events at one version keep the order in which the advisory gives them.
    rest.sort(key=itemgetter(1))
    return _Span(one, order, (*first, *rest), _limits(one.events, order))


def _limits(events: Iterable[Event], order: Parse) -> tuple[Key, ...] | None:
    texts = [event.version for event in events if event.kind == "limit"]
    if not texts or "*" in texts:
        return None
    return tuple(key for text in texts if (key := order(text)) is not None)


_SIGNS = {"introduced": ">=", "fixed": "<", "last_affected": "<=", "limit": "<"}


def render_range(one: Range) -> str:
    """A range for people: `>=1.0,<1.2.3`."""
    shown = [
        f"{_SIGNS[event.kind]}{event.version}"
        for event in one.events
        if event.kind in _SIGNS and (event.kind, event.version) != ("introduced", _FIRST)
    ]
    return ",".join(shown) or "every version"
