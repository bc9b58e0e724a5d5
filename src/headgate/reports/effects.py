"""What a draft would do to a channel: to its records, to those who download them, to the environments approved there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from headgate.approvals.environments import Environment, find_broken
from headgate.audit.downloads import DownloadCounts
from headgate.channels.model import Channel
from headgate.channels.policing import Target, scope_of
from headgate.channels.revisions import World
from headgate.channels.simulation import Draft, Simulation, simulate
from headgate.db.engine import Database
from headgate.kernel import clock
from headgate.policy.model import Mode, parse_policy


@dataclass(frozen=True, slots=True)
class Effect:
    """`result` is weighed by downloads; `broken` are the environments that would miss files."""

    result: Simulation
    broken: Sequence[Environment]


async def draft_policy(database: Database, document: Mapping[str, Any], channel: str) -> Draft:
    """A policy as if it were attached to the channel and enforced. Raises Invalid `policy-invalid`."""
    policy = replace(parse_policy(document), mode=Mode.ENFORCE)
    async with database.read() as connection:
        return Draft(policy=policy, attachment=await scope_of(connection, Target(channel=channel)))


async def foresee(
    database: Database, downloads: DownloadCounts, world: World, channel: Channel, draft: Draft, *, days: int
) -> Effect:
    """Try a draft, and count the downloads of so many days; nothing changes."""
    result = await simulate(database, world, channel, draft)
    counts = await downloads.by_file(channel.name, clock.now() - timedelta(days=days))
    result.weigh({(one.subdir, one.filename): one.downloads for one in counts})
    return Effect(result, await find_broken(database, channel.name, result.leaving))
