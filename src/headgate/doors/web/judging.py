"""Verdicts, as pages show them: the gate of this moment, and the trace of a verdict rule by rule."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from headgate.channels.revisions import World
from headgate.channels.sheets import STATES
from headgate.channels.why import Explanation
from headgate.conda.records import RecordView, build_time_ms
from headgate.doors.web.viewing import Viewer
from headgate.kernel import clock
from headgate.policy.verdicts import EXEMPTION, Reason

_LAST_MS = 253_402_300_799_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule, or one exemption, said."""

    policy: str
    rule: str
    state: str
    fact: str
    remedy: str
    is_exemption: bool


def world_of(viewer: Viewer) -> World:
    """Channels, policies and advisories, as this process knows them."""
    services = viewer.services
    channels = {one.id: one for one in services.catalog.all()}
    return World(channels, services.policies.book, services.advisories.book)


def traces(found: Iterable[Explanation]) -> list[tuple[Explanation, Sequence[Step]]]:
    """Each with its trace."""
    return [(one, [step_of(reason) for reason in one.verdict.reasons]) for one in found]


def trace_of(world: World, explanation: Explanation) -> list[Step]:
    """Every rule in force, in its order, with what it said: those that spoke first, then those with nothing against it."""
    spoken = [step_of(reason) for reason in explanation.verdict.reasons]
    said = {(step.policy, step.rule) for step in spoken}
    channel = next((one for one in world.channels.values() if one.name == explanation.channel), None)
    gate = None if channel is None else world.gate_of(channel)
    if gate is None:
        return spoken
    silent = [
        Step(one.policy.name, rule.label, "passes", "Nothing against it.", "", is_exemption=False)
        for one in gate.attached
        for rule in one.policy.rules
        if (one.policy.name, rule.label) not in said
    ]
    return [*spoken, *silent]


def step_of(reason: Reason) -> Step:
    """A reason as a page shows it."""
    return Step(
        reason.policy, reason.rule, STATES[reason.outcome], reason.fact, reason.remedy, reason.policy == EXEMPTION
    )


def built_at(record: RecordView) -> datetime | None:
    """When the file was built, as far as it says so."""
    moment_ms = build_time_ms(record)
    return None if moment_ms is None or moment_ms > _LAST_MS else clock.from_ms(moment_ms)
