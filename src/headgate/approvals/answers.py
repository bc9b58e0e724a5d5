"""What people are told at once of what they ask for: approved already, forbidden, unknown, or a matter for somebody."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headgate.advisories.findings import HARMLESS
from headgate.approvals.candidates import head_of
from headgate.approvals.plans import Item, ItemState, Plan
from headgate.approvals.wants import Want, parse_wants
from headgate.conda.records import Record
from headgate.conda.specs import age_key
from headgate.kernel import clock

_SEVERITIES = ("none", "low", "medium", "high", "critical")


class AnswerState(StrEnum):
    """How a want stands."""

    PRESENT = "present"
    """The target has it already."""
    WAITING = "waiting"
    """Somebody has to decide."""
    FORBIDDEN = "forbidden"
    """A policy holds it back, or it cannot pass for another reason."""
    UNKNOWN = "unknown"
    """The source does not publish it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one want stands, why, and the next version that would pass."""

    want: str
    state: AnswerState
    reasons: Sequence[str] = ()
    alternative: str | None = None


def answers_of(plan: Plan) -> list[Answer]:
    """An answer to each want of a plan."""
    problems = {one.want: one for one in plan.problems}
    found = []
    for want in parse_wants(plan.wish.texts):
        problem = problems.get(want.text)
        if problem is not None:
            state = AnswerState.FORBIDDEN if problem.is_withheld else AnswerState.UNKNOWN
            reasons = [problem.sentence, *problem.reasons]
            found.append(Answer(want.text, state, reasons, problem.alternative))
        else:
            found.append(_answer(want, [item for item in plan.items if want.is_met_by(item.subdir, item.record)], plan))
    return found


def _answer(want: Want, items: Sequence[Item], plan: Plan) -> Answer:
    if not items:
        return Answer(want.text, AnswerState.FORBIDDEN, list(plan.failures))
    deciding = {ItemState.NEW, ItemState.ENDING}
    held = [one for one in items if one.state in deciding and not one.may_pass]
    if held:
        reasons = [why.sentence for one in held for why in one.opinion.verdict.reasons if not why.outcome.is_passing]
        alternative = next((one.opinion.alternative for one in held if one.opinion.alternative), None)
        return Answer(want.text, AnswerState.FORBIDDEN, list(dict.fromkeys(reasons)), alternative)
    if any(one.state in {ItemState.CONFLICT, ItemState.UNVERIFIABLE} for one in items):
        places = {f"{one.subdir}/{one.filename}" for one in items}
        mine = [why for why in plan.hindrances if any(why.startswith(f"{place}:") for place in places)]
        return Answer(want.text, AnswerState.FORBIDDEN, mine)
    is_there = all(one.state is ItemState.PRESENT for one in items)
    ends = [f"{one.filename} is there until {one.ends_at:%Y-%m-%d %H:%M} UTC." for one in items if one.ends_at]
    return Answer(want.text, AnswerState.PRESENT if is_there else AnswerState.WAITING, ends)


def changes_of(item: Item, known: Sequence[Record]) -> list[str]:
    """What is other in a file than in the newest older one that the target has; empty when it has none of the name."""
    new = item.record
    older = [one for one in known if age_key(one)[:3] < age_key(new)[:3]]
    if not older:
        return []
    before = max(older, key=age_key)
    said = [f"{before.get('version')} → {new.get('version')}"]
    if (before.get("license") or "") != (new.get("license") or ""):
        said.append(f"licence {before.get('license') or 'none'} → {new.get('license') or 'none'}")
    had, has = ({head_of(spec) for spec in one.get("depends", ())} for one in (before, new))
    said += [f"needs {name}" for name in sorted(has - had)]
    said += [f"no longer needs {name}" for name in sorted(had - has)]
    was, is_now = int(before.get("size") or 0), item.size_bytes
    if was and is_now and not was / 2 <= is_now <= was * 2:
        said.append(f"{is_now / was:.1f} × the size")
    return said


def summary_of(plan: Plan) -> dict[str, Any]:
    """A plan in few numbers, as plain JSON values: for lists."""
    standing = [
        [one for one in item.opinion.assessment.findings if one.status not in HARMLESS]
        for item in [*plan.new, *plan.ending]
    ]
    findings = [one for some in standing for one in some]
    return {
        "digest": plan.digest,
        "at": clock.now().isoformat(),
        "new": len(plan.new),
        "ending": len(plan.ending),
        "new_bytes": sum(item.size_bytes for item in plan.new),
        "present": sum(item.state is ItemState.PRESENT for item in plan.items),
        "hindrances": len(plan.hindrances),
        "problems": len(plan.problems) + len(plan.failures),
        "affected": sum(bool(some) for some in standing),
        "severity": max((one.severity or "none" for one in findings), key=_SEVERITIES.index, default=None),
        "is_known_exploited": any(one.is_known_exploited for one in findings),
        "has_scripts": any(bool(item.opinion.scripts) for item in plan.new),
    }
