"""One file: why it passes or does not, rule by rule; what it says, what is in it, what changed, where it has been."""

import json
from datetime import timedelta

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.audit.trail import Wanted
from headgate.channels.file_sheets import FileSheets
from headgate.channels.sheets import STATES
from headgate.conda.names import ArtifactName, Subdir
from headgate.doors.web.judging import built_at, trace_of, world_of
from headgate.doors.web.packages import install_lines
from headgate.doors.web.viewing import Viewer, anyone
from headgate.kernel import clock

_MOST_EVENTS = 20
_MONTHS = timedelta(days=90)
_PARTS = ("verdict", "inside", "record", "history")


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
        days=[one.day.isoformat() for one in daily],
        events=events,
        downloads=[one.downloads for one in daily],
        install=install_lines(viewer, channel, f"{name.name}={name.version}={name.build}"),
        url=viewer.url(f"/conda/{channel.name}/{subdir}/{name.filename}"),
    )


ROUTES = [Route("/files/{channel:path}/{subdir}/{filename}", show_file)]
