"""The report of approvals: who let what pass into a channel, or past a rule, and what became of it."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from headgate.audit.trail import AuditTrail, Wanted
from headgate.reports.report import Report

_KINDS = ("curation", "exemption", "incident", "promotion", "request")
_COLUMNS = ("at", "actor", "action", "channel", "subject", "reason", "number")
_REASONS = ("reason", "comment", "note", "justification")


def approvals(trail: AuditTrail, *, since: datetime | None, until: datetime | None, channel: str | None) -> Report:
    """Every decision of people between two moments, as audit events tell them."""
    return Report("approvals", _COLUMNS, _iter(trail, Wanted(since=since, until=until, channel=channel)))


async def _iter(trail: AuditTrail, wanted: Wanted) -> AsyncIterator[Sequence[Any]]:
    async for event in trail.iter_events(wanted):
        if event.action.partition(":")[0] in _KINDS or event.action in {"advisory:curate", "advisory:end-curation"}:
            reason = next((event.detail[key] for key in _REASONS if event.detail.get(key)), None)
            yield (event.at, event.actor, event.action, event.channel, event.subject, reason, event.number)
