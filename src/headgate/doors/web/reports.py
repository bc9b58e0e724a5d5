"""Reports as pictures: downloads, storage, advisories, syncs; each with its table, and with the CSV that the API gives.

Pictures may be a minute old; the CSV is of now.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.model import Channel
from headgate.doors.web.plots import OTHERS, Line, Plot, lines_of
from headgate.doors.web.viewing import Viewer, signed_in
from headgate.doors.words import counted, size
from headgate.jobs.syncs import syncs
from headgate.kernel import clock
from headgate.reports.downloads import By, Period
from headgate.reports.report import Report
from headgate.reports.severities import SEVERITIES

_PERIODS = {"30": "30 days", "90": "90 days", "365": "a year"}
_BY_DAY = 92
_MOST_CHANNELS = 12
_COLOURS = {"critical": "--plot-5", "high": "--plot-2", "medium": "--plot-4", "low": "--plot-1"}


@signed_in
async def show_reports(viewer: Viewer) -> Response:
    """Of all channels, or of `?channel=`; over the last `?days=`."""
    query = viewer.request.query_params
    wanted = query.get("channel", "")
    is_whole = viewer.may(Permission.AUDIT_READ)
    offered = [one for one in viewer.services.catalog.all() if is_whole or viewer.may(Permission.AUDIT_READ, one)]
    if not wanted and not is_whole and offered:
        wanted = offered[0].name
    if wanted:
        chosen: Channel | None = viewer.channel(Permission.AUDIT_READ, wanted)
    else:
        viewer.require(Permission.AUDIT_READ)
        chosen = None
    days = query["days"] if query.get("days") in _PERIODS else "90"
    since = clock.now() - timedelta(days=int(days) - 1)
    return viewer.page(
        "reports.html",
        part="reports_found.html",
        offered=offered,
        is_whole=is_whole,
        chosen=chosen,
        days=days,
        periods=_PERIODS,
        plots=[
            await _downloads(viewer, chosen, since, days),
            await _storage(viewer, chosen, offered),
            await _advisories(viewer, chosen, offered),
            await _advisory_days(viewer, chosen, since, days),
            await _syncs(viewer, chosen, since, days),
        ],
        more=_more(chosen),
    )


async def _downloads(viewer: Viewer, channel: Channel | None, since: datetime, days: str) -> Mapping[str, Any]:
    step = By.DAY if int(days) <= _BY_DAY else By.MONTH
    name = None if channel is None else channel.name
    report = viewer.services.reports.downloads.downloads([step, By.CHANNEL], Period(since=since, channel=name))
    key = ("downloads", step, since.date(), name)
    rows = await viewer.services.reports.recent.get(key, lambda: _rows(report))
    names = _days(since) if step is By.DAY else _months(since)
    lines = lines_of([(row["channel"], str(row[step.value]), row["downloads"]) for row in rows], names)
    total = sum(row["downloads"] for row in rows)
    said = f"{counted(total, 'download')} of whole files over {_PERIODS[days]}, by {step.value} and channel"
    chosen = {"by": [step.value, "channel"], "since": since.isoformat()} | _of(channel)
    plot = Plot(said, step.value.capitalize(), names, lines)
    return {"title": "Downloads", "plot": plot, "csv": _csv("downloads", chosen), "none": "Nobody downloaded anything."}


async def _storage(viewer: Viewer, channel: Channel | None, offered: Sequence[Channel]) -> Mapping[str, Any]:
    channels = offered if channel is None else [channel]
    reports = viewer.services.reports

    async def kept() -> list[dict[str, Any]]:
        return await _rows(await reports.inventory.storage(channels))

    rows = await reports.recent.get(("storage", *(one.name for one in channels)), kept)
    rows = [row for row in rows if row["bytes"] or row["document_bytes"]]
    shown, rest = rows[:_MOST_CHANNELS], rows[_MOST_CHANNELS:]
    if rest:
        sums = {key: sum(row[key] for row in rest) for key in ("bytes", "bytes_only_here", "document_bytes")}
        shown.append({"channel": OTHERS, **sums})
    lines = [
        Line("only here", [row["bytes_only_here"] for row in shown], "--plot-1"),
        Line("in other channels too", [row["bytes"] - row["bytes_only_here"] for row in shown], "--plot-3"),
        Line("indexes", [row["document_bytes"] for row in shown], "--plot-2"),
    ]
    total = sum(row["bytes"] + row["document_bytes"] for row in rows)
    plot = Plot(
        f"{size(total)} kept, by channel", "Channel", [row["channel"] for row in shown], lines, "bytes", is_lying=True
    )
    return {"title": "Storage", "plot": plot, "csv": _csv("storage", _of(channel)), "none": "Nothing is kept yet."}


async def _advisories(viewer: Viewer, channel: Channel | None, offered: Sequence[Channel]) -> Mapping[str, Any]:
    title = "Advisories"
    if not viewer.may(Permission.ADVISORY_READ, channel):
        return {"title": title, "none": "Only those who may read advisories see this."}
    services = viewer.services
    overview, _ = services.reports.overviews.find(list(services.catalog.all()), services.advisories.book.knowledge)
    if overview is None:
        return {"title": title, "none": "Channels are being held against advisories.", "is_under_way": True}
    channels = offered if channel is None else [channel]
    names = {one.name for one in channels}
    stood = Counter[tuple[str, bool]]()
    for matter in overview.matters.values():
        if names & matter.files.keys():
            is_open = any(matter.open_files.get(name) for name in names)
            stood[matter.finding.severity or "unknown", is_open] += 1
    words = [one for one in SEVERITIES if stood[one, True] or stood[one, False]]
    lines = [
        Line("open", [stood[one, True] for one in words], "--plot-open"),
        Line("closed: judged harmless here", [stood[one, False] for one in words], "--plot-closed"),
    ]
    standing = sum(stood[one, True] for one in words)
    said = f"{counted(standing, 'advisory', 'advisories')} open, {stood.total() - standing} closed, by severity"
    plot = Plot(said, "Severity", words, lines, is_lying=True)
    return {"title": title, "plot": plot, "csv": _csv("advisories", _of(channel)), "none": "Nothing known affects a file.",
            "link": ("/advisories", "Which ones")}  # fmt: skip


async def _advisory_days(viewer: Viewer, channel: Channel | None, since: datetime, days: str) -> Mapping[str, Any]:
    title = "Advisories day by day"
    if not viewer.may(Permission.ADVISORY_READ, channel):
        return {"title": title, "none": "Only those who may read advisories see this."}
    kept = await viewer.services.reports.history.days(None if channel is None else channel.name, since)
    names = _days(since)
    found = [kept.get(date.fromisoformat(one)) for one in names]
    lines = [
        Line(severity, [None if one is None else one[severity][0] for one in found], _COLOURS.get(severity))
        for severity in SEVERITIES
        if any(one and one[severity][0] for one in found)
    ]
    closed = [None if one is None else sum(count for _, count in one.values()) for one in found]
    lines += [Line("closed: judged harmless here", closed, "--plot-closed")] if any(closed) else []
    said = f"How many were open, by severity, and how many closed, on {counted(len(kept), 'day')} of {_PERIODS[days]}"
    is_short = int(days) <= _BY_DAY
    plot = Plot(said, "Day", names, lines, kind="bar" if is_short else "line", is_stacked=is_short)
    csv = _csv("advisory-days", {"since": since.isoformat()} | _of(channel))
    none = "Nothing known affected a file." if kept else "The first day is counted soon after midnight, or a start."
    return {"title": title, "plot": plot, "csv": csv, "none": none, "is_wide": True}


async def _syncs(viewer: Viewer, channel: Channel | None, since: datetime, days: str) -> Mapping[str, Any]:
    name = None if channel is None else channel.name
    report = syncs(viewer.services.jobs, since=since, channel=name)
    rows = await viewer.services.reports.recent.get(("syncs", since.date(), name), lambda: _rows(report))
    lengths: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["seconds"] is not None and row["state"] == "done":
            lengths[row["channel"], f"{row['started_at']:%Y-%m-%d}"].append(row["seconds"])
    names = _days(since)
    busiest = Counter(channel for channel, _ in lengths)
    lines = [
        Line(one, [_median(lengths.get((one, day))) for day in names]) for one, _ in sorted(busiest.most_common(6))
    ]
    failed = sum(row["state"] == "failed" for row in rows)
    said = f"{counted(len(rows), 'sync')} over {_PERIODS[days]}, {failed} of them failed; the median length by day"
    plot = Plot(said, "Day", names, lines, "seconds", kind="line", is_stacked=False)
    csv = _csv("syncs", {"since": since.isoformat()} | _of(channel))
    return {"title": "Syncs", "plot": plot, "csv": csv, "none": "No mirror was synced."}


def _median(lengths: Sequence[float] | None) -> float | None:
    return round(statistics.median(lengths), 2) if lengths else None


async def _rows(report: Report) -> list[dict[str, Any]]:
    return [dict(zip(report.columns, row, strict=True)) async for row in report.rows]


def _days(since: datetime) -> list[str]:
    first, last = since.date(), clock.now().date()
    return [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]


def _months(since: datetime) -> list[str]:
    last = clock.now().date()
    first, found = since.date().replace(day=1), list[str]()
    while first <= last:
        found.append(f"{first:%Y-%m}")
        first = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return found


def _of(channel: Channel | None) -> dict[str, str]:
    return {} if channel is None else {"channel": channel.name}


def _csv(name: str, chosen: Mapping[str, Any]) -> str:
    return f"/api/v1/reports/{name}?" + urlencode({**chosen, "format": "csv"}, doseq=True)


def _more(channel: Channel | None) -> list[tuple[str, str]]:
    """Reports that are no pictures: what they say, and where they are."""
    of = _of(channel)
    found = [
        ("Who let what pass", _csv("approvals", of)),
        ("Who downloads how much", _csv("downloads", {"by": "user", **of})),
    ]
    if channel is not None:
        found += [
            ("Licences of what it lists", _csv("licences", of)),
            ("Files that nobody takes any more", _csv("stale", of)),
        ]
    return found


ROUTES = [Route("/reports", show_reports)]
