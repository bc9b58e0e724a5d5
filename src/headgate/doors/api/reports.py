"""Reports: downloads, what is affected and who took it, licences, storage, stale files, approvals, advisories, syncs."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from headgate.access.permissions import Permission
from headgate.channels.incidents import IncidentKind, guess_kind
from headgate.channels.model import Channel
from headgate.doors.api.callers import AuditReader, Caller, Services, require, visit
from headgate.doors.api.tables import TABLE, IsCsv, send_table
from headgate.jobs.syncs import syncs
from headgate.reports.approvals import approvals
from headgate.reports.downloads import By, Period
from headgate.reports.severities import severities

router = APIRouter(tags=["reports"])
Word = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
Since = Annotated[AwareDatetime | None, Query(description="Not before this moment (downloads: its UTC day).")]
Until = Annotated[AwareDatetime | None, Query(description="Before this moment (downloads: its UTC day included).")]
ChannelQuery = Annotated[str, Query(max_length=200, description="Name of a channel.", examples=["team"])]


@router.get("/reports/downloads", responses=TABLE, response_class=StreamingResponse)
async def report_downloads(
    caller: Caller,
    services: Services,
    is_csv: IsCsv,
    by: Annotated[list[By], Query(max_length=7, description="What to count by; may be repeated.")] = [By.PACKAGE],  # noqa: B006 - FastAPI copies it
    channel: Word = None,
    package: Word = None,
    filename: Word = None,
    user: Word = None,
    since: Since = None,
    until: Until = None,
) -> StreamingResponse:
    """Downloads of whole files, refusals and bytes."""
    require(caller, Permission.AUDIT_READ, channel)
    period = Period(since=since, until=until, channel=channel, package=package, filename=filename, user=user)
    return send_table(services.reports.downloads.downloads(list(dict.fromkeys(by)), period), is_csv=is_csv)


@router.get("/reports/affected", responses=TABLE, response_class=StreamingResponse)
async def report_affected(
    _caller: AuditReader,
    services: Services,
    is_csv: IsCsv,
    target: Annotated[
        str, Query(min_length=1, max_length=512, pattern=r"^[^\x00]*$", description="An advisory, a spec or a sha256.")
    ],
    kind: Annotated[IncidentKind | None, Query(description="What it is; without it, what it looks like.")] = None,
) -> StreamingResponse:
    """The blast radius: which files of which channels are meant, and who took them, when first and when last."""
    found = await services.reports.blast.find(kind or guess_kind(target), target, services.catalog.all())
    return send_table(found.report(), is_csv=is_csv)


@router.get("/reports/licences", responses=TABLE, response_class=StreamingResponse)
async def report_licences(
    caller: Caller, services: Services, is_csv: IsCsv, channel: ChannelQuery
) -> StreamingResponse:
    """The licences of what a channel lists."""
    at = visit(services, caller, Permission.CHANNEL_READ, channel)
    return send_table(await services.reports.inventory.licences(at.channel), is_csv=is_csv)


@router.get("/reports/storage", responses=TABLE, response_class=StreamingResponse)
async def report_storage(caller: Caller, services: Services, is_csv: IsCsv, channel: Word = None) -> StreamingResponse:
    """What the channels keep on disk."""
    channels = _chosen(services, caller, Permission.AUDIT_READ, channel)
    return send_table(await services.reports.inventory.storage(channels), is_csv=is_csv)


@router.get("/reports/advisories", responses=TABLE, response_class=StreamingResponse)
async def report_advisories(
    caller: Caller, services: Services, is_csv: IsCsv, channel: Word = None
) -> StreamingResponse:
    """How many advisories are open in each channel, and how many were judged harmless there, by severity."""
    channels = _chosen(services, caller, Permission.ADVISORY_READ, channel)
    return send_table(severities(await services.reports.overviews.gather(channels), channels), is_csv=is_csv)


@router.get("/reports/advisory-days", responses=TABLE, response_class=StreamingResponse)
async def report_advisory_days(
    caller: Caller, services: Services, is_csv: IsCsv, channel: Word = None, since: Since = None, until: Until = None
) -> StreamingResponse:
    """How many advisories were open, and how many judged harmless, on each day, by severity; in a channel, or in all."""
    _chosen(services, caller, Permission.ADVISORY_READ, channel)
    return send_table(services.reports.history.report(channel, since, until), is_csv=is_csv)


@router.get("/reports/syncs", responses=TABLE, response_class=StreamingResponse)
async def report_syncs(
    caller: Caller, services: Services, is_csv: IsCsv, channel: Word = None, since: Since = None
) -> StreamingResponse:
    """How long each sync of a mirror took, what it changed, and how it ended; the newest first."""
    require(caller, Permission.AUDIT_READ, channel)
    return send_table(syncs(services.jobs, since=since, channel=channel), is_csv=is_csv)


@router.get("/reports/stale", responses=TABLE, response_class=StreamingResponse)
async def report_stale(
    caller: Caller,
    services: Services,
    is_csv: IsCsv,
    channel: ChannelQuery,
    days: Annotated[int, Query(ge=0, le=36_500, description="For how long nobody downloaded it.")] = 180,
) -> StreamingResponse:
    """Files that are kept for a channel and that nobody downloads from it any more."""
    at = visit(services, caller, Permission.AUDIT_READ, channel)
    return send_table(await services.reports.inventory.stale(at.channel, timedelta(days=days)), is_csv=is_csv)


@router.get("/reports/approvals", responses=TABLE, response_class=StreamingResponse)
async def report_approvals(
    caller: Caller,
    services: Services,
    is_csv: IsCsv,
    channel: Word = None,
    since: Since = None,
    until: Until = None,
) -> StreamingResponse:
    """Who let what pass: promotions, requests, exemptions, curations and incidents."""
    require(caller, Permission.AUDIT_READ, channel)
    return send_table(approvals(services.audit.trail, since=since, until=until, channel=channel), is_csv=is_csv)


def _chosen(services: Services, caller: Caller, permission: Permission, channel: str | None) -> list[Channel]:
    """The one channel, or all; raises Refused unless the caller may do that there."""
    if channel is not None:
        return [visit(services, caller, permission, channel).channel]
    require(caller, permission)
    return list(services.catalog.all())
