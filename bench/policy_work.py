"""The work of the `policy` benchmark, in a process of its own: `python -m bench.policy_work DATA CHANNEL SUBDIR`.

What the jobs worker does for one subdir after a policy was attached, changed and detached; what a draft costs; and one
exemption, which is published in the transaction that makes it.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bench.timing import Clock, reset_peak, status_bytes
from headgate.bootstrap import Core, build_core, open_place
from headgate.channels.catalog import get_channel
from headgate.channels.exempting import Wish
from headgate.channels.policing import Target, scope_of
from headgate.channels.revising import revise_subdir
from headgate.channels.revisions import read_world
from headgate.channels.simulation import Draft, simulate
from headgate.kernel.memory import relax_collector
from headgate.policy.exemptions import ExemptionKind
from headgate.policy.model import parse_policy

_COOLDOWN: dict[str, Any] = {"kind": "minimum-age", "days": 7, "action": "hold", "except": ["internal-*"]}
_LICENCES: dict[str, Any] = {"kind": "license", "exclude": ["agpl", "proprietary"], "action": "block"}
_NAMES: dict[str, Any] = {"kind": "match-spec", "exclude": ["openssl <3", "log4j*"], "action": "block"}
_GPL: dict[str, Any] = {"kind": "license", "exclude": ["gpl", "agpl", "lgpl"], "action": "block"}


def _seconds(clock: Clock) -> dict[str, float]:
    return {"wall": clock.wall_s, "cpu": clock.cpu_s}


async def _work(data: Path, channel: str, subdir: str) -> dict[str, Any]:
    core = build_core(open_place(data))
    answer: dict[str, Any] = {}
    reset_peak()
    try:
        await attach_policy(core, channel)
        answer["attach"] = await _revised(core, channel, subdir)
        answer["draft"] = await _tried(core, channel, [_COOLDOWN, _GPL])
        await core.policies.apply("bench", _document([_COOLDOWN, _LICENCES, _NAMES, _GPL]))
        answer["edit"] = await _revised(core, channel, subdir)
        with Clock.measured() as exempting:
            wish = Wish(kind=ExemptionKind.SPEC, target="readline", reason="bench", owner="bench")
            made = await core.exemptions.add("bench", wish)
        answer["exemption"] = _seconds(exempting)
        await core.exemptions.revoke("bench", made.id)
        await core.policies.detach("bench", "bench", channel)
        answer["detach"] = await _revised(core, channel, subdir)
    finally:
        await core.database.close()
    return answer | {"peak": status_bytes("VmHWM")}


async def attach_policy(core: Core, channel: str) -> None:
    """A policy of three rules, under which some files of 1,803 names are held back."""
    await core.policies.apply("bench", _document([_COOLDOWN, _LICENCES, _NAMES]))
    await core.policies.attach("bench", "bench", Target(channel=channel))


def _document(rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": "bench", "mode": "enforce", "rule": rules}


async def _revised(core: Core, channel: str, subdir: str) -> dict[str, float]:
    with Clock.measured() as clock:
        assert await revise_subdir(core.database, channel, subdir)
    assert await core.policies.pending() == []
    return _seconds(clock)


async def _tried(core: Core, channel: str, rules: list[dict[str, Any]]) -> dict[str, float]:
    with Clock.measured() as clock:
        async with core.database.read() as connection:
            world = await read_world(connection)
            found = await get_channel(connection, channel)
            attachment = await scope_of(connection, Target(channel=channel))
        draft = Draft(policy=parse_policy(_document(rules)), attachment=attachment)
        result = await simulate(core.database, world, found, draft)
    assert result.disappearing
    return _seconds(clock)


def main() -> None:
    relax_collector()
    data, channel, subdir = sys.argv[1:]
    print(json.dumps(asyncio.run(_work(Path(data), channel, subdir))))


if __name__ == "__main__":
    main()
