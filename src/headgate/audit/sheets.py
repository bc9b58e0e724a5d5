"""Tables as CSV (RFC 4180), a piece at a time, safe to be opened with a spreadsheet."""

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

_AT_ONCE = 500
# A cell that begins like this is a formula to spreadsheets, also behind blanks and in full width.
_FORMULA = tuple("=+-@\t\r\n|%＝＋－＠")


def safe_cell(value: Any) -> str:
    """A value as a spreadsheet may see it: a text that would be taken for a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    text = text.replace("\0", "")
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def render_rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """Some rows as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8")


async def iter_csv(columns: Sequence[str], rows: AsyncIterable[Sequence[Any]]) -> AsyncIterator[bytes]:
    """The whole table, its heading first."""
    waiting: list[Sequence[Any]] = [columns]
    async for row in rows:
        waiting.append(row)
        if len(waiting) >= _AT_ONCE:
            yield render_rows(waiting)
            waiting = []
    if waiting:
        yield render_rows(waiting)


async def iter_json(columns: Sequence[str], rows: AsyncIterable[Sequence[Any]]) -> AsyncIterator[bytes]:
    """The same as `{"columns": [...], "items": [{...}, ...]}`."""
    encode = msgspec.json.encode
    yield b'{"columns":' + encode(list(columns)) + b',"items":['
    waiting: list[bytes] = []
    lead = b""
    async for row in rows:
        waiting.append(encode(dict(zip(columns, row, strict=True)), enc_hook=str))
        if len(waiting) >= _AT_ONCE:
            yield lead + b",".join(waiting)
            lead, waiting = b",", []
    if waiting:
        yield lead + b",".join(waiting)
    yield b"]}"
