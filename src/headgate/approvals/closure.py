"""What a set of match specs needs to be installed, as py-rattler (the engine of pixi) would choose it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headgate.approvals.candidates import Candidates, head_of
from headgate.conda.solving import Unsolvable, opened_index
from headgate.kernel.errors import Conflict


@dataclass(frozen=True, slots=True, order=True)
class Chosen:
    """A file of a subdir; `is_new` when only the source has it."""

    subdir: str
    filename: str
    is_new: bool


async def close_over(
    specs: Sequence[str],
    platform: str,
    target: Candidates,
    source: Candidates,
    machine: Mapping[str, str] | None = None,
) -> list[Chosen]:
    """Files that install the specs on the platform, from the target where it has what fits, else from the source.

    What the target has of other packages than those asked for is preferred to anything newer, so that as little as
    possible passes. `machine` sets or adds virtual packages (`{"__cuda": "12"}`). Raises Conflict `closure-unsolvable`
    with the solver's own words.
    """
    sides = {"target": target.by_subdir(), "source": source.by_subdir()}
    async with opened_index(sides) as index:
        preferred = index.newest("target", but={head_of(spec) for spec in specs})
        try:
            records = await index.solve(specs, platform, machine, preferred)
        except Unsolvable as error:
            some = ", ".join(specs[:20]) + (" and others" if len(specs) > 20 else "")
            raise Conflict("closure-unsolvable", f"Nothing on {platform} satisfies {some} together: {error}") from error
    return sorted(
        Chosen(record.subdir, record.file_name, target.find(record.subdir, record.file_name) is None)
        for record in records
    )
