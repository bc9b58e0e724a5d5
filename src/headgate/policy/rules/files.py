"""Rules on files: their size, their format, and whether a newer patch release is beside them."""

import re
from operator import attrgetter

from headgate.conda.names import Sha256
from headgate.conda.specs import version_key
from headgate.kernel.errors import Invalid
from headgate.policy.facts import Case, Facts, Siblings
from headgate.policy.glance import Glance
from headgate.policy.rules.rule import CLOSER, NOTHING, Judgement, Look, Rule, Sorter, acts
from headgate.policy.terms import Terms

_SERIES = re.compile(r"(?:\d+!)?\d+\.\d+(?=\.\d)")


class SizeRule(Rule):
    """Acts on files of more than `most_bytes`, or fewer than `least_bytes`."""

    kind = "size"
    is_by_sort_alone = True

    def __init__(self, terms: Terms) -> None:
        """Take `most_bytes` and `least_bytes`."""
        self._most, self._least = terms.number("most_bytes", 0, 1e15), terms.number("least_bytes", 0, 1e15)
        if self._most is None and self._least is None:
            raise terms.fail("it needs `most_bytes` or `least_bytes`.")

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """By the largest file."""
        if self._least is not None or glance.largest_bytes is None or self._most is None:
            return CLOSER
        return NOTHING if glance.largest_bytes <= self._most else CLOSER

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """By size, those that are small enough apart."""
        most = self._most
        if self._least is not None or most is None:
            return attrgetter("size")
        return lambda record: 0 if record.size is not None and record.size <= most else record.size

    def judge(self, case: Case) -> Judgement | None:
        """By the size that the record gives."""
        size = case.record.get("size")
        if not isinstance(size, int):
            return acts("Its record does not say how large it is.")
        if self._most is not None and size > self._most:
            return acts(f"It has {size} bytes; at most {self._most:.0f} pass.")
        if self._least is not None and size < self._least:
            return acts(f"It has {size} bytes; at least {self._least:.0f} pass.")
        return None


class DigestRule(Rule):
    """Acts on the files whose sha256 is in `sha256`."""

    kind = "sha256"

    def __init__(self, terms: Terms) -> None:
        """Take `sha256`."""
        try:
            self._digests = frozenset(Sha256.parse(one.lower()) for one in terms.words("sha256"))
        except Invalid as error:
            raise terms.fail(error.message) from error
        if not self._digests:
            raise terms.fail("it needs `sha256`, the files that it acts on.")

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """Only where one of the digests stands somewhere in the shard."""
        return CLOSER if any(one.raw in glance.packed for one in self._digests) else NOTHING

    def judge(self, case: Case) -> Judgement | None:
        """By what the record says; bytes that do not agree with it are delivered to nobody."""
        digest = case.record.get("sha256")
        if (digest.hex() if isinstance(digest, bytes) else digest) in self._digests:
            return acts("Its sha256 is one of those that are named.", "Use another build.")
        return None


class FormatDuplicatesRule(Rule):
    """Acts on a `.tar.bz2` when the same package is there as `.conda`."""

    kind = "format-duplicates"

    def __init__(self, terms: Terms) -> None:
        """Nothing to take."""

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """Only where there are both."""
        return CLOSER if glance.has_two_formats else NOTHING

    def judge(self, case: Case) -> Judgement | None:
        """By its siblings, whether or not they pass themselves."""
        stem = case.filename.removesuffix(".tar.bz2")
        if stem == case.filename or not case.siblings.has(f"{stem}.conda"):
            return None
        return acts(f"{stem}.conda is the same package in the newer format.", f"Use {stem}.conda.")


class LatestPatchRule(Rule):
    """Acts on a version when a later one of the same major and minor number is there for the same subdir."""

    kind = "latest-patch"

    def __init__(self, terms: Terms) -> None:
        """Nothing to take."""
        self._last: tuple[Siblings | None, dict[str, str]] = (None, {})

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """By version."""
        return attrgetter("version")

    def judge(self, case: Case) -> Judgement | None:
        """By its siblings, whether or not they pass themselves. Raises Invalid for a version that makes no sense."""
        version = str(case.record.get("version"))
        series = _series(version)
        if series is None:
            return None
        newest = self._newest(case.siblings)[series]
        if version_key(newest) <= version_key(version):
            return None
        return acts(f"{newest} is a later patch of {series}.", f"Use {newest}.")

    def _newest(self, siblings: Siblings) -> dict[str, str]:
        """The newest version of each series; remembered while one shard is judged."""
        last = self._last
        if last[0] is not siblings:
            newest: dict[str, str] = {}
            for version in sorted(siblings.versions):
                series = _series(version)
                if series is not None and (series not in newest or version_key(version) > version_key(newest[series])):
                    newest[series] = version
            last = self._last = (siblings, newest)
        return last[1]


def _series(version: str) -> str | None:
    found = _SERIES.match(version)
    return None if found is None else found[0]
