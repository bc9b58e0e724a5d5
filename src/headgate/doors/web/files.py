"""One file: why it passes or does not, rule by rule; what it says, what is in it, what changed, who took it."""

import json
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.audit.downloads import DayCount
from headgate.audit.trail import Wanted
from headgate.channels.file_sheets import FileSheets
from headgate.channels.model import Channel
from headgate.channels.sheets import STATES
from headgate.conda.names import ArtifactName, Subdir
from headgate.doors.web.judging import built_at, trace_of, world_of
from headgate.doors.web.packages import install_lines
from headgate.doors.web.plots import Line, Plot
from headgate.doors.web.viewing import Viewer, anyone
from headgate.doors.words import counted
from headgate.kernel import clock

_MOST_EVENTS = 20
_MOST_TAKERS = 20
_MONTHS = timedelta(days=89)  # and today
_PARTS = ("verdict", "inside", "record", "downloads", "history")


@anyone
async def show_file(viewer: Viewer) -> Response:
    """The page of a file; `?part=` is the tab."""
    channel, services = viewer.channel(), viewer.services
    subdir = Subdir.parse(viewer.request.path_params["subdir"])
    name = ArtifactName.parse(viewer.request.path_params["filename"])
    world = world_of(viewer)
    sheets: FileSheets = viewer.request.app.files
    sheet = await sheets.read(world, channel, subdir, name)
    findings = None
    if viewer.may(Permission.ADVISORY_READ, channel):
        findings = world.book.assess(name.name, {name.filename: dict(sheet.explanation.record)})[name.filename]
    tab = viewer.request.query_params.get("part", "verdict")
    events = None
    if tab == "history" and viewer.may(Permission.AUDIT_READ, channel):
        wanted = Wanted(channel=channel.name, subject=f"{subdir}/{name.filename}")
        events = await services.audit.trail.list_events(wanted, limit=_MOST_EVENTS)
    takers = None
    if tab == "downloads" and viewer.may(Permission.AUDIT_READ, channel):
        takers = await services.reports.downloads.takers(channel.name, subdir, name.filename, _MOST_TAKERS)
    since = clock.now() - _MONTHS
    daily = await services.audit.downloads.daily(channel.name, since, name=name.name, filename=name.filename)
    return viewer.page(
        "file.html",
        sheet=sheet,
        channel=channel,
        subdir=subdir,
        name=name,
        tab=tab if tab in _PARTS else "verdict",
        steps=trace_of(world, sheet.explanation),
        assessment=findings,
        run_exports=json.dumps(sheet.insides.run_exports, indent=2)
        if sheet.insides and sheet.insides.run_exports
        else "",
        raw=json.dumps(sheet.record, indent=2, sort_keys=True, ensure_ascii=False),
        built_at=built_at(sheet.record),
        states=STATES,
        events=events,
        takers=takers,
        plot=_plot(daily),
        addresses=_addresses(viewer, channel, name),
        downloads=[one.downloads for one in daily],
        install=install_lines(viewer, channel, f"{name.name}={name.version}={name.build}"),
        url=viewer.url(f"/conda/{channel.name}/{subdir}/{name.filename}"),
    )


def _plot(daily: Sequence[DayCount]) -> Plot:
    said = f"{counted(sum(one.downloads for one in daily), 'download')} in 90 days"
    line = Line("downloads", [one.downloads for one in daily], "--plot-1")
    return Plot(said, "Day", [one.day.isoformat() for one in daily], [line])


def _addresses(viewer: Viewer, channel: Channel, name: ArtifactName) -> dict[str, str | None]:
    """Where the same figures are: as CSV, and request by request; for those who may read them there."""
    chosen = {"channel": channel.name, "filename": name.filename}
    csv = "/api/v1/reports/downloads?" + urlencode(
        [*(("by", one) for one in ("user", "client", "day")), *chosen.items(), ("format", "csv")]
    )
    log = "/audit/requests?" + urlencode({"q": f"channel:{channel.name} file:{name.filename}"})
    return {
        "csv": csv if viewer.may(Permission.AUDIT_READ, channel) else None,
        "log": log if viewer.may(Permission.AUDIT_READ) else None,
    }


ROUTES = [Route("/files/{channel:path}/{subdir}/{filename}", show_file)]
