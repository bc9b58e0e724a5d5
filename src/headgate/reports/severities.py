"""The report of advisories: how many are open in each channel, and how many were judged harmless there, by severity."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from headgate.advisories.findings import Finding
from headgate.channels.model import Channel
from headgate.reports.overview import Overview
from headgate.reports.report import Report, iterate

SEVERITIES = ("critical", "high", "medium", "low", "none", "unknown")
_COLUMNS = ("channel", "severity", "open", "closed", "open_files", "closed_files")


def severity_of(finding: Finding) -> str:
    """One of `SEVERITIES`."""
    return finding.severity if finding.severity in SEVERITIES else "unknown"


def severities(overview: Overview, channels: Sequence[Channel]) -> Report:
    """A row per channel and severity.

    An advisory is open in a channel while it stands for one file there, and closed once curations say that it harms none.
    """
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    names = {one.name for one in channels}
    for matter in overview.matters.values():
        severity = severity_of(matter.finding)
        for channel in names & matter.files.keys():
            stands = matter.open_files.get(channel, 0)
            counts[channel, severity].update(
                open=stands > 0, closed=stands == 0, open_files=stands, closed_files=matter.files[channel] - stands
            )
    ordered = sorted(counts.items(), key=lambda one: (one[0][0], SEVERITIES.index(one[0][1])))
    return Report(
        "advisories", _COLUMNS, iterate([(*key, *(found[name] for name in _COLUMNS[2:])) for key, found in ordered])
    )
