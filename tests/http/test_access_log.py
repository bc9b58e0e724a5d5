"""What the access log says of requests at the conda door."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from headgate.asgi import Application
from headgate.audit.access_store import read_parts
from headgate.audit.access_tables import part_table
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind, Privacy
from headgate.conda.names import ChannelName
from headgate.kernel import clock
from tests.packages import package

ACTOR = "tests"


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    await services.core.channels.create(ACTOR, ChannelName("open"), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await services.core.channels.create(ACTOR, ChannelName("closed"), ChannelKind.HOSTED, privacy=Privacy.PRIVATE)
    await services.core.access.create_user(ACTOR, "ada", "a long enough password", is_administrator=True)
    await services.snapshots.reload()
    application: Any = Application(services)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://headgate.test") as client:
        yield client


async def upload(services: Services, filename: str, body: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    await services.uploads.take(ACTOR, services.catalog.get("open"), filename, pieces())
    await services.snapshots.reload()


async def logged(services: Services) -> list[dict[str, Any]]:
    await services.audit.log.flush()
    async with services.audit.store.database.read() as connection:
        (part,) = await read_parts(connection)
        rows = await connection.execute(select(part_table(part)).order_by(part_table(part).c.id))
        return [dict(row._mapping) for row in rows]


async def test_a_download_says_who_what_with_and_how_it_went(services: Services, client: httpx.AsyncClient) -> None:
    filename, body = package("demo")
    await upload(services, filename, body)
    _, text = await services.core.access.create_token(ACTOR, "ada", "laptop")
    await services.snapshots.reload()
    headers = {"authorization": f"Bearer {text}", "user-agent": "conda/25.1.0 requests/2.32.3 CPython/3.12.8"}
    answer = await client.get(f"/conda/open/noarch/{filename}", headers=headers)
    assert answer.content == body
    (row,) = await logged(services)
    assert {key: row[key] for key in row if key not in {"id", "at", "agent"}} == {
        "times": 1, "kind": "download", "method": "GET", "channel": "open", "subdir": "noarch", "filename": filename,
        "package": "demo", "sha256": answer.headers["etag"].strip('"'), "who": "ada", "token": "laptop",
        "address": "127.0.0.1", "client": "conda", "client_version": "25.1.0", "verdict": "allow", "status": 200,
        "bytes": len(body),
    }  # fmt: skip
    assert abs(clock.now_ms() - row["at"]) < 60_000
    assert await services.audit.downloads.by_name("open", clock.now()) == {"demo": 1}
    assert text not in str(row)


async def test_indexes_are_noted_and_shards_only_where_the_settings_ask(
    services: Services, client: httpx.AsyncClient
) -> None:
    filename, body = package("demo")
    await upload(services, filename, body)
    index = await client.get("/conda/open/noarch/repodata_shards.msgpack.zst")
    await client.get("/conda/open/noarch/repodata_shards.msgpack.zst", headers={"if-none-match": index.headers["etag"]})
    await client.get(f"/conda/open/noarch/shards/{'0' * 64}.msgpack.zst")
    rows = await logged(services)
    assert [(row["kind"], row["status"], row["who"]) for row in rows] == [
        ("index", 200, "anonymous"),
        ("index", 304, "anonymous"),
    ]
    assert rows[0]["bytes"] == len(index.content)
    assert rows[1]["bytes"] == 0


async def test_refusals_are_noted_and_requests_for_nothing_are_not(
    services: Services, client: httpx.AsyncClient
) -> None:
    for path in ("closed/noarch/demo-1-0.conda", "absent/noarch/demo-1-0.conda", "open/noarch/demo-1-0.conda"):
        await client.get(f"/conda/{path}")
    assert (await client.get("/conda/closed/noarch/a-1-0.conda", headers={"authorization": "Bearer no"})).is_error
    rows = await logged(services)
    assert [(row["channel"], row["verdict"], row["status"]) for row in rows] == [
        ("closed", "credentials-needed", 401),
        ("open", "artifact-unknown", 404),
        ("closed", "token-unknown", 401),
    ]
