"""The keys of one table of a policy, read one by one; every complaint names the rule and the key."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from headgate.kernel import clock
from headgate.kernel.errors import Invalid
from headgate.policy.specs import Spec, parse_policy_spec

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def invalid(where: str, what: str) -> Invalid:
    """The complaint about one place of a policy."""
    return Invalid("policy-invalid", f"{where}: {what}")


class Terms:
    """Takes values out of a table. Every method raises Invalid `policy-invalid`."""

    def __init__(self, where: str, table: Mapping[str, Any]) -> None:
        self.where = where
        self._left = dict(table)

    def fail(self, what: str) -> Invalid:
        """A complaint about this table."""
        return invalid(self.where, what)

    def text(self, key: str, default: str | None = None) -> str:
        """A text; required without a default."""
        value = self._left.pop(key, default)
        if not isinstance(value, str) or not value or len(value) > 4096:
            raise self.fail(f"`{key}` must be a text.")
        return value

    def choice(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        """One of some words."""
        value = self._left.pop(key, default)
        if value not in allowed:
            raise self.fail(f"`{key}` is {_shown(value)}; it must be one of {', '.join(allowed)}.")
        return str(value)

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty when absent."""
        value = self._left.pop(key, [])
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
            raise self.fail(f"`{key}` must be a list of texts.")
        return tuple(value)

    def choices(self, key: str, allowed: Collection[str], default: Collection[str] = ()) -> frozenset[str]:
        """A list of some of the words allowed."""
        found = self.words(key) or tuple(default)
        for one in found:
            if one not in allowed:
                raise self.fail(f"`{key}` names {one!r}; it may name {', '.join(allowed)}.")
        return frozenset(found)

    def ids(self, key: str) -> frozenset[str]:
        """A list of advisories' ids, in upper case."""
        found = self.words(key)
        for one in found:
            if not _ID.fullmatch(one):
                raise self.fail(f"`{key}` names {one[:80]!r}, which is not the id of an advisory.")
        return frozenset(one.upper() for one in found)

    def number(self, key: str, lowest: float, highest: float, default: float | None = None) -> float | None:
        """A number within bounds."""
        value = self._left.pop(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
            raise self.fail(f"`{key}` is {_shown(value)}; it must be a number from {lowest:g} to {highest:g}.")
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._left.pop(key, default)
        if not isinstance(value, bool):
            raise self.fail(f"`{key}` is {_shown(value)}; it must be true or false.")
        return value

    def span_ms(self) -> int:
        """A length of time from `days` and `hours`, which add up; one of them is required."""
        days, hours = self.number("days", 0, 36_500), self.number("hours", 0, 876_000)
        if days is None and hours is None:
            raise self.fail("it needs `days` or `hours`.")
        return int(((days or 0) * 24 + (hours or 0)) * 3_600_000)

    def moment_ms(self, key: str) -> int | None:
        """A day (its beginning, in UTC) or a moment, as TOML or ISO 8601 writes them; milliseconds."""
        value = self._left.pop(key, None)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                raise self.fail(f"`{key}` is {_shown(value)}; it must be a date such as 2026-01-31.") from None
        if value is None:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time(), UTC)
        if not isinstance(value, datetime):
            raise self.fail(f"`{key}` is {_shown(value)}; it must be a date such as 2026-01-31.")
        return clock.to_ms(value if value.tzinfo else value.replace(tzinfo=UTC))

    def specs(self, key: str) -> tuple[Spec, ...]:
        """A list of match specs."""
        found = []
        for one in self.words(key):
            try:
                found.append(parse_policy_spec(one))
            except Invalid as error:
                raise self.fail(f"`{key}`: {error.message}") from error
        return tuple(found)

    def tables(self, key: str) -> list[Any]:
        """A list of tables, not looked at yet."""
        value = self._left.pop(key, [])
        if not isinstance(value, list):
            raise self.fail(f"`{key}` must be a list of tables, written as [[{key}]].")
        return value

    def finish(self) -> None:
        """Nothing may be left over."""
        if self._left:
            raise self.fail(f"it has no key {', '.join(f'`{key}`' for key in sorted(map(str, self._left)))}.")


def _shown(value: Any) -> str:
    return "missing" if value is None else repr(value)[:80]
