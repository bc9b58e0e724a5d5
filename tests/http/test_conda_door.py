"""The conda door through ASGI, on both databases: who may see what, and what is answered without any upstream."""

import hashlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
import zstandard
from sqlalchemy import select

from headgate.access.grants import PrincipalKind, Scope
from headgate.access.permissions import Permission
from headgate.access.users import UserChange
from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind, Privacy
from headgate.conda.names import ChannelName, Sha256
from headgate.db import tables
from tests.packages import package
from tests.waiting import eventually_async

ACTOR = "tests"


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    for name, privacy in (("open", Privacy.PUBLIC), ("team/secret", Privacy.PRIVATE), ("staff", Privacy.AUTHENTICATED)):
        await services.core.channels.create(ACTOR, ChannelName(name), ChannelKind.HOSTED, privacy=privacy)
    await services.core.access.create_user(ACTOR, "ada", "a long enough password", is_administrator=False)
    await services.core.access.create_user(ACTOR, "root", "a long enough password", is_administrator=True)
    await services.snapshots.reload()
    application: Any = Application(services)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test") as client:
        yield client


async def upload(services: Services, channel: str, filename: str, body: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    await services.uploads.take(ACTOR, services.catalog.get(channel), filename, pieces())
    await services.snapshots.reload()


def index_of(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    shards: dict[str, bytes] = msgspec.msgpack.decode(zstandard.decompress(answer.content))["shards"]
    return shards


INDEX = "noarch/repodata_shards.msgpack.zst"


async def test_subdir_that_a_first_question_opens_is_written_down_once(
    services: Services, client: httpx.AsyncClient
) -> None:
    for _ in range(2):
        assert index_of(await client.get("/conda/open/osx-arm64/repodata_shards.msgpack.zst")) == {}
    async with services.core.database.read() as connection:
        columns = tables.audit_event.c
        opened = select(columns.actor, columns.channel, columns.subject).where(columns.action == "channel:open-subdir")
        assert (await connection.execute(opened)).all() == [("headgate", "open", "osx-arm64")]


async def test_an_upload_is_in_the_index_and_its_bytes_are_served(
    services: Services, client: httpx.AsyncClient
) -> None:
    filename, body = package("demo")
    await upload(services, "open", filename, body)
    digest = index_of(await client.get(f"/conda/open/{INDEX}"))["demo"]
    shard = await client.get(f"/conda/open/noarch/shards/{digest.hex()}.msgpack.zst")
    assert hashlib.sha256(shard.content).digest() == digest
    assert "immutable" in shard.headers["cache-control"]
    for place in ("conda/open", "get/open", "api/repo/open", "conda/open/label/main"):
        answer = await client.get(f"/{place}/noarch/{filename}")
        assert answer.content == body
        assert answer.headers["etag"] == f'"{hashlib.sha256(body).hexdigest()}"'
    again = await client.get(f"/conda/open/noarch/{filename}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_a_channel_that_is_not_there_looks_like_one_that_is_closed(client: httpx.AsyncClient) -> None:
    closed, absent = [await client.get(f"/conda/{name}/{INDEX}") for name in ("team/secret", "team/absent")]
    assert closed.status_code == absent.status_code == 401
    assert closed.text.replace("secret", "absent") == absent.text
    assert "basic" in closed.headers["www-authenticate"].lower()
    auth = httpx.BasicAuth("ada", "a long enough password")
    closed, absent = [await client.get(f"/conda/{name}/{INDEX}", auth=auth) for name in ("team/secret", "team/absent")]
    assert closed.status_code == absent.status_code == 403
    root = httpx.BasicAuth("root", "a long enough password")
    assert (await client.get(f"/conda/team/absent/{INDEX}", auth=root)).status_code == 404


async def test_privacy_decides_who_reads(services: Services, client: httpx.AsyncClient) -> None:
    ada, root = (httpx.BasicAuth(name, "a long enough password") for name in ("ada", "root"))
    for channel, anonymous, user, administrator in (
        ("open", 200, 200, 200),
        ("staff", 401, 200, 200),
        ("team/secret", 401, 403, 200),
    ):
        path = f"/conda/{channel}/{INDEX}"
        assert (await client.get(path)).status_code == anonymous
        assert (await client.get(path, auth=ada)).status_code == user
        assert (await client.get(path, auth=root)).status_code == administrator


async def test_a_token_works_wherever_clients_put_it_and_stops_at_once(
    services: Services, client: httpx.AsyncClient
) -> None:
    _, token = await services.core.access.create_token(ACTOR, "root", "ci", channels=["team/secret"])
    await services.snapshots.reload()
    paths = (f"/t/{token}/conda/team/secret", f"/conda/t/{token}/team/secret", f"/t/{token}/get/team/secret")
    headers: list[dict[str, str]] = [{name: token} for name in ("X-API-Key", "X-ApiKey", "X-Auth")]
    headers.append({"Authorization": f"Bearer {token}"})
    for path in paths:
        assert (await client.get(f"{path}/{INDEX}")).status_code == 200
    for header in headers:
        assert (await client.get(f"/conda/team/secret/{INDEX}", headers=header)).status_code == 200
        assert (await client.get(f"/conda/staff/{INDEX}", headers=header)).status_code == 403
    basic = httpx.BasicAuth("api", token)
    assert (await client.get(f"/conda/team/secret/{INDEX}", auth=basic)).status_code == 200
    await services.core.access.tokens.revoke(ACTOR, "root", "ci")
    await services.snapshots.reload()
    refused = await client.get(f"{paths[0]}/{INDEX}")
    assert refused.status_code == 401
    assert refused.json()["code"] == "token-revoked"


async def test_bad_credentials_are_refused_on_public_channels_too_but_not_for_notices(
    client: httpx.AsyncClient,
) -> None:
    wrong = {"Authorization": "Bearer hg-nobody-knows"}
    assert (await client.get(f"/conda/open/{INDEX}", headers=wrong)).json()["code"] == "token-unknown"
    assert (await client.get("/conda/open/notices.json", headers=wrong)).json() == {"notices": []}


async def test_reading_and_downloading_are_granted_apart(services: Services, client: httpx.AsyncClient) -> None:
    ada = httpx.BasicAuth("ada", "a long enough password")
    grants, scope = services.core.access.grants, Scope("team/secret")
    for name in ("demo", "other"):
        await upload(services, "team/secret", *package(name))

    async def statuses() -> list[int]:
        await services.snapshots.reload()
        paths = (INDEX, *(f"noarch/{package(name)[0]}" for name in ("demo", "other")))
        return [(await client.get(f"/conda/team/secret/{path}", auth=ada)).status_code for path in paths]

    assert await statuses() == [403, 403, 403]
    await grants.create_role(ACTOR, "looker", [Permission.CHANNEL_READ])
    await grants.add_grant(ACTOR, PrincipalKind.USER, "ada", "looker", scope)
    assert await statuses() == [200, 403, 403]
    few = Scope("team/secret", "de*")
    number = await grants.add_grant(ACTOR, PrincipalKind.USER, "ada", "downloader", few)
    assert await statuses() == [200, 200, 403]
    await grants.add_grant(ACTOR, PrincipalKind.USER, "ada", "downloader", scope)
    await grants.remove_grant(ACTOR, number)
    await grants.add_grant(ACTOR, PrincipalKind.USER, "ada", "downloader", few, is_deny=True)
    assert await statuses() == [200, 403, 200]


async def test_a_disabled_user_reads_nothing_with_password_or_token(
    services: Services, client: httpx.AsyncClient
) -> None:
    _, token = await services.core.access.create_token(ACTOR, "ada", "ci")
    await services.snapshots.reload()
    forms: list[dict[str, Any]] = [
        {"auth": httpx.BasicAuth("ada", "a long enough password")},
        {"headers": {"X-API-Key": token}},
    ]
    for form in forms:
        assert (await client.get(f"/conda/staff/{INDEX}", **form)).status_code == 200
    await services.core.access.users.change(ACTOR, "ada", UserChange(is_disabled=True))

    async def is_refused(form: dict[str, Any]) -> bool:
        await services.snapshots.refresh()
        answer = await client.get(f"/conda/open/{INDEX}", **form)
        return answer.status_code == 401 and answer.json()["code"] == "user-disabled"

    for form in forms:  # the change is noticed without being told
        assert await eventually_async(partial(is_refused, form))


async def test_a_shard_is_served_only_where_a_map_names_it(services: Services, client: httpx.AsyncClient) -> None:
    await upload(services, "team/secret", *package("hidden"))
    root = httpx.BasicAuth("root", "a long enough password")
    digest = index_of(await client.get(f"/conda/team/secret/{INDEX}", auth=root))["hidden"].hex()
    assert (await client.get(f"/conda/team/secret/noarch/shards/{digest}.msgpack.zst", auth=root)).status_code == 200
    leaked = await client.get(f"/conda/open/noarch/shards/{digest}.msgpack.zst")
    assert (leaked.status_code, leaked.json()["code"]) == (404, "shard-unknown")


async def test_a_hosted_channel_has_every_known_subdir_before_its_first_upload(client: httpx.AsyncClient) -> None:
    assert index_of(await client.get("/conda/open/linux-64/repodata_shards.msgpack.zst")) == {}
    unknown = await client.get("/conda/open/made-up/repodata_shards.msgpack.zst")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "subdir-unknown")


async def test_people_get_pages_and_clients_never_html(client: httpx.AsyncClient) -> None:
    page = await client.get("/conda/open/", headers={"Accept": "text/html"})
    assert "conda config --add channels http://headgate.test/conda/open" in page.text
    assert (await client.get("/conda/open/", headers={"Accept": "*/*"})).json()["code"] == "path-unknown"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    home = await client.get("/", headers={"Accept": "text/html"})
    assert "open" in home.text
    assert "team/secret" not in home.text
    assert (await client.post("/conda/open/noarch/repodata.json")).json()["code"] == "method-not-allowed"


async def test_health_and_metrics_answer(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).text == "alive\n"
    assert (await client.get("/health/ready")).text == "ready\n"
    assert "headgate_requests_total" in (await client.get("/metrics")).text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_server_that_sends_files_itself_gets_the_same_head(
    services: Services, client: httpx.AsyncClient, method: str
) -> None:
    filename, body = package("demo")
    await upload(services, "open", filename, body)
    application: Any = Application(services)

    async def asked(extensions: dict[str, Any], *headers: tuple[bytes, bytes]) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        path = f"/conda/open/noarch/{filename}"
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
                 "headers": list(headers), "scheme": "http", "client": ("192.0.2.1", 1), "extensions": extensions}  # fmt: skip
        await application(scope, None, send)
        return messages

    plain, by_path = await asked({}), await asked({"http.response.pathsend": {}})
    assert sorted(by_path[0]["headers"]) == sorted(plain[0]["headers"])
    if method == "HEAD":
        assert by_path[1:] == plain[1:] == [{"type": "http.response.body", "body": b""}]
        return
    assert b"".join(one["body"] for one in plain[1:]) == body
    assert by_path[1:] == [
        {
            "type": "http.response.pathsend",
            "path": str(services.core.store.path(Sha256(hashlib.sha256(body).hexdigest()))),
        }
    ]
    part = await asked({"http.response.pathsend": {}}, (b"range", b"bytes=1-2"))
    assert (part[0]["status"], part[1]["body"]) == (206, body[1:3])
