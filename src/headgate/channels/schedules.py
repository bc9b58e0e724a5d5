"""When a mirror is synced by itself: five fields of cron, read in a time zone.

Hours that the clock skips in spring run at the hour after them; hours that it repeats in autumn run once, unless the
hour field is a wildcard, which means every hour that passes.
"""

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from croniter import croniter
from croniter.croniter import CroniterError

from headgate.kernel.errors import Invalid


class ScheduleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to sync."""

    cron: str = ""
    """Minute, hour, day of month, month, day of week; empty: never by itself."""
    timezone: str = "UTC"
    """A name such as `Europe/Berlin`."""
    jitter_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 60
    """A mirror starts up to so much later, always by the same amount, so that not all start at once."""

    def check(self) -> None:
        """Raises Invalid `cron-invalid`, `timezone-unknown`."""
        _zone(self.timezone)
        if self.cron and (len(self.cron.split()) != 5 or not croniter.is_valid(self.cron)):
            raise Invalid(
                "cron-invalid",
                f"{self.cron!r} is not a schedule: five fields such as `30 2 * * *`, as crontab has them.",
            )
        if self.cron and _next(self.cron, datetime(2024, 1, 1, tzinfo=_zone(self.timezone))) is None:
            raise Invalid("cron-invalid", f"{self.cron!r} never comes.")

    def next_after(self, moment: datetime, key: str) -> datetime | None:
        """The first run later than `moment` (aware), for the mirror that `key` names; None without a schedule."""
        if not self.cron:
            return None
        delay = self._delay(key)
        found = _next(self.cron, (moment - delay).astimezone(_zone(self.timezone)))
        return None if found is None else found.astimezone(moment.tzinfo) + delay

    def _delay(self, key: str) -> timedelta:
        drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
        return timedelta(seconds=drawn % (self.jitter_seconds + 1))


def _next(cron: str, moment: datetime) -> datetime | None:
    ticks = croniter(cron, moment, max_years_between_matches=8)
    try:
        found: datetime = ticks.get_next(datetime)
        while found.fold and "*" not in cron.split()[1]:
            found = ticks.get_next(datetime)
    except CroniterError:
        return None
    return found


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Invalid("timezone-unknown", f"{name!r:.80} is no time zone. Names look like `Europe/Berlin`.") from error
