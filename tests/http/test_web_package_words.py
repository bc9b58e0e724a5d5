"""What people say of a package, on its page: deprecated, noted, owned, and each of that taken back."""

from collections.abc import AsyncIterator

import httpx
import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from headgate.channels.packages import Owner, PackageWords
from headgate.conda.names import PackageName
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing, said
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package

HERE = "/packages/team/demo"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
async def shop(callers: Callers, services: Services, hosted: str) -> Services:
    for name in ("demo", "other"):
        filename, body = package(name)
        sent = await callers.admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text
    await services.core.access.groups.create("test", "Forecasters")
    return services


@pytest.fixture
async def ada(shop: Services) -> AsyncIterator[Browser]:
    async with browsing(shop) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


@pytest.fixture
async def bob(shop: Services) -> AsyncIterator[Browser]:
    await shop.core.access.grants.add_grant("test", PrincipalKind.USER, "bob", "downloader", Scope("team"))
    await shop.snapshots.reload()
    async with browsing(shop) as browser:
        await browser.sign_in("bob", PASSWORD)
        yield browser


async def send(browser: Browser, act: str, here: str = HERE, **fields: str) -> httpx.Response:
    return await browser.post(f"{here}/{act}", csrf_token=await browser.proof(), **fields)


async def words(services: Services, name: str = "demo") -> PackageWords:
    return await services.core.life.packages.get(services.catalog.get("team"), PackageName(name))


async def test_a_package_is_deprecated_and_that_is_taken_back(shop: Services, ada: Browser) -> None:
    answer = await send(ada, "deprecate", spec=" demo <2 ", reason=f"Use demo 2. {EVIL}", is_avoided="on")
    assert (answer.status_code, answer.headers["location"]) == (303, HERE)
    (made,) = (await words(shop)).deprecations
    assert (made.spec, made.is_avoided, made.created_by) == ("demo <2", True, "ada")
    shown = await ada.get(HERE)
    assert_valid(shown.text)
    assert "Use demo 2. &lt;script&gt;" in shown.text
    assert "demo &lt;2 is deprecated." in shown.text, "the toast"
    assert (await send(ada, "undeprecate", spec="demo <2")).status_code == 303
    assert (await words(shop)).deprecations == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"spec": "demo <2", "reason": " "}, "Say why"),
        ({"spec": "other", "reason": "gone"}, "is not about demo"),
        ({"spec": "demo >>1", "reason": "gone"}, "demo >>1"),
        ({"spec": "demo", "reason": "x" * 1_001}, "longer than 1,000"),
    ],
)
async def test_what_is_wrong_stands_beside_the_form_with_what_was_typed(
    shop: Services, ada: Browser, fields: dict[str, str], sentence: str
) -> None:
    answer = await send(ada, "deprecate", **fields)
    assert answer.status_code == 422
    assert sentence in said(answer)
    assert 'id="field-spec" name="spec" value="' in answer.text
    assert (await words(shop)).deprecations == []


async def test_a_note_is_kept_shown_as_text_and_removed(shop: Services, ada: Browser) -> None:
    assert (await send(ada, "note", text=f"Ask first.\r\n{EVIL} [a](javascript:1)")).status_code == 303
    assert (await words(shop)).note == f"Ask first.\n{EVIL} [a](javascript:1)"
    shown = await ada.get(HERE)
    assert_valid(shown.text)
    assert '<p class="note">Ask first.\n&lt;script&gt;' in shown.text
    assert "<script>alert" not in shown.text
    assert (await send(ada, "note", text="x" * 10_001)).status_code == 422
    assert (await send(ada, "note", text="")).status_code == 303
    assert (await words(shop)).note == ""


async def test_owners_are_added_and_removed_with_their_grant(shop: Services, ada: Browser, bob: Browser) -> None:
    assert (await send(bob, "note", text="mine")).status_code == 403
    assert (await send(ada, "own", kind="group", principal="Forecasters")).status_code == 303
    assert (await send(ada, "own", kind="user", principal="bob", may_publish="on")).status_code == 303
    assert (await words(shop)).owners == [
        Owner(PrincipalKind.GROUP, "Forecasters", may_publish=False),
        Owner(PrincipalKind.USER, "bob", may_publish=True),
    ]
    shown = await ada.get(HERE)
    assert_valid(shown.text)
    assert "Remove group Forecasters" in shown.text
    assert (await send(bob, "note", text="mine")).status_code == 303
    assert (await send(bob, "note", "/packages/team/other", text="not mine")).status_code == 403
    assert (await send(bob, "own", kind="user", principal="ada")).status_code == 403
    assert 'action="/packages/team/demo/own' not in (await bob.get(HERE)).text
    for kind, principal in (("group", "Forecasters"), ("user", "bob")):
        assert (await send(ada, "disown", kind=kind, principal=principal)).status_code == 303
    assert (await words(shop)).owners == []
    assert (await send(bob, "note", text="once more")).status_code == 403


async def test_owners_that_are_nobody_are_refused(ada: Browser) -> None:
    for fields in ({"kind": "user", "principal": "nobody"}, {"kind": "group", "principal": ""}):
        answer = await send(ada, "own", **fields)
        assert (answer.status_code, bool(said(answer))) == (422, True)
    assert (await send(ada, "own", kind="pseudo", principal="everyone")).status_code == 422
    assert (await send(ada, "disown", kind="user", principal="bob")).status_code == 422


async def test_letting_an_owner_publish_takes_who_manages_access(shop: Services, bob: Browser) -> None:
    await shop.core.access.grants.add_grant("test", PrincipalKind.USER, "bob", "channel-manager", Scope("team"))
    await shop.snapshots.reload()
    shown = await bob.get(HERE)
    assert ("Owners" in shown.text, 'name="may_publish"' in shown.text) == (True, False)
    assert (await send(bob, "own", kind="user", principal="bob", may_publish="on")).status_code == 403
    assert (await send(bob, "own", kind="user", principal="bob")).status_code == 303


async def test_who_reads_alone_says_nothing_of_it(shop: Services, bob: Browser) -> None:
    shown = await bob.get(HERE)
    assert (shown.status_code, 'id="manage"' in shown.text) == (200, False)
    forms: list[tuple[str, dict[str, str]]] = [
        ("deprecate", {"spec": "demo", "reason": "gone"}),
        ("undeprecate", {"spec": "demo"}),
        ("note", {"text": "mine"}),
        ("own", {"kind": "user", "principal": "bob"}),
        ("disown", {"kind": "user", "principal": "bob"}),
    ]
    for act, fields in forms:
        assert (await send(bob, act, **fields)).status_code == 403, act
    assert await words(shop) == PackageWords("demo")
