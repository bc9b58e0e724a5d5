"""Who exploits what: CISA's catalogue (KEV) and FIRST's predictions (EPSS). Pure."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headgate.advisories.statements import Epss, Exploited, Statement
from headgate.kernel.errors import Invalid


def parse_kev(document: Mapping[str, Any]) -> Iterator[Statement]:
    """A statement per entry of `known_exploited_vulnerabilities.json`; entries without a CVE are left out."""
    for entry in document.get("vulnerabilities") or ():
        if not isinstance(entry, dict) or not str(entry.get("cveID", "")).startswith("CVE-"):
            continue
        exploited = Exploited(
            added=str(entry.get("dateAdded", "")),
            due=_text(entry.get("dueDate")),
            action=_text(entry.get("requiredAction")),
            is_ransomware=entry.get("knownRansomwareCampaignUse") == "Known",
        )
        yield Statement(
            id=entry["cveID"],
            summary=str(entry.get("vulnerabilityName", ""))[:500],
            details=str(entry.get("shortDescription", ""))[:2_000],
            exploited=exploited,
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def parse_epss(lines: Iterable[str]) -> Iterator[Epss]:
    """The rows of `epss_scores-….csv`. Raises Invalid `feed-invalid` when it has other columns, or a row no number."""
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    if not {"cve", "epss", "percentile"} <= set(rows.fieldnames or ()):
        raise Invalid("feed-invalid", "The file has no columns cve, epss and percentile, as EPSS scores have.")
    try:
        for row in rows:
            score, percentile = float(row["epss"]), float(row["percentile"])
            if not (math.isfinite(score) and 0 <= score <= 1 and row["cve"].startswith("CVE-")):
                raise ValueError(row["cve"])
            yield Epss(row["cve"][:40], score, percentile)
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        raise Invalid("feed-invalid", f"Line {rows.line_num} of the EPSS scores cannot be read: {error}.") from error
