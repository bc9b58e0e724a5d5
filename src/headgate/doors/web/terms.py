"""What is typed into a filter bar: words, and `key:value` terms, of which a value with blanks stands in quotes."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from headgate.kernel import clock
from headgate.kernel.errors import Invalid

_TERM = re.compile(r'(?:([a-z][a-z0-9-]*):)?(?:"([^"]*)"|(\S+))')
_DAYS = re.compile(r"([0-9]{1,5})d")


@dataclass(frozen=True, slots=True)
class Terms:
    """The words, joined again, and the last value of each key that is known; `unknown` are keys that nobody asks for."""

    text: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str | None:
        """The value of a key, unless it is empty."""
        return self.values.get(key) or None

    def moment(self, key: str) -> datetime | None:
        """`2026-11-01`, or `30d` for days back. Raises Invalid `filter-invalid`."""
        value = self.get(key)
        if value is None:
            return None
        days = _DAYS.fullmatch(value)
        try:
            if days:
                return clock.now() - timedelta(days=int(days[1]))
            found = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            said = f"{key}:{value[:40]} is no moment: write a date such as 2026-11-01, or 30d for days back."
            raise Invalid("filter-invalid", said) from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def parse_terms(text: str, keys: Collection[str]) -> Terms:
    """Read a filter; what has another key than `keys` counts as a word."""
    words: list[str] = []
    values: dict[str, str] = {}
    for key, quoted, plain in _TERM.findall(text.replace("\0", "")):
        if key in keys:
            values[key] = quoted or plain
        else:
            words.append(f"{key}:{quoted or plain}" if key else quoted or plain)
    return Terms(" ".join(words), values)
