"""The page that promotes: said what, looked at, decided, and nothing but what was looked at."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.approvals.promotions import Promotion, PromotionState
from headgate.bootstrap import Services
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package

HERE = "/promotions/new"
WISH = {"text": "app", "source": "outside", "target": "inside", "has_closure": "on", "platforms": "linux-64"}


async def put(callers: Callers, channel: str, *files: tuple[str, bytes]) -> None:
    for filename, body in files:
        sent = await callers.admin.post(f"/channels/{channel}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text


@pytest.fixture
async def filled(callers: Callers, services: Services) -> Services:
    for name in ("outside", "inside"):
        assert (await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})).status_code == 201
    there = package("there", license="MIT")
    app = package("app", depends=["lib", "there"], license="<b>MIT</b>")
    await put(callers, "outside", app, package("lib", license="Zlib"), there, package("clash"))
    await put(callers, "inside", there, package("clash", content=b"other\n"))
    deleted = await callers.admin.delete("/channels/inside/artifacts/noarch/clash-1.0-0.conda")
    assert deleted.status_code == 204
    return services


@pytest.fixture
async def ada(filled: Services) -> AsyncIterator[Browser]:
    async with browsing(filled) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def send(browser: Browser, path: str = HERE, **fields: str) -> httpx.Response:
    return await browser.post(path, csrf_token=await browser.proof(), **fields)


async def decided(services: Services) -> list[Promotion]:
    return await services.promotions.list_promotions(before=None, limit=10)


def digest_in(answer: httpx.Response) -> str:
    assert_valid(answer.text)
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', answer.text)
    assert found, answer.text[-3000:]
    return found[1]


async def test_what_would_pass_is_shown_then_promoted(filled: Services, ada: Browser) -> None:
    shown = await ada.get(f"{HERE}?want=app&source=outside")
    assert_valid(shown.text)
    assert ">app</textarea>" in shown.text
    assert "<option selected>outside</option>" in shown.text
    looked = await send(ada, **WISH)
    digest = digest_in(looked)
    for said in ("<strong>2</strong> new", "<strong>1</strong> there already", "&lt;b&gt;MIT", "Zlib", "Would pass"):
        assert said in looked.text, said
    assert "noarch/there-1.0-0.conda" in looked.text
    assert await decided(filled) == []
    done = await send(ada, "/promotions", **WISH, digest=digest, comment="For the forecast team.")
    (made,) = await decided(filled)
    assert (done.status_code, done.headers["location"]) == (303, f"/promotions/{made.id}")
    assert (made.source, made.target, made.comment, made.created_by) == (
        "outside", "inside", "For the forecast team.", "ada",
    )  # fmt: skip
    assert made.state is PromotionState.PLANNED
    assert 'role="status"' in (await ada.get(f"/promotions/{made.id}")).text
    await filled.promotions.apply(made.id)
    await filled.snapshots.reload()
    assert 'role="status" data-hx-get' not in (await ada.get(f"/promotions/{made.id}")).text
    again = await send(ada, **WISH)
    assert "inside has all of it already" in again.text
    assert 'name="digest"' not in again.text


async def test_alone_means_without_what_it_needs(ada: Browser) -> None:
    looked = await send(ada, **{key: value for key, value in WISH.items() if key != "has_closure"})
    assert "<strong>1</strong> new" in looked.text


async def test_nothing_but_what_was_looked_at_is_decided(filled: Services, callers: Callers, ada: Browser) -> None:
    digest = digest_in(await send(ada, **WISH))
    for fields in ({**WISH, "digest": digest, "text": "lib"}, WISH):
        answer = await send(ada, "/promotions", **fields)
        assert (answer.status_code, "Something changed since" in answer.text) == (409, True)
        assert digest_in(answer)
    await put(callers, "outside", package("app", "2.0"))
    assert (await send(ada, "/promotions", **WISH, digest=digest)).status_code == 409
    assert await decided(filled) == []


async def test_what_cannot_pass_is_said_and_not_decided(filled: Services, ada: Browser) -> None:
    for text, sentence in (("clash", "other bytes have this name"), ("nowhere", "nowhere"), ("app >9", "app")):
        wish = WISH | {"text": text}
        looked = await send(ada, **wish)
        assert_valid(looked.text)
        assert (looked.status_code, sentence in looked.text, 'name="digest"' in looked.text) == (200, True, False)
        assert "It cannot pass like this" in looked.text
        assert (await send(ada, "/promotions", **wish)).status_code == 409
    assert await decided(filled) == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": ""}, "Nothing was asked for"),
        ({"text": "x" * 501}, "at most 500"),
        ({"text": "app >>1"}, "app &gt;&gt;1"),
        ({"source": ""}, "Say from which channel"),
        ({"target": ""}, "Say where to promote to"),
        ({"target": "outside"}, "both outside"),
        ({"platforms": "here there"}, "is not a subdir"),
        ({"machine": "cuda=12"}, "__cuda=12.4"),
        ({"comment": "x" * 2_001}, "2,000"),
    ],
)
async def test_what_makes_no_sense_is_said_beside_the_form(ada: Browser, fields: dict[str, str], sentence: str) -> None:
    answer = await send(ada, HERE if "comment" not in fields else "/promotions", **WISH | fields)
    assert_valid(answer.text)
    assert (answer.status_code, sentence in answer.text) == (422, True)


async def test_a_pipeline_says_where_it_goes_and_what_is_skipped(callers: Callers, ada: Browser) -> None:
    assert (await callers.admin.post("/channels", json={"name": "last", "kind": "hosted"})).status_code == 201
    stages = {"name": "lane", "stages": ["outside", "inside", "last"]}
    assert (await callers.admin.post("/pipelines", json=stages)).status_code == 201
    looked = await send(ada, **WISH | {"target": ""})
    assert "outside → inside" in looked.text
    skipped = await send(ada, **WISH | {"target": "last"})
    assert (skipped.status_code, "In pipeline lane" in skipped.text) == (422, True)
    assert "/promotions/new?source=outside&amp;target=inside" in (await ada.get("/pipelines")).text


async def test_it_takes_both_directions(filled: Services) -> None:
    grants = filled.core.access.grants

    async def grant(role: str, channel: str) -> None:
        await grants.add_grant("test", PrincipalKind.USER, "bob", role, Scope(channel))
        await filled.snapshots.reload()

    async with browsing(filled) as bob:
        await bob.sign_in("bob", PASSWORD)
        shown = await bob.get(HERE)
        assert ("You promote nothing by yourself" in shown.text, "outside" in shown.text) == (True, False)
        assert_valid(shown.text)
        await grant("downloader", "inside")
        await grant("approver", "outside")
        for path in (HERE, "/promotions"):
            assert (await send(bob, path, **WISH)).status_code == 403
            assert (await send(bob, path, **WISH | {"source": "nowhere"})).status_code == 403
        assert HERE not in (await bob.get("/promotions")).text
        await grant("approver", "inside")
        assert HERE in (await bob.get("/promotions")).text
        assert digest_in(await send(bob, **WISH))
