"""Statements of several feeds about one vulnerability, made one advisory. Pure.

Ids and aliases join statements (CVE = GHSA = PYSEC …). Withdrawn statements join nothing and add nothing: an advisory
of which all are withdrawn is retired.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from headgate.advisories.scoring import best_score, severity_of
from headgate.advisories.statements import Affected, Exploited, Score, Statement

_ORDER = ("CVE-", "GHSA-", "PYSEC-", "MAL-", "OSV-")
_REFERENCES = 100


class Advisory(msgspec.Struct, frozen=True, omit_defaults=True):
    """One vulnerability. `aliases` are its other ids; `sources` the (feed, id) of what it was made of."""

    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    details: str = ""
    published: str | None = None
    modified: str | None = None
    withdrawn: str | None = None
    severity: str | None = None
    cvss: float | None = None
    scores: tuple[Score, ...] = ()
    references: tuple[str, ...] = ()
    cwes: tuple[str, ...] = ()
    affected: tuple[Affected, ...] = ()
    exploited: Exploited | None = None
    is_malicious: bool = False
    sources: tuple[tuple[str, str], ...] = ()


def canonical_order(name: str) -> tuple[int, str]:
    """Sorts ids so that the first is the canonical one: CVE, GHSA, PYSEC, MAL, OSV, others by letter."""
    return next((rank for rank, prefix in enumerate(_ORDER) if name.startswith(prefix)), len(_ORDER)), name


def names_of(statement: Statement) -> set[str]:
    """The ids under which a statement joins others."""
    return {statement.id} if statement.withdrawn else {statement.id, *statement.aliases}


def group(statements: Iterable[tuple[str, Statement]]) -> list[list[tuple[str, Statement]]]:
    """(feed, statement) pairs, those about one vulnerability together; in a stable order."""
    pairs = sorted(statements, key=lambda pair: (pair[1].id, pair[0]))
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        root = name
        while leader.setdefault(root, root) != root:
            root = leader[root]
        leader[name] = root
        return root

    for _, statement in pairs:
        for name in names_of(statement):
            leader[find(name)] = find(statement.id)
    groups: dict[str, list[tuple[str, Statement]]] = defaultdict(list)
    for pair in pairs:
        groups[find(pair[1].id)].append(pair)
    return list(groups.values())


def merge(pairs: Sequence[tuple[str, Statement]]) -> Advisory:
    """One advisory of the (feed, statement) pairs of a group; what a richer text says is preferred, never mixed."""
    live = [one for _, one in pairs if not one.withdrawn]
    shown = live or [one for _, one in pairs]
    names = sorted({name for one in shown for name in names_of(one)}, key=canonical_order)
    scores = tuple(dict.fromkeys(score for one in shown for score in one.scores))
    cvss = best_score(scores)
    return Advisory(
        id=names[0],
        aliases=tuple(names[1:]),
        summary=_longest(one.summary for one in shown),
        details=_longest(one.details for one in shown),
        published=min((one.published for one in shown if one.published), default=None),
        modified=max((one.modified for one in shown if one.modified), default=None),
        withdrawn=None if live else max((one.withdrawn or "" for one in shown), default=None),
        severity=severity_of(cvss, (one.severity for one in shown)),
        cvss=cvss,
        scores=scores,
        references=tuple(dict.fromkeys(url for one in shown for url in one.references))[:_REFERENCES],
        cwes=tuple(sorted({cwe for one in shown for cwe in one.cwes})),
        affected=tuple(dict.fromkeys(found for one in live for found in one.affected)),
        exploited=next((one.exploited for one in live if one.exploited), None),
        is_malicious=any(one.is_malicious for one in live),
        sources=tuple((feed, one.id) for feed, one in pairs),
    )


def _longest(texts: Iterable[str]) -> str:
    return max(texts, key=len, default="")
