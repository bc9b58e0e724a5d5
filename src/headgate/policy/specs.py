"""Match specs in policies: those of conda, and wildcards in the name besides (`internal-*`, `* >=2`)."""

import re
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache

from rattler import MatchSpec
from rattler.exceptions import InvalidMatchSpecError

from headgate.conda.records import RecordView
from headgate.conda.specs import is_match
from headgate.kernel.errors import Invalid

_EXACT = re.compile(r"[a-z0-9_.-]+")
_NAME_ONLY = re.compile(r"[A-Za-z0-9_.*?-]+")


@dataclass(frozen=True, slots=True)
class Spec:
    """One spec of a policy, taken apart once."""

    text: str
    names: re.Pattern[str]
    has_only_name: bool
    match: MatchSpec = field(compare=False)

    def may_match(self, name: str) -> bool:
        """False when no record of this package can match."""
        return self.names.fullmatch(name.lower()) is not None

    @property
    def exact_name(self) -> str | None:
        """The only package that can match; None when the name holds a wildcard."""
        name = self.match.name.normalized
        return name if _EXACT.fullmatch(name) else None

    def matches(self, record: RecordView) -> bool:
        """Whether the record matches. Raises Invalid `record-unreadable` when that cannot be told."""
        if not self.may_match(str(record.get("name", ""))):
            return False
        return self.has_only_name or is_match(self.match, record)

    def surely_matches(self, record: RecordView) -> bool:
        """The same for what opens the gate: a record that makes no sense matches nothing."""
        try:
            return self.matches(record)
        except Invalid:
            return False


@lru_cache(maxsize=4096)
def parse_policy_spec(text: str) -> Spec:
    """Read a spec in which the name may hold `*`. Raises Invalid `match-spec-invalid`."""
    stripped = text.strip()
    try:
        match = MatchSpec(stripped, exact_names_only=False)
    except (InvalidMatchSpecError, ValueError) as error:
        raise Invalid("match-spec-invalid", f"{text[:200]!r} is not a match spec: {error}.") from error
    name = re.split(r"[\s=<>!~\[]", stripped, maxsplit=1)[0].rpartition(":")[2].lower()
    pattern = name if name.startswith("^") else translate(name or "*")
    return Spec(stripped, re.compile(pattern), _NAME_ONLY.fullmatch(stripped) is not None, match)
