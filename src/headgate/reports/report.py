"""What every report is: columns, and rows that come one by one."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """A table under a name; its rows can be read once."""

    name: str
    columns: Sequence[str]
    rows: AsyncIterator[Sequence[Any]]


async def iterate(rows: Sequence[Sequence[Any]]) -> AsyncIterator[Sequence[Any]]:
    """Rows that are there already."""
    for row in rows:
        yield row
