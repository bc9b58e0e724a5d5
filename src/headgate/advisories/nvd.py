"""NVD's JSON 2.0, the form of its API and of its yearly, `modified` and `recent` files. Pure.

Scores, references and weaknesses enrich what other feeds say. Its products (CPE) match packages that somebody gave a
CPE identity; ranges count in conda's order.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headgate.advisories.osv import DETAILS_CHARACTERS, REFERENCES
from headgate.advisories.purls import read_purl
from headgate.advisories.scoring import kind_of
from headgate.advisories.statements import Affected, Event, Range, RangeKind, Score, Statement

# OSV has no word for a first version that is excluded: that version counts as affected.
_BOUNDS = (
    ("versionStartIncluding", "introduced"),
    ("versionStartExcluding", "introduced"),
    ("versionEndExcluding", "fixed"),
    ("versionEndIncluding", "last_affected"),
)


def parse_nvd(document: Mapping[str, Any]) -> Iterator[Statement]:
    """The statements of a `{"vulnerabilities": [{"cve": …}]}` document; entries that make no sense are left out."""
    for entry in document.get("vulnerabilities") or ():
        cve = entry.get("cve") if isinstance(entry, dict) else None
        if isinstance(cve, dict) and str(cve.get("id", "")).startswith("CVE-"):
            yield _statement(cve)


def _statement(cve: Mapping[str, Any]) -> Statement:
    is_rejected = cve.get("vulnStatus") == "Rejected"
    return Statement(
        id=cve["id"],
        details=_english(cve.get("descriptions"))[:DETAILS_CHARACTERS],
        published=_zoned(cve.get("published")),
        modified=_zoned(cve.get("lastModified")),
        withdrawn=_zoned(cve.get("lastModified")) if is_rejected else None,
        scores=tuple(_scores(cve.get("metrics"))),
        references=tuple(str(one["url"]) for one in _dicts(cve.get("references")) if "url" in one)[:REFERENCES],
        cwes=tuple(sorted(set(_weaknesses(cve.get("weaknesses"))))),
        affected=() if is_rejected else tuple(_affected(cve.get("configurations"))),
    )


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _zoned(moment: Any) -> str | None:
    if not isinstance(moment, str):
        return None
    return moment if moment.endswith("Z") or "+" in moment else f"{moment}Z"


def _english(descriptions: Any) -> str:
    return next((str(one.get("value", "")) for one in _dicts(descriptions) if one.get("lang") == "en"), "")


def _scores(metrics: Any) -> Iterator[Score]:
    for group in (metrics or {}).values() if isinstance(metrics, dict) else ():
        for metric in _dicts(group):
            data = metric.get("cvssData")
            if isinstance(data, dict) and isinstance(data.get("vectorString"), str):
                yield Score(kind_of(data["vectorString"]), data["vectorString"], str(metric.get("source", "NVD")))


def _weaknesses(weaknesses: Any) -> Iterator[str]:
    for weakness in _dicts(weaknesses):
        words = (str(one.get("value", "")) for one in _dicts(weakness.get("description")))
        yield from (word for word in words if word.startswith("CWE-"))


def _affected(configurations: Any) -> Iterator[Affected]:
    for configuration in _dicts(configurations):
        for node in _dicts(configuration.get("nodes")):
            for match in _dicts(node.get("cpeMatch")):
                found = _cpe(match) if match.get("vulnerable") is True and not node.get("negate") else None
                if found is not None:
                    yield found


def _cpe(match: Mapping[str, Any]) -> Affected | None:
    read = read_purl(str(match.get("criteria", "")))
    if read is None:
        return None
    package, version, _ = read
    if version is not None:
        return Affected(package.ecosystem, package.name, versions=(version,))
    events = [Event(kind, match[key]) for key, kind in _BOUNDS if isinstance(match.get(key), str)]
    if not any(event.kind == "introduced" for event in events):
        events.insert(0, Event("introduced", "0"))
    return Affected(package.ecosystem, package.name, (Range(RangeKind.ECOSYSTEM, tuple(events)),))
