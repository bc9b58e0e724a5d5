"""Numbers and moments as people read them."""

from datetime import datetime, timedelta

from markupsafe import Markup

from headgate.kernel import clock

_STEPS = (
    (timedelta(minutes=1), timedelta(seconds=1), "second"),
    (timedelta(hours=1), timedelta(minutes=1), "minute"),
    (timedelta(days=1), timedelta(hours=1), "hour"),
    (timedelta(days=60), timedelta(days=1), "day"),
    (timedelta(days=730), timedelta(days=30.44), "month"),
)
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def counted(number: int, word: str, plural: str | None = None) -> str:
    """`1 file`, `2 files`, `12,345 files`."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def size(count_bytes: object) -> str:
    """`14.2 MB`; nothing where it is not known, or no number."""
    if not isinstance(count_bytes, int | float):
        return ""
    amount, unit = float(count_bytes), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit and amount < 99.95 else f"{amount:.0f} {_UNITS[unit]}"


def figure(value: float | None, unit: str) -> str:
    """A figure of a plot, in its unit: `count`, `bytes` or `seconds`; nothing where there is none."""
    if value is None:
        return ""
    if unit == "bytes":
        return size(value)
    return f"{value:,.1f} s" if unit == "seconds" else f"{value:,.0f}"


def span(length: timedelta) -> str:
    """`3 hours`: the one unit that says most."""
    for below, unit, word in _STEPS:
        if length < below:
            return counted(int(length / unit), word)
    return counted(int(length / timedelta(days=365.25)), "year")


def ago(moment: datetime, now: datetime | None = None) -> str:
    """`3 hours ago`, `in 2 days`, `just now`."""
    distance = (now or clock.now()) - moment
    if abs(distance) < timedelta(seconds=5):
        return "just now"
    return f"{span(distance)} ago" if distance > timedelta() else f"in {span(-distance)}"


def exact(moment: datetime) -> str:
    """`2026-11-21 08:30:00 UTC`."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def time_tag(moment: datetime | None, absent: str = "never") -> Markup:
    """A moment told relative to now, with the exact one on hover and for machines."""
    if moment is None:
        return Markup('<span class="text-secondary">{}</span>').format(absent)
    tag = Markup('<time datetime="%s" title="%s" data-ago>%s</time>')  # several times as fast as `format`
    return tag % (moment.isoformat(timespec="seconds"), exact(moment), ago(moment))
