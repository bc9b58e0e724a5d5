"""The work of the `pages` benchmark, in a process of its own: `python -m bench.page_work DATA CHANNEL SUBDIR PASSWORD`.

DATA holds a channel that was synced. Every page is asked for by the administrator: what it costs, one request at a time.
"""

import asyncio
import json
import re
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
from sqlalchemy import Engine, event, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.routing import Route

from bench.page_past import is_lived, live_a_year
from headgate.asgi import Application
from headgate.bootstrap import Services, build_services, open_place
from headgate.channels.maps import Maps
from headgate.conda.shards import decode_stored
from headgate.db import tables
from headgate.db.tables_advisories import advisory
from headgate.doors.web.app import ROUTES
from headgate.kernel.memory import relax_collector
from headgate.logs import set_up_logs
from tests.waiting import eventually_async

_BASE = "http://headgate.bench"
_TIMES = 5
_ASSET = re.compile(r"/assets/[^\"'\s&)]+")
_ENDLESS = re.compile(r"/events$|/sign-in$|/callback$|/evidence$")


class Counter:
    """How many statements reached the database since it was last asked."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def take(self) -> list[str]:
        """Those statements."""
        taken, self.statements = self.statements, []
        return taken

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator["Counter"]:
        """Counts in the block; beginnings of transactions do not count."""
        counter = cls()

        def note(*given: Any) -> None:
            if not given[2].startswith("BEGIN"):
                counter.statements.append(given[2])

        event.listen(Engine, "before_cursor_execute", note)
        try:
            yield counter
        finally:
            event.remove(Engine, "before_cursor_execute", note)


async def _work(data: Path, channel: str, subdir: str, password: str) -> dict[str, Any]:
    services = build_services(open_place(data))
    await services.start()
    try:
        if not await is_lived(services):
            state = services.catalog.get(channel).subdirs[subdir]
            await live_a_year(services, channel, state, sorted((await services.maps.get(state)).digests))
        paths = _paths(await _samples(services, channel, subdir))
        transport = httpx.ASGITransport(cast(Any, Application(services)))
        async with httpx.AsyncClient(transport=transport, base_url=_BASE) as browser:
            form = {"name": "admin", "password": password}
            answer = await browser.post(
                "/sign-in", data=form, headers={"origin": _BASE, "sec-fetch-site": "same-origin"}
            )
            assert answer.status_code == 303, answer.text
            await _settle(services)
            with Counter.listening() as counter:
                return {"pages": [await _measure(browser, counter, *pair) for pair in paths]}
    finally:
        await services.close()


async def _settle(services: Services) -> None:
    """Let every channel be held against the advisories, which the first look at them begins."""
    channels, knowledge = list(services.catalog.all()), services.advisories.book.knowledge

    async def is_settled() -> bool:
        return not services.reports.overviews.find(channels, knowledge)[1]

    await eventually_async(is_settled, timeout_s=300)


async def _measure(browser: httpx.AsyncClient, counter: Counter, route: str, path: str) -> dict[str, Any]:
    """The first request by itself, for it may fill a memory; then the median of several."""
    walls, works, statements, answer = [], [], list[str](), httpx.Response(500)
    for _ in range(1 + _TIMES):
        counter.take()
        wall, work = time.perf_counter(), time.process_time()
        answer = await browser.get(path, headers={"accept": "text/html"})
        works.append((time.process_time() - work) * 1000)
        walls.append((time.perf_counter() - wall) * 1000)
        statements = counter.take()
    return {
        "route": route,
        "path": path,
        "status": answer.status_code,
        "first_ms": walls[0],
        "wall_ms": statistics.median(walls[1:]),
        "work_ms": statistics.median(works[1:]),
        "queries": len(statements),
        "bytes": len(answer.content),
        "assets": await _asset_bytes(browser, answer.text),
    }


async def _asset_bytes(browser: httpx.AsyncClient, page: str) -> int:
    """What a browser with an empty cache loads besides, as it goes over the wire."""
    size = 0
    for path in sorted(set(_ASSET.findall(page))):
        async with browser.stream("GET", path, headers={"accept-encoding": "gzip, br, zstd"}) as answer:
            size += sum([len(piece) async for piece in answer.aiter_raw()])
    return size


def _paths(samples: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """(route, path) of every page; of one with parameters as many as there are samples, and none that has no end."""
    found: list[tuple[str, str]] = []
    for route in ROUTES:
        if ("GET" in (route.methods or ()) and not _ENDLESS.search(route.path)) or route.path == "/sign-in":
            found += [(route.path, path) for path in samples.get(route.path, _plain(route))]
    return found


def _plain(route: Route) -> Sequence[str]:
    return () if "{" in route.path else (route.path,)


async def _samples(services: Services, channel: str, subdir: str) -> dict[str, Sequence[str]]:
    """Route -> paths: of packages the largest and an ordinary one, of everything else the first that is there."""
    database = services.core.database
    state = services.catalog.get(channel).subdirs[subdir]
    digests = (await Maps(database).get(state)).digests
    async with database.read() as connection:
        largest = await _largest(connection, digests)
        ids = (await connection.execute(select(advisory.c.id).order_by(advisory.c.id).limit(1))).scalars().all()
        event_ids = (await connection.execute(select(func.max(tables.audit_event.c.id)))).scalars().all()
    body = await services.shards.find(digests[largest])
    assert body is not None
    filename = next(iter(dict(decode_stored(body).records())))
    jobs = await services.jobs.list_jobs(limit=1)
    mirror = next(iter(services.catalog.get(channel).sources)).name
    return {
        "/packages/{name}": [f"/packages/{largest}"],
        "/packages/{channel:path}/{name}": [f"/packages/{channel}/{one}" for one in (largest, min(digests))],
        "/files/{channel:path}/{subdir}/{filename}": [f"/files/{channel}/{subdir}/{filename}"],
        "/requests/new": [f"/requests/new?spec={largest}"],
        "/search": ["/search", f"/search?q={largest}", "/search?q=py", "/search?q=license:mit"],
        "/search/suggestions": ["/search/suggestions?q=py"],
        "/channels/{channel:path}": [f"/channels/{channel}"],
        "/channels/{channel:path}/revisions": [f"/channels/{channel}/revisions"],
        "/channels/{channel:path}/patches": [f"/channels/{channel}/patches"],
        "/channels/{channel:path}/patches/{subdir}": [f"/channels/{channel}/patches/{subdir}"],
        "/channels/{channel:path}/mirrors": [f"/channels/{channel}/mirrors"],
        "/channels/{channel:path}/mirrors/{name}": [f"/channels/{channel}/mirrors/{mirror}"],
        "/channels/{channel:path}/mirrors/{name}/filtered": [f"/channels/{channel}/mirrors/{mirror}/filtered"],
        "/channels/{channel:path}/unsatisfiable": [f"/channels/{channel}/unsatisfiable"],
        "/channels/{channel:path}/bundles": [f"/channels/{channel}/bundles"],
        "/admin/users/{name}": ["/admin/users/admin"],
        "/admin/jobs/{id}": [f"/admin/jobs/{one.id}" for one in jobs],
        "/audit/events/{number}": [f"/audit/events/{one}" for one in event_ids],
        "/advisories/{id}": [f"/advisories/{one}" for one in ids],
    }


async def _largest(connection: AsyncConnection, digests: Mapping[str, bytes]) -> str:
    """The name whose shard is the longest."""
    columns = tables.shard.c
    rows = await connection.execute(
        select(columns.digest, func.length(columns.body)).order_by(func.length(columns.body).desc()).limit(200)
    )
    by_digest = {digest: name for name, digest in digests.items()}
    return next(by_digest[row.digest] for row in rows if row.digest in by_digest)


def main() -> None:
    set_up_logs("error", "json")
    relax_collector()
    data, channel, subdir, password = sys.argv[1:]
    print(json.dumps(asyncio.run(_work(Path(data), channel, subdir, password))))


if __name__ == "__main__":
    main()
