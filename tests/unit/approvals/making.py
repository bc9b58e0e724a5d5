"""What tests of approvals do to channels."""

from collections.abc import AsyncIterator

from headgate.approvals.candidates import Reader
from headgate.bootstrap import Services
from headgate.channels.policing import Target

ACTOR = "tests"


async def upload(services: Services, channel: str, filename: str, body: bytes) -> None:
    """Give a channel a file."""

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    await services.uploads.take(ACTOR, services.catalog.get(channel), filename, pieces())
    await services.snapshots.reload()


async def listed(services: Services, channel: str = "inside") -> set[str]:
    """What a channel publishes, as `subdir/filename`."""
    await services.snapshots.reload()
    reader = Reader(services.maps, services.shards)
    found = services.catalog.get(channel)
    files: set[str] = set()
    for subdir in found.subdirs:
        names = list(await reader.names(found, subdir))
        for shard in (await reader.read(found, subdir, names)).values():
            files |= {f"{subdir}/{filename}" for filename, _ in shard.records()}
    return files


async def forbid(services: Services, spec: str, channel: str = "inside", action: str = "block") -> None:
    """Let the policy of a channel hold something back."""
    rule = {"kind": "match-spec", "exclude": [spec], "action": action}
    await services.core.policies.apply(ACTOR, {"name": f"not-{channel}", "rule": [rule]})
    await services.core.policies.attach(ACTOR, f"not-{channel}", Target(channel=channel))
    await services.snapshots.reload()
