"""Pages that set how things run: rules of requests, pipelines, feeds, mirrors and whom they must be signed by."""

from collections.abc import AsyncIterator

import pytest

from headgate.bootstrap import Services
from headgate.channels.trusts import Check
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing, said, send
from tests.http.conftest import PASSWORD, Callers

RULES = {"sources": "outer/world", "approvals": "2", "expires_days": "14"}


@pytest.fixture
async def ada(services: Services, callers: Callers, hosted: str, mirror: str) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


@pytest.fixture
async def bob(services: Services, callers: Callers, hosted: str, mirror: str) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("bob", PASSWORD)
        yield browser


async def test_rules_of_requests_are_set_and_said(services: Services, ada: Browser) -> None:
    path = "/channels/team/request-rules"
    ticked = {"is_comment_required": "on", "is_auto": "on", "licenses": "MIT\nBSD-3-Clause\n", "only_checked": "on"}
    assert (await send(ada, path, **RULES, **ticked)).status_code == 303
    rules = await services.request_rules.get(services.catalog.get("team"))
    assert (rules.sources, rules.approvals, rules.expires_days, rules.is_comment_required) == (
        ("outer/world",), 2, 14, True,
    )  # fmt: skip
    assert rules.auto is not None
    assert (rules.auto.licenses, rules.auto.only_patch_releases) == (("MIT", "BSD-3-Clause"), False)
    shown = await ada.get(path)
    assert_valid(shown.text)
    assert "2 approvals" in shown.text
    for wrong in ({"approvals": "0"}, {"approvals": "many"}, {"sources": "nowhere"}):
        answer = await send(ada, path, **RULES | wrong)
        assert answer.status_code in {404, 422}, wrong
        assert said(answer), wrong
    assert (await ada.get("/channels/outer/world/request-rules")).status_code == 409


async def test_a_pipeline_is_made_changed_and_deleted(services: Services, callers: Callers, ada: Browser) -> None:
    for name in ("second", "third"):
        assert (await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})).status_code == 201
    form = {"name": "lane", "stages": "outer/world\nteam", "is_strict": "on"}
    assert (await send(ada, "/pipelines", **form)).status_code == 303
    assert (await send(ada, "/pipelines", name="lane", stages="outer/world team second")).status_code == 303
    (lane,) = await services.core.life.pipelines.list_pipelines()
    assert (list(lane.stages), lane.is_strict) == (["outer/world", "team", "second"], False)
    shown = await ada.get("/pipelines")
    assert_valid(shown.text)
    assert "has all of it" in shown.text
    answer = await send(ada, "/pipelines", name="other", stages="team")
    assert (answer.status_code, bool(said(answer))) == (422, True)
    assert (await send(ada, "/pipelines/delete", name="lane", typed="line")).status_code == 422
    assert (await send(ada, "/pipelines/delete", name="lane", typed="lane")).status_code == 303
    assert (await send(ada, "/pipelines/delete", name="lane", typed="lane")).status_code == 404


async def test_a_feed_is_followed_read_less_often_and_removed(services: Services, ada: Browser) -> None:
    here, feeds = "/advisories/feeds", services.advisories.feeds
    assert (await send(ada, here, name="ours", minutes="60")).status_code == 303
    assert (await send(ada, f"{here}/set", name="ours", minutes="1440")).status_code == 303
    assert (await feeds.get_feed("ours")).interval_minutes == 1440
    shown = await ada.get(here)
    assert_valid(shown.text)
    assert "filled by uploads" in shown.text
    for wrong in (
        {"name": "ours"},
        {"name": "Not a name"},
        {"name": "x", "minutes": "1"},
        {"name": "x", "url": "ftp:x"},
    ):
        answer = await send(ada, here, **wrong)
        assert (answer.status_code, bool(said(answer))) == (422, True), wrong
    assert (await send(ada, f"{here}/remove", name="ours", typed="our")).status_code == 422
    assert (await send(ada, f"{here}/remove", name="ours", typed="ours")).status_code == 303
    assert list(await feeds.list_feeds()) == []


async def test_a_channel_follows_one_mirror_more_and_one_less(services: Services, ada: Browser) -> None:
    here = "/channels/outer/world/mirrors"
    form = {"name": "second", "urls": "https://a.example/main https://b.example/main", "subdirs": "noarch"}
    added = await send(ada, here, **form)
    assert (added.status_code, added.headers.get("location")) == (303, f"{here}/second")
    shown = await ada.get(f"{here}/second")
    assert_valid(shown.text)
    assert "https://a.example/main, then https://b.example/main" in shown.text
    assert_valid((await ada.get(here)).text)
    assert (await send(ada, f"{here}/second/remove", typed="main")).status_code == 422
    assert (await send(ada, f"{here}/second/remove", typed="second")).status_code == 303
    assert [one.name for one in services.catalog.get("outer/world").sources] == ["main"]


async def test_whom_a_mirror_has_to_be_signed_by_is_set(services: Services, ada: Browser) -> None:
    here = "/channels/outer/world/mirrors/main/trust"
    refused = await send(ada, here, content_trust="require", attestations="report", metadata_url="")
    assert refused.status_code == 422  # without a root to begin with
    assert (await send(ada, here, content_trust="off", attestations="sometimes")).status_code == 422
    wish = {"content_trust": "off", "attestations": "require", "metadata_url": "https://keys.example"}
    assert (await send(ada, here, **wish, accept_expired="on")).status_code == 303
    trust = services.catalog.get("outer/world").sources[0].settings.signatures
    assert (trust.attestations, trust.metadata_url, trust.accept_expired) == (
        Check.REQUIRE, "https://keys.example", True,
    )  # fmt: skip


async def test_a_period_of_evidence_is_whole_days(ada: Browser) -> None:
    answer = await ada.get("/audit/evidence?since=2026-01-01&until=2026-01-31")
    assert answer.status_code == 303
    pack = await ada.get(answer.headers["location"])
    assert (pack.status_code, pack.headers["content-type"]) == (200, "application/zip")
    assert "2026-01-31T23%3A59%3A59" in answer.headers["location"]
    assert (await ada.get("/audit/evidence")).headers["location"] == "/api/v1/audit/evidence"
    assert (await ada.get("/audit/evidence?since=soon")).status_code == 422


async def test_who_may_not_changes_nothing(services: Services, bob: Browser) -> None:
    for path in (
        "/channels/team/request-rules", "/advisories/feeds", "/advisories/feeds/remove", "/advisories/feeds/set",
        "/channels/outer/world/mirrors", "/channels/outer/world/mirrors/main/trust",
        "/channels/outer/world/mirrors/main/remove",
    ):  # fmt: skip
        answer = await send(
            bob, path, **RULES, name="main", typed="main", urls="https://x.example", content_trust="off"
        )
        assert answer.status_code == 403, path
    assert (await send(bob, "/pipelines", name="lane", stages="outer/world team")).status_code == 403
    for path in ("/channels/team/request-rules", "/advisories/feeds", "/audit/evidence"):
        assert (await bob.get(path)).status_code == 403, path
    assert [one.name for one in services.catalog.get("outer/world").sources] == ["main"]
    assert await services.core.life.pipelines.list_pipelines() == []
