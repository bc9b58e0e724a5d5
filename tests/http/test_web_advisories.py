"""Advisories from the pages: brought by hand, named, judged one by one and many at once, listed, and carried on as VEX."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from headgate.bootstrap import Services
from tests.browser.watching import assert_valid
from tests.http.browsing import BASE, SAME_ORIGIN, Browser, browsing, said, send
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package
from tests.unit.advisories.making import osv
from tests.waiting import eventually_async

HARD = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
HERE = "/advisories"


@pytest.fixture
async def known(callers: Callers, services: Services, hosted: str, tmp_path: Path) -> str:
    """A channel with demo 1.0, which CVE-1 and CVE-2 affect; GHSA-3 is of something else."""
    documents = [
        {"demo": ["demo"]},
        [osv("CVE-1", severity=HARD, summary="It fails."), osv("CVE-2"), osv("GHSA-3", "other")],
    ]
    for number, document in enumerate(documents):
        path = tmp_path / f"document-{number}"
        path.write_text(json.dumps(document))
        await services.advisories.feeds.take("test", "pypi", path)
    await services.snapshots.reload()
    filename, content = package(name="demo", version="1.0")
    answer = await callers.admin.post(f"/channels/{hosted}/artifacts?filename={filename}", content=content)
    assert answer.status_code == 201, answer.text
    return hosted


@pytest.fixture
async def ada(services: Services, callers: Callers) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def send_file(browser: Browser, content: bytes, **fields: str) -> httpx.Response:
    proof = {"csrf_token": await browser.proof()}
    return await browser.client.post(
        f"{BASE}{HERE}/import", data=proof | fields, files={"file": ("some.json", content)}, headers=SAME_ORIGIN
    )


async def matters(browser: Browser) -> str:
    """The list of what matters here, once it was worked out."""

    async def found() -> str:
        shown = (await browser.get(HERE)).text
        return shown if "CVE-1" in shown and "being held" not in shown else ""

    return await eventually_async(found)


async def test_a_file_is_sent_as_it_is_and_read_by_a_job(services: Services, ada: Browser) -> None:
    assert_valid((await ada.get(f"{HERE}/import")).text)
    content = json.dumps([osv("CVE-9")]).encode() + b" " * (1 << 20)
    sent = await send_file(ada, content, feed="by-hand", is_whole="on")
    assert sent.status_code == 303, said(sent)
    path = sent.headers["location"]
    assert_valid((await ada.get(path)).text)
    job = await services.jobs.get_job(path.rpartition("/")[2])
    assert (job.kind, job.request["feed"], job.request["is_whole"]) == ("import-advisories", "by-hand", True)
    kept = services.core.store.find(job.request["sha256"])
    assert kept is not None
    assert kept.read_bytes() == content


async def test_a_url_is_followed_under_a_new_or_known_name(services: Services, ada: Browser) -> None:
    feeds = services.advisories.feeds
    for url in ("https://one.example/all.zip", "https://two.example/all.zip"):
        sent = await send(ada, f"{HERE}/import/url", name="ours", url=url, is_whole="on")
        assert sent.headers["location"].startswith(f"{HERE}/imports/"), said(sent)
        assert (await feeds.get_feed("ours")).url == url
    changed = await send(ada, f"{HERE}/feeds/set", name="ours", url="https://three.example/all.zip", minutes="90")
    assert changed.status_code == 303
    feed = await feeds.get_feed("ours")
    assert (feed.url, feed.interval_minutes) == ("https://three.example/all.zip", 90)
    assert (await send(ada, f"{HERE}/feeds/set", name="ours")).status_code == 422


async def test_what_cannot_be_imported_is_said(services: Services, ada: Browser) -> None:
    for answer in (
        await send_file(ada, b"", feed="by-hand"),
        await send(ada, f"{HERE}/import/url", name="Not a name", url="https://one.example/"),
        await send(ada, f"{HERE}/import/url", name="ours", url="https://me:secret@one.example/"),
        await send(ada, f"{HERE}/import/url", name="ours", url=""),
    ):
        assert_valid(answer.text)
        assert (answer.status_code, bool(said(answer))) == (422, True), answer.url
    assert (await send(ada, f"{HERE}/import", feed="x")).status_code == 403
    assert (await ada.get(f"{HERE}/imports/none")).status_code == 404
    forged = await ada.client.post(
        f"{BASE}{HERE}/import", data={"csrf_token": "x"}, files={"file": ("a", b"a")}, headers=SAME_ORIGIN
    )
    late = {"files": [("file", ("a", b"a")), ("csrf_token", (None, await ada.proof()))], "headers": SAME_ORIGIN}
    assert (forged.status_code, (await ada.client.post(f"{BASE}{HERE}/import", **late)).status_code) == (403, 403)  # type: ignore[arg-type]
    assert list(await services.advisories.feeds.list_feeds()) == []


async def test_names_are_set_taken_back_and_filtered(services: Services, ada: Browser, known: str) -> None:
    names = f"{HERE}/names"
    assert (await send(ada, names, name="demo", purls="pkg:pypi/other")).status_code == 303
    shown = await ada.get(f"{names}?q=demo")
    assert_valid(shown.text)
    assert '<s class="text-secondary">pkg:pypi/demo</s>' in shown.text
    assert "pkg:pypi/other" in shown.text
    assert "demo" in (await ada.get(f"{names}?q=by:curated")).text
    wrong = await send(ada, names, name="demo", purls="pkg:conda/demo")
    assert (wrong.status_code, "pkg:pypi/name" in said(wrong)) == (422, True)
    assert (await send(ada, names, name="demo", purls="")).status_code == 303
    assert "none of PyPI" in (await ada.get(f"{names}?q=demo")).text
    assert (await send(ada, f"{names}/unset", name="demo")).status_code == 303
    (one,) = await services.advisories.names.list_names(name="demo")
    assert [str(found.package) for found in one.identities if found.origin == "curated"] == []
    assert (await ada.get(f"{names}?q=by:nobody")).status_code == 422


async def test_ticked_advisories_are_looked_at_then_judged_and_that_is_taken_back(
    services: Services, ada: Browser, known: str
) -> None:
    assert 'name="advisory:CVE-1"' in await matters(ada)
    claim = {"status": "cleared", "justification": "component_not_present", "note": "Not built in.", "which": "ticked"}
    looked = await send(ada, f"{HERE}/judge/preview", **claim, **{"advisory:CVE-1": "on", "advisory:GHSA-3": "on"})
    assert_valid(looked.text)
    assert "Cleared: 2 advisories" in looked.text
    assert "1 of them: 1 file of your channels" in looked.text
    assert await services.advisories.curations.get_many([1]) == []
    ids = re.search(r'name="ids" value="([^"]*)"', looked.text)
    assert ids is not None
    done = await send(ada, f"{HERE}/judge", **claim, ids=ids[1])
    assert done.status_code == 303
    assert "2 advisories are cleared here" in (await ada.get(HERE)).text
    shown = await ada.get(f"{HERE}/judged")
    assert_valid(shown.text)
    assert "Not built in." in shown.text
    assert "/api/v1/curations/openvex" in shown.text
    assert "CVE-1" not in (await ada.get(f"{HERE}/judged?q=is:active")).text
    numbers = re.findall(r'name="curation" value="(\d+)"', shown.text)
    assert (await send(ada, f"{HERE}/judged/end", curation=" ".join(numbers))).status_code == 303
    assert "Nothing is judged yet" in (await ada.get(f"{HERE}/judged")).text


async def test_all_that_fit_a_filter_are_judged(services: Services, ada: Browser, known: str) -> None:
    await matters(ada)
    for of, typed, expected in (
        ("here", "", ["CVE-1", "CVE-2"]), ("here", "severity:critical", ["CVE-1"]), ("all", "", ["CVE-1", "CVE-2", "GHSA-3"]),
    ):  # fmt: skip
        looked = await send(ada, f"{HERE}/judge/preview", status="active", which="all", of=of, q=typed)
        ids = re.search(r'name="ids" value="([^"]*)"', looked.text)
        assert ids is not None, said(looked)
        assert sorted(ids[1].split()) == expected
    for wrong in (
        {"which": "ticked"}, {"which": "all", "q": "no such", "of": "all"}, {"which": "all", "version": "<2"},
        {"which": "all", "status": "fine"}, {"which": "all", "expires": "soon"}, {"which": "all", "score": "high"},
    ):  # fmt: skip
        answer = await send(ada, f"{HERE}/judge/preview", **{"status": "active"} | wrong)
        assert answer.status_code == 422, wrong
    assert (await send(ada, f"{HERE}/judged/end", curation="99")).status_code == 404


async def test_who_may_not_sees_no_form_and_changes_nothing(services: Services, callers: Callers, known: str) -> None:
    made = await callers.admin.post("/roles", json={"name": "looker", "permissions": ["advisory:read"]})
    assert made.status_code == 201, made.text
    granted = {"kind": "user", "principal": "bob", "role": "looker"}
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        pages = ("", "/all", "/judged", "/names", "/feeds")
        assert [(await bob.get(f"{HERE}{page}")).status_code for page in pages] == [403] * len(pages)
        assert (await callers.admin.post("/grants", json=granted)).status_code == 201
        for page in pages:
            shown = await bob.get(f"{HERE}{page}")
            assert_valid(shown.text)
            assert (shown.status_code, 'method="post" action="/advisories' in shown.text) == (200, False), page
        for path in ("judge", "judge/preview", "judged/end", "names", "names/unset", "import/url", "feeds/set"):
            sent = await send(bob, f"{HERE}/{path}", name="demo", ids="CVE-1", status="active", curation="1")
            assert sent.status_code == 403, path
        assert (await send_file(bob, b"[]")).status_code == 403
        assert (await bob.get(f"{HERE}/import")).status_code == 403
