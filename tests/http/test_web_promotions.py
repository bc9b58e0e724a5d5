"""The pages of promotions: what passed, who may see it, and the way back."""

import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from tests.browser.watching import assert_valid
from tests.http.browsing import browsing
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package


@pytest.fixture
async def promoted(callers: Callers, services: Services) -> int:
    for name in ("outside", "inside"):
        assert (await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})).status_code == 201
    filename, body = package("app")
    sent = await callers.admin.post("/channels/outside/artifacts", params={"filename": filename}, content=body)
    assert sent.status_code == 201, sent.text
    wish = {"wants": ["app"], "source": "outside", "target": "inside", "comment": "<b>needed</b>"}
    made = await callers.admin.post("/promotions", json=wish)
    assert made.status_code == 202, made.text
    number: int = made.json()["id"]
    await services.promotions.apply(number)
    await services.snapshots.reload()
    return number


async def test_a_promotion_is_shown_and_undone(callers: Callers, services: Services, promoted: int) -> None:
    async with browsing(services) as ada:
        await ada.sign_in("ada", PASSWORD)
        for path in ("/promotions", f"/promotions/{promoted}"):
            shown = await ada.get(path)
            assert_valid(shown.text)
            assert ">applied</span>" in shown.text
        assert "&lt;b&gt;needed&lt;/b&gt;" in shown.text
        undo, proof = f"/promotions/{promoted}/undo", await ada.proof()
        assert (await ada.post(undo, csrf_token=proof, typed="outside")).status_code == 422
        assert (await ada.post(undo, csrf_token=proof, typed="inside")).status_code == 303
        assert (await callers.admin.get("/channels/inside/artifacts")).json()["items"] == []
        assert ">undone</span>" in (await ada.get(f"/promotions/{promoted}")).text
        assert (await ada.post(undo, csrf_token=proof, typed="inside")).status_code == 409
        for number in ("999", "x", "9" * 40):
            assert (await ada.get(f"/promotions/{number}")).status_code == 404


async def test_who_may_not_read_the_target_learns_nothing_of_it(services: Services, promoted: int) -> None:
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        undo, proof = f"/promotions/{promoted}/undo", await bob.proof()
        assert "inside" not in (await bob.get("/promotions")).text
        assert (await bob.get(f"/promotions/{promoted}")).status_code == 404
        assert (await bob.post(undo, csrf_token=proof, typed="inside")).status_code == 404
        await services.core.access.grants.add_grant("test", PrincipalKind.USER, "bob", "downloader", Scope("inside"))
        await services.snapshots.reload()
        shown = await bob.get(f"/promotions/{promoted}")
        assert (shown.status_code, "Undo it" in shown.text) == (200, False)
        assert (await bob.post(undo, csrf_token=proof, typed="inside")).status_code == 403


DRAFT = 'name = "no-app"\n[[rule]]\nkind = "match-spec"\nexclude = ["app"]\naction = "block"\n'


async def test_a_draft_of_a_policy_names_the_environments_that_would_miss_files(
    services: Services, promoted: int
) -> None:
    async with browsing(services) as ada:
        await ada.sign_in("ada", PASSWORD)
        effect = await ada.post("/policies/effect", csrf_token=await ada.proof(), text=DRAFT, channel="inside")
        assert effect.status_code == 200, effect.text
        assert "Environments that would miss files" in effect.text
        assert f'<a href="/promotions/{promoted}">app</a> <span class="text-secondary">1 file, approved' in effect.text
