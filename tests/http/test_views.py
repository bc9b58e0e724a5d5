"""Saved views: kept by each for themselves, shared by who may, seen by who may see the page."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from headgate.access.grants import PrincipalKind, Scope
from headgate.access.views import MOST, Place, ViewWish
from headgate.bootstrap import Services
from headgate.db import tables
from headgate.kernel.errors import Conflict, Invalid
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing
from tests.http.conftest import PASSWORD, Callers

MINE = {"place": "search", "name": "Ours", "query": "channel:team numpy"}
AUDIT = {"place": "audit", "name": "Policies", "query": "action:policy", "is_shared": True}


async def names(caller: httpx.AsyncClient, **chosen: Any) -> list[str]:
    answer = await caller.get("/views", params=chosen)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["items"]]


async def test_views_are_seen_by_their_owner_and_shared_ones_by_who_may_see_the_page(
    callers: Callers, services: Services
) -> None:
    assert (await callers.member.put("/views", json=MINE)).status_code == 200
    assert (await callers.admin.put("/views", json=MINE | {"name": "Shared", "is_shared": True})).status_code == 200
    assert (await callers.admin.put("/views", json=AUDIT)).status_code == 200
    assert await names(callers.member) == ["Ours", "Shared"]
    assert await names(callers.admin) == ["Shared", "Policies"]
    assert await names(callers.admin, place="audit") == ["Policies"]
    await services.core.access.grants.add_grant("test", PrincipalKind.USER, "bob", "auditor", Scope())
    await services.snapshots.reload()
    assert await names(callers.member) == ["Ours", "Shared", "Policies"]


async def test_who_may_not_share_or_see_the_page_is_refused(callers: Callers) -> None:
    for body in (MINE | {"is_shared": True}, AUDIT | {"is_shared": False}):
        refused = await callers.member.put("/views", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")
    assert (await callers.viewer.put("/views", json=MINE)).status_code == 403, "its token may only look"


async def test_one_name_is_one_view_and_goes_with_its_removal(callers: Callers, services: Services) -> None:
    first = (await callers.member.put("/views", json=MINE)).json()
    again = (await callers.member.put("/views", json=MINE | {"name": " Ours ", "query": "scipy"})).json()
    assert (again["id"], again["name"], again["query"], again["owner"]) == (first["id"], "Ours", "scipy", "bob")
    unseen = await callers.admin.delete(f"/views/{first['id']}")
    assert (unseen.status_code, unseen.json()["code"]) == (404, "view-unknown"), "it is private"
    assert (await callers.member.delete(f"/views/{first['id']}")).status_code == 204
    assert await names(callers.member) == []
    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        chosen = select(columns.action, columns.subject).where(columns.action.like("view:%")).order_by(columns.number)
        done = [tuple(row) for row in await connection.execute(chosen)]
    assert done == [("view:save", "Ours"), ("view:save", "Ours"), ("view:remove", "Ours")]


async def test_what_cannot_be_kept_is_refused(callers: Callers, services: Services) -> None:
    views = services.core.access.views
    for name, query in (("", "x"), ("x" * 81, "x"), ("x", "  "), ("x", "a\x00b")):
        with pytest.raises(Invalid):
            await views.save("bob", 2, ViewWish(Place.SEARCH, name, query))
    for number in range(MOST):
        await views.save("bob", 2, ViewWish(Place.SEARCH, str(number), "x"))
    await views.save("bob", 2, ViewWish(Place.SEARCH, "7", "changed"))
    with pytest.raises(Conflict):
        await views.save("bob", 2, ViewWish(Place.SEARCH, "one more", "x"))
    assert len(await views.list_views(2, [Place.SEARCH])) == MOST


@pytest.fixture
async def bob(callers: Callers, services: Services) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("bob", PASSWORD)
        yield browser


async def test_a_filter_is_saved_opened_and_removed_on_the_pages(bob: Browser, callers: Callers) -> None:
    assert "Save this filter" not in (await bob.get("/search")).text
    shown = (await bob.get("/search?q=numpy+license%3AMIT")).text
    assert "Save this filter" in shown
    assert "Show it to everybody" not in shown, "bob may not share"
    fields = {"place": "search", "query": "numpy license:MIT", "name": "Free <numpy>"}
    refused = await bob.post("/views/save", csrf_token=await bob.proof(), is_shared="yes", **fields)
    assert refused.status_code == 403
    saved = await bob.post("/views/save", csrf_token=await bob.proof(), **fields)
    assert (saved.status_code, saved.headers["location"]) == (303, "/search?q=numpy+license%3AMIT")
    shown = (await bob.get("/search?q=numpy+license%3AMIT")).text
    assert_valid(shown)
    assert "Save this filter" not in shown
    assert 'href="/search?q=numpy%20license%3AMIT"' in shown
    listed = await bob.get("/views")
    assert_valid(listed.text)
    assert "Free &lt;numpy&gt;" in listed.text
    (view,) = (await callers.member.get("/views")).json()["items"]
    removed = await bob.post("/views/remove", csrf_token=await bob.proof(), id=str(view["id"]))
    assert (removed.status_code, removed.headers["location"]) == (303, "/views")
    assert "No views yet" in (await bob.get("/views")).text
