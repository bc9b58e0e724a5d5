"""When mirrors sync by themselves, over changes of the clock too."""

from datetime import UTC, datetime, timedelta

import pytest

from headgate.channels.schedules import ScheduleSettings
from headgate.kernel.errors import Invalid


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(cron: str, after: str, count: int, timezone: str = "Europe/Berlin") -> list[str]:
    schedule = ScheduleSettings(cron=cron, timezone=timezone, jitter_seconds=0)
    schedule.check()
    found, moment = [], at(after)
    for _ in range(count):
        following = schedule.next_after(moment, "any")
        assert following is not None
        moment = following
        found.append(f"{moment:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("30 2 * * *", "2026-01-01T00:00", ["01-01 01:30", "01-02 01:30"]),
        ("30 2 * * *", "2026-03-28T12:00", ["03-29 01:00", "03-30 00:30"]),  # 02:30 is skipped: 03:00 instead
        ("30 2 * * *", "2026-10-24T12:00", ["10-25 00:30", "10-26 01:30"]),  # 02:30 comes twice, and counts once
        ("0 * * * *", "2026-10-25T00:30", ["10-25 01:00", "10-25 02:00"]),  # every hour that passes
        ("*/20 3-4 * * 1", "2026-11-21T00:00", ["11-23 02:00", "11-23 02:20"]),
    ],
)
def test_runs(cron: str, after: str, expected: list[str]) -> None:
    assert runs(cron, after, 2) == expected


def test_hour_in_a_zone_without_changes() -> None:
    assert runs("15 6 1 * *", "2026-01-01T12:00", 2, "UTC") == ["02-01 06:15", "03-01 06:15"]


def test_no_schedule_never_runs() -> None:
    assert ScheduleSettings().next_after(at("2026-01-01T00:00"), "any") is None


def test_jitter_is_the_same_every_day_and_another_for_another_mirror() -> None:
    schedule = ScheduleSettings(cron="0 3 * * *", jitter_seconds=3600)
    day = at("2026-01-01T12:00")
    delays = {}
    for key in ("conda-forge/main", "bioconda/main", "science/main"):
        first = schedule.next_after(day, key)
        assert first is not None
        second = schedule.next_after(first, key)
        assert second == first + timedelta(days=1)
        delays[key] = first - at("2026-01-02T03:00")
    assert all(timedelta(0) <= delay <= timedelta(hours=1) for delay in delays.values())
    assert len(set(delays.values())) == len(delays)


@pytest.mark.parametrize(
    ("cron", "timezone", "code"),
    [
        ("0 0 * *", "UTC", "cron-invalid"),
        ("0 0 * * * *", "UTC", "cron-invalid"),
        ("@daily", "UTC", "cron-invalid"),
        ("61 0 * * *", "UTC", "cron-invalid"),
        ("0 0 31 2 *", "UTC", "cron-invalid"),
        ("0 0 * * *", "Mars/Olympus", "timezone-unknown"),
        ("0 0 * * *", "../../etc/passwd", "timezone-unknown"),
    ],
)
def test_what_is_no_schedule_is_refused(cron: str, timezone: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        ScheduleSettings(cron=cron, timezone=timezone).check()
    assert refused.value.code == code
