"""Tables leave as CSV that a spreadsheet may open, and as JSON."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from headgate.audit.sheets import iter_csv, iter_json, safe_cell


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("numpy", "numpy"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =cmd|' /C calc'!A0", "'  =cmd|' /C calc'!A0"),
        ("＝1", "'＝1"),
        ("a\0b", "ab"),
        (-1, "-1"),
        (None, ""),
        (True, "yes"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ({"a": [1]}, '{"a":[1]}'),
    ],
)
def test_no_cell_is_a_formula(value: Any, shown: str) -> None:
    assert safe_cell(value) == shown


async def rows(count: int) -> AsyncIterator[Sequence[Any]]:
    for number in range(count):
        yield (f'=x"{number}",', number)


async def test_a_long_table_comes_in_pieces_and_whole() -> None:
    pieces = [piece async for piece in iter_csv(("name", "n"), rows(1_234))]
    assert len(pieces) > 1
    read = list(csv.reader(io.StringIO(b"".join(pieces).decode())))
    assert read[0] == ["name", "n"]
    assert read[1:] == [[f'\'=x"{number}",', str(number)] for number in range(1_234)]


@pytest.mark.parametrize("count", [0, 1, 500, 1_001])
async def test_json_is_one_document_however_long(count: int) -> None:
    document = json.loads(b"".join([piece async for piece in iter_json(("name", "n"), rows(count))]))
    assert document["columns"] == ["name", "n"]
    assert [one["n"] for one in document["items"]] == list(range(count))
