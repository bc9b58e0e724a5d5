"""Pages in front of the application: who sees what, how many questions they cost, and what a forged request meets."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from headgate import asgi
from headgate.bootstrap import Services
from headgate.channels.search_cards import CardWriter
from headgate.channels.sources import source_subdir_id
from headgate.db import tables
from headgate.db.engine import Database
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing, said
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are run meanwhile."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.fixture
async def ada(services: Services, callers: Callers) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


@pytest.fixture
async def nobody(services: Services, callers: Callers) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        yield browser


@pytest.fixture
async def filled(callers: Callers, services: Services, hosted: str) -> str:
    for version in ("1.0", "2.0"):
        filename, body = package("demo", version, license="MIT")
        sent = await callers.admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text
    await CardWriter(services.core.database).catch_up()
    return hosted


PATHS = [
    "/packages/{}/demo",
    "/packages/{}/demo?version=1.0&show=held",
    "/files/{}/noarch/demo-1.0-0.conda",
    "/files/{}/noarch/demo-1.0-0.conda?part=inside",
    "/files/{}/noarch/demo-1.0-0.conda?part=record",
    "/files/{}/noarch/demo-1.0-0.conda?part=downloads",
    "/files/{}/noarch/demo-1.0-0.conda?part=history",
]


async def test_pages_of_a_private_channel_are_for_those_who_may_read_it(
    ada: Browser, nobody: Browser, services: Services, filled: str
) -> None:
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        for path in (one.format(filled) for one in PATHS):
            shown = await ada.get(path)
            assert shown.status_code == 200, said(shown)
            assert_valid(shown.text)
            assert (await bob.get(path)).status_code == 403
            left = await nobody.get(path)
            assert (left.status_code, left.headers["location"].partition("?")[0]) == (303, "/sign-in")
            # What does not exist is refused in the same words.
            assert (await bob.get(path.replace(filled, "none"))).status_code == 403


async def test_unknown_packages_and_files_are_said_in_pages(ada: Browser, filled: str) -> None:
    for path in (f"/packages/{filled}/none", f"/files/{filled}/noarch/none-1-0.conda", "/packages/none"):
        assert (await ada.get(path)).status_code == 404
    for path in (f"/files/{filled}/noarch/none", f"/files/{filled}/!/demo-1.0-0.conda"):
        assert (await ada.get(path)).status_code in {400, 422}
    assert (await ada.get("/packages/demo")).headers["location"] == f"/packages/{filled}/demo"


async def test_home_asks_few_questions(ada: Browser, services: Services, filled: str) -> None:
    await ada.get("/")
    with counted(services.core.database) as statements:
        shown = await ada.get("/")
    assert shown.status_code == 200
    assert_valid(shown.text)
    assert len(statements) <= 12, statements


async def test_suggestions_are_a_part_and_search_answers_htmx_with_one(ada: Browser, filled: str) -> None:
    headers = {"hx-request": "true", "hx-target": "div#found"}
    part = await ada.client.get(f"{ada.base}/search?q=demo", headers=headers)
    assert "<html" not in part.text
    assert f'href="/packages/{filled}/demo"' in part.text
    whole = await ada.client.get(f"{ada.base}/search?q=demo", headers=headers | {"hx-history-restore-request": "true"})
    assert "<html" in whole.text
    assert "demo" in (await ada.get("/search/suggestions?q=dem")).text


async def test_mistake_in_a_search_is_said_beside_it(ada: Browser) -> None:
    shown = await ada.get("/search?q=age:soon")
    assert shown.status_code == 200
    assert "is not an age" in shown.text


async def test_failure_for_htmx_is_a_toast(ada: Browser) -> None:
    answer = await ada.client.get(f"{ada.base}/packages/none", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-retarget"]) == (404, "#toasts")
    assert "<html" not in answer.text


async def test_what_another_site_asks_for_changes_nothing(ada: Browser, services: Services) -> None:
    await services.core.access.create_token("test", "ada", "laptop")
    elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    proof = await ada.proof()
    for headers in (elsewhere, {}):
        answer = await ada.post("/account/tokens/revoke", headers, csrf_token=proof, name="laptop")
        assert answer.status_code == 403
    assert (await ada.post("/account/tokens/revoke", name="laptop")).status_code == 403
    assert "laptop" in (await ada.get("/account")).text


async def test_toast_that_we_did_not_write_is_not_said(ada: Browser) -> None:
    body = "eyJ0ZXh0IjoiQ2xpY2sgbWUiLCJ1bmRvIjp7InBhdGgiOiIvYSIsImZpZWxkcyI6e319fQ=="
    ada.client.cookies.set("headgate-said", f"{body}.{'0' * 64}", domain="headgate.test")
    assert "Click me" not in (await ada.get("/account")).text


async def test_home_shows_what_broke_to_whoever_can_mend_it_and_to_nobody_else(
    ada: Browser, nobody: Browser, services: Services, mirror: str
) -> None:
    async with services.core.database.write() as connection:
        source = services.catalog.get(mirror).sources[0].id
        number = await source_subdir_id(connection, source, "noarch")
        failure = "The upstream <b>says</b> 500."
        await connection.execute(
            update(tables.source_subdir).where(tables.source_subdir.c.id == number).values(failure=failure)
        )
    text = (await ada.get("/")).text
    assert "outer/world/noarch cannot follow main" in text
    assert "&lt;b&gt;says" in text
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        for browser in (bob, nobody):
            shown = (await browser.get("/")).text
            assert "outer/world" not in shown


async def test_home_tells_of_tokens_that_end_soon(ada: Browser, services: Services) -> None:
    await services.core.access.create_token("test", "ada", "ending", lifetime=timedelta(days=3))
    await services.core.access.create_token("test", "ada", "lasting", lifetime=timedelta(days=60))
    text = (await ada.get("/")).text
    assert "Token ending of ada ends" in text
    assert "Token lasting" not in text


async def test_api_is_described_by_this_server_itself(ada: Browser) -> None:
    shown = await ada.get("/docs")
    assert_valid(shown.text)
    assert "/api/v1/search" in shown.text
    narrowed = (await ada.get("/docs?q=delete+sessions")).text
    assert 0 < narrowed.count('class="operation"') < shown.text.count('class="operation"')
    assert "/api/v1/search" not in narrowed


async def test_policies_take_as_many_queries_as_one_policy(ada: Browser, services: Services) -> None:
    counts = []
    for number in range(3):
        document = {"name": f"care{number}", "rule": [{"kind": "license", "exclude": ["agpl"], "action": "block"}]}
        await services.core.policies.apply("test", document)
        await services.core.policies.apply("test", {**document, "description": "again"})
        await services.snapshots.reload()
        with counted(services.core.database) as statements:
            shown = (await ada.get("/policies")).text
        assert f"care{number}" in shown
        counts.append(len(statements))
    assert counts[-1] <= counts[0] + 1, counts
    with counted(services.core.database) as statements:
        assert "/policies/care1?version=2#changed" in (await ada.get("/policies/care1")).text
    assert len(statements) <= counts[0] + 6


async def test_pages_that_could_not_be_read_in_are_tried_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = asgi._open_people_doors

    def fail(_services: Services) -> None:
        raise OSError(24, "Too many open files")

    async with browsing(services) as browser:
        monkeypatch.setattr(asgi, "_open_people_doors", fail)
        refused = await browser.get("/sign-in")
        assert refused.status_code == 500
        assert "could not be read in" in refused.text
        monkeypatch.setattr(asgi, "_open_people_doors", opening)
        assert (await browser.get("/sign-in")).status_code == 200
