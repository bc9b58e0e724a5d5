"""Time, in one place: aware UTC datetimes, and milliseconds where conda counts in them."""

from datetime import UTC, datetime, timedelta

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def now() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)


def now_ms() -> int:
    """The current moment in milliseconds since 1970, the unit of conda's `timestamp`."""
    return int(now().timestamp() * 1000)


def to_ms(moment: datetime) -> int:
    """An aware datetime as milliseconds since 1970."""
    return (moment - _BEGINNING) // _MILLISECOND  # exact, which a float would not be


def from_ms(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as an aware datetime."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def from_optional_ms(milliseconds: int | None) -> datetime | None:
    """The same where there may be none."""
    return None if milliseconds is None else from_ms(milliseconds)
