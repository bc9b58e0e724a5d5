"""Names that a mirror never had, on the short way: what their document says of them is packed and stored as it comes."""

from collections.abc import Awaitable, Callable, Sequence

from headgate.channels.shards import save_shards
from headgate.channels.sources import save_source_shards
from headgate.conda.packing import Packer
from headgate.db.engine import Database
from headgate.intake.listings import UpstreamListing


async def take_fresh(
    database: Database,
    source_subdir: int,
    listing: UpstreamListing,
    packer: Packer,
    names: Sequence[str],
    on_taken: Callable[[int], Awaitable[None]],
) -> set[str]:
    """Store what can be packed straight; the names that were. `on_taken` is told how many, after every batch."""
    taken: set[str] = set()
    async for packed in listing.iter_packed(names, packer):
        async with database.write() as connection:
            await save_shards(connection, dict(packed.values()))
            rows = {name: (listing.fingerprints[name], digest) for name, (digest, _) in packed.items()}
            await save_source_shards(connection, source_subdir, rows)
        taken |= packed.keys()
        await on_taken(len(taken))
    return taken
