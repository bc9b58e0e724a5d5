"""Which files of a mirrored channel somebody asks for ahead: those that a text names, and those that match specs do."""

from collections.abc import Sequence

from headgate.channels.model import Channel
from headgate.channels.revisions import read_world
from headgate.channels.why import explain_spec
from headgate.db.engine import Database
from headgate.intake.lock_files import files_named
from headgate.kernel.errors import Invalid


async def find_wanted(
    database: Database, channel: Channel, text: str | None, specs: Sequence[str] = ()
) -> list[str] | None:
    """File names, sorted; None when neither says any: then the mirrors' settings do.

    Of a spec every record counts that passes the channel's policies. Raises Invalid `lock-file-empty`,
    `match-spec-invalid`, `selection-unmet`.
    """
    if text is None and not specs:
        return None
    found = set() if text is None else files_named(text)
    if specs:
        async with database.read() as connection:
            world = await read_world(connection)
        for spec in specs:
            passing = {
                one.filename for one in await explain_spec(database, world, channel, spec) if one.verdict.is_passing
            }
            if not passing:
                raise Invalid("selection-unmet", f"Nothing that passes in {channel.name} satisfies {spec[:80]!r}.")
            found |= passing
    return sorted(found)
