"""All that is known of advisories in one zip, as our own importer reads it: for a server that no network reaches.

advisories/<number>.json   OSV records, withdrawn ones too; `database_specific` says what is known to be exploited
epss.csv   names.json   curations.json
"""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import select

from headgate.advisories.catalogue import AdvisoryCatalogue, AdvisoryFilter
from headgate.advisories.curated import render_curated
from headgate.advisories.curating import CurationFilter, CurationService, claim_of
from headgate.advisories.identities import Origin
from headgate.advisories.osv_shape import render_osv
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database

_AT_ONCE = 500
_MOST_CURATIONS = 1_000_000
_EPOCH = (1980, 1, 1, 0, 0, 0)


async def write_archive(database: Database, path: Path) -> None:
    """Write the zip; the same knowledge gives the same bytes."""
    catalogue, after, number = AdvisoryCatalogue(database), "", 0
    with zipfile.ZipFile(path, "w") as archive:
        while listed := await catalogue.list_advisories(
            AdvisoryFilter(with_withdrawn=True), after=after, limit=_AT_ONCE
        ):
            number, after = number + 1, listed[-1].advisory.id
            await asyncio.to_thread(_put_json, archive, f"advisories/{number:05}.json", map(render_osv, listed))
        for name, text in (("epss.csv", await _scores(database)), ("names.json", await _names(database))):
            if text:
                await asyncio.to_thread(_put, archive, name, text)
        curations = CurationService(database)
        found = await curations.list_curations(CurationFilter(), limit=_MOST_CURATIONS)
        claims = [claim_of(one) for one in sorted(found, key=lambda one: one.id)]
        await asyncio.to_thread(_put, archive, "curations.json", json.dumps(render_curated(claims)))


async def _scores(database: Database) -> str:
    columns, text = tables.advisory_score.c, io.StringIO("#model_version:headgate\n")
    text.seek(0, io.SEEK_END)
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("cve", "epss", "percentile"))
    async with database.read() as connection:
        statement = select(columns.cve, columns.epss, columns.percentile).order_by(columns.cve)
        found = (await connection.execute(statement)).all()
    rows.writerows(found)
    return text.getvalue() if found else ""


async def _names(database: Database) -> str:
    """The name mapping, which says null of what is known to be none of that ecosystem."""
    columns, names = tables.advisory_name.c, dict[str, list[str]]()
    statement = (
        select(columns.name, columns.identity)
        .where(columns.origin == Origin.MAPPING.value, columns.is_gone.is_(False))
        .order_by(columns.name, columns.identity)
    )
    async with database.read() as connection:
        for row in await connection.execute(statement):
            names.setdefault(row.name, []).extend([row.identity] if row.identity else [])
    return json.dumps({name: found or None for name, found in names.items()}) if names else ""


def _put_json(archive: zipfile.ZipFile, name: str, items: Iterable[Any]) -> None:
    _put(archive, name, json.dumps(list(items)))


def _put(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED)
