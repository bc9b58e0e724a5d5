"""What the gate says: of single files, and of drafts."""

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query

from headgate.access.permissions import Permission
from headgate.channels.revisions import World, find_broken, read_world
from headgate.channels.simulation import Draft, Simulation
from headgate.channels.trying import try_specs
from headgate.channels.why import explain_file, explain_spec
from headgate.conda.names import Subdir
from headgate.conda.solving import Solved
from headgate.doors.api.callers import Reading, Services, SignedIn, require
from headgate.doors.api.exemptions import wish_of
from headgate.doors.api.models_policies import BrokenAnswer, ExplanationAnswer, SimulationAnswer, SimulationBody
from headgate.doors.api.paging import Listing
from headgate.doors.api.policies import document_of
from headgate.kernel.errors import Invalid, NotFound
from headgate.policy.exemptions import Exemption, check_target
from headgate.reports.effects import draft_policy, foresee

router = APIRouter(tags=["policies"])

_MOST_SHOWN = 1_000


@router.get("/channels/{channel:path}/why")
async def explain(
    visit: Reading,
    services: Services,
    file: Annotated[
        str | None, Query(max_length=300, description="`subdir/filename`, or a file name.", examples=["demo-1-0.conda"])
    ] = None,
    spec: Annotated[str | None, Query(max_length=1000, description="A match spec.", examples=["numpy >=2"])] = None,
) -> Listing[ExplanationAnswer]:
    """Why a file, or what a spec matches, passes or does not."""
    if (file is None) == (spec is None):
        raise Invalid("request-invalid", "Ask with either `file` or `spec`.")
    world = await _world(services)
    channel = world.channels.get(visit.channel.id, visit.channel)
    database = services.core.database
    found = await (
        explain_file(database, world, channel, file) if file is not None
        else explain_spec(database, world, channel, spec or "")
    )  # fmt: skip
    return Listing(items=[ExplanationAnswer.model_validate(one.as_json()) for one in found[:_MOST_SHOWN]])


@router.get("/channels/{channel:path}/unsatisfiable")
async def list_broken(
    visit: Reading,
    services: Services,
    platform: Annotated[str, Query(max_length=40, description="The platform, with noarch.")] = "linux-64",
) -> Listing[BrokenAnswer]:
    """Records that pass, but depend on what policies hold back, or on such a record; listed or hidden."""
    world = await _world(services)
    async with services.core.database.read() as connection:
        channel = world.channels.get(visit.channel.id, visit.channel)
        found = await find_broken(connection, world, channel, Subdir.parse(platform))
    return Listing(items=[BrokenAnswer.model_validate(asdict(one)) for one in found[:_MOST_SHOWN]])


@router.post("/policies/simulate")
async def simulate_policy(body: SimulationBody, caller: SignedIn, services: Services) -> SimulationAnswer:
    """Try a draft on a channel; nothing changes."""
    found = services.catalog.find(body.channel)
    privacy = "private" if found is None else found.privacy
    require(caller, Permission.POLICY_READ, body.channel, privacy)
    require(caller, Permission.CHANNEL_READ, body.channel, privacy)
    if found is None:
        raise NotFound("channel-unknown", f"There is no channel {body.channel}.")
    world = await _world(services)
    draft = await _draft(body, caller.name, services)
    database = services.core.database
    effect = await foresee(database, services.audit.downloads, world, found, draft, days=body.days)
    answer = _shown(effect.result) | {"environments": [asdict(one) for one in effect.broken[:_MOST_SHOWN]]}
    if body.specs:
        before, after = await try_specs(database, world, found, draft, body.specs, body.platform)
        answer |= {"solves_before": _solved(before), "solves_after": _solved(after)}
    return SimulationAnswer.model_validate(answer)


async def _world(services: Services) -> World:
    async with services.core.database.read() as connection:
        return await read_world(connection)


async def _draft(body: SimulationBody, caller: str, services: Services) -> Draft:
    if body.exemption is not None:
        wish = wish_of(body.exemption, caller)
        target = check_target(wish.kind, wish.target, wish.spec)
        exemption = Exemption(
            0, wish.kind, target, wish.owner, wish.reason, wish.channel, wish.spec, wish.expires_at
        )  # fmt: skip
        return Draft(exemption=exemption)
    return await draft_policy(services.core.database, document_of(body.document, body.text), body.channel)


def _solved(solved: Solved) -> dict[str, Any]:
    return {"is_solved": solved.is_solved, "records": list(solved.filenames), "failure": solved.failure}


def _shown(result: Simulation) -> dict[str, Any]:
    rules, names = result.by_rule(), result.by_name()
    return {
        "names": result.names,
        "appearing": len(result.appearing),
        "disappearing": len(result.disappearing),
        "appearing_by_rule": dict(rules[0].most_common(_MOST_SHOWN)),
        "disappearing_by_rule": dict(rules[1].most_common(_MOST_SHOWN)),
        "appearing_by_name": dict(names[0].most_common(_MOST_SHOWN)),
        "disappearing_by_name": dict(names[1].most_common(_MOST_SHOWN)),
        "disappearing_downloads": sum(one.downloads for one in result.disappearing),
        "disappearing_downloads_by_rule": dict(result.downloads_by_rule().most_common(_MOST_SHOWN)),
        "disappearing_downloads_by_name": dict(result.downloads_by_name().most_common(_MOST_SHOWN)),
        "appearing_records": [msgspec.structs.asdict(one) for one in result.appearing[:_MOST_SHOWN]],
        "disappearing_records": [msgspec.structs.asdict(one) for one in result.disappearing[:_MOST_SHOWN]],
        "lost_names": [f"{subdir}/{name}" for subdir, name in result.lost[:_MOST_SHOWN]],
        "next_versions": dict(sorted(result.next_versions.items())[:_MOST_SHOWN]),
    }
