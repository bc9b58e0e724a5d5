"""The whole site: every page that an administrator can walk to, filled with text that means harm; and every form, forged."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element

import html5lib
import httpx
import pytest

from headgate.bootstrap import Services
from headgate.channels.search_cards import CardWriter
from headgate.doors.pages import PAGE_HEADERS
from headgate.doors.web.app import ROUTES
from tests.http.browsing import BASE, SAME_ORIGIN, Browser, browsing
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
ABOUT = {
    "summary": EVIL,
    "description": f"{EVIL}\n[a](javascript:alert(3))",
    "home": "javascript:alert(4)",
    "dev_url": f"https://example.org/{EVIL}",
    "doc_url": ["javascript:alert(5)", "data:text/html,<script>alert(6)</script>"],
}
_LOADED = {"script": "src", "link": "href", "img": "src", "form": "action", "iframe": "src", "object": "data"}
_ASKED = ("formaction", "data-hx-get", "data-hx-post", "data-events", "data-plot-module", "data-plot-library")
_DIRECTIVES = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "frame-ancestors": "'none'"}
# Sign-ins begin without a session: they are held to their origin; a provider signs what it sends.
_BEFORE_SIGN_IN = {"/sign-in", "/sign-in/password", "/oidc/{name}/back-channel-logout"}


@pytest.fixture
async def ada(services: Services, callers: Callers) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        browser.client.headers.update({"user-agent": EVIL, "accept": "text/html"})
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def make(client: httpx.AsyncClient, path: str, **body: Any) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status_code in {200, 201, 202}, (path, answer.text)
    return answer.json()


@pytest.fixture
async def hostile(services: Services, callers: Callers, hosted: str, mirror: str) -> str:
    """A site on which everybody who may write something has written what means harm."""
    admin = callers.admin
    changed = await admin.patch(f"/channels/{hosted}", json={"settings": {"description": EVIL}})
    assert changed.status_code == 200, changed.text
    for version in ("1.0", "2.0"):
        filename, body = package("evil", version, license=EVIL, depends=[f"tool {EVIL}", EVIL], about=ABOUT)
        sent = await admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text
    await make(admin, "/channels", name="second", kind="hosted")
    await make(admin, "/pipelines", name="lane", stages=[hosted, "second"])
    await make(admin, "/groups", name="<script>alert(8)<script>")
    await make(admin, "/tokens", name=EVIL)
    await make(admin, f"/channels/{hosted}/packages/evil/deprecations", spec="evil <2", reason=EVIL)
    await make(admin, "/exemptions", kind="spec", target="evil", reason=EVIL, channel=hosted)
    await make(admin, "/incidents", target="other >=2", reason=EVIL)
    rule = {"kind": "match-spec", "exclude": ["evil >=2"], "action": "block"}
    await make(admin, "/policies", document={"name": "hard", "description": EVIL, "rule": [rule]})
    await make(admin, "/policies/hard/attachments", channel="second")
    await make(callers.admin, "/requests", wants=["evil"], source=hosted, target="second", comment=EVIL)
    await make(admin, "/ldap-directories", name="corp", urls=["ldaps://127.0.0.1:9"], user_base=EVIL)
    await make(admin, "/oidc-providers", name="sso", issuer="https://sso.example", client_id=EVIL, groups={EVIL: "lab"})
    await make(admin, "/curations", advisory="CVE-1", status="cleared", name="evil", note=EVIL)
    await make(admin, f"/channels/{hosted}/freeze", comment=EVIL)
    await services.snapshots.reload()
    await CardWriter(services.core.database).catch_up()
    return hosted


def parsed(answer: httpx.Response) -> Element:
    """The page, which must be valid HTML (Living Standard, 13.2)."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    try:
        found: Element = parser.parse(answer.text)
    except html5lib.html5parser.ParseError as error:
        raise AssertionError(f"{answer.url}: {error}, at {parser.tokenizer.stream.position()}") from error
    return found


def assert_shut(answer: httpx.Response) -> None:
    """The policy holds, and nobody frames it."""
    where = str(answer.url)
    assert {name: answer.headers.get(name) for name in PAGE_HEADERS} == PAGE_HEADERS, where
    policy = dict(one.strip().split(" ", 1) for one in answer.headers["content-security-policy"].split(";"))
    assert policy | _DIRECTIVES == policy, where
    assert "unsafe" not in answer.headers["content-security-policy"], where


def assert_inert(page: Element, where: str) -> None:
    """Nothing runs that stands in the page, and nothing is loaded from elsewhere."""
    for one in page.iter():
        tag, attributes = str(one.tag), one.attrib
        assert tag not in {"style", "base", "iframe", "object", "embed"}, where
        assert tag != "script" or (attributes.get("src") and not (one.text or "").strip()), where
        bad = [name for name in attributes if name.lower().startswith("on") or name in {"style", "srcdoc"}]
        assert bad == [], (where, tag, bad)
        loaded = [attributes.get(_LOADED[tag], "")] if tag in _LOADED else []
        for address in [*loaded, *(attributes.get(name, "") for name in _ASKED)]:
            assert not address or (address.startswith("/") and not address.startswith("//")), (where, address)
        address = attributes.get("href", "").removeprefix(BASE)
        if tag == "a" and (urlsplit(address).scheme or address.startswith("//")):
            assert urlsplit(address).scheme in {"http", "https"}, (where, address)
            assert "noopener" in attributes.get("rel", ""), (where, address)


def assert_told(page: Element, where: str) -> None:
    """It has a title and one heading of the first rank, in a language."""
    assert page.get("lang") == "en", where
    assert [bool((one.text or "").strip()) for one in page.iter("title")] == [True], where
    assert len(list(page.iter("h1"))) == 1, where


def ways_on(page: Element) -> Iterator[str]:
    """Where links and parts lead to on this site."""
    for one in page.iter():
        for name in ("href", "data-hx-get"):
            address = one.get(name, "")
            if address.startswith("/") and one.tag != "link" and not re.match("/(api|assets|conda|t)/", address):
                yield address.partition("#")[0]


async def test_every_page_is_valid_shut_inert_and_told(ada: Browser, hostile: str) -> None:
    file = f"/files/{hostile}/noarch/evil-2.0-0.conda"
    found = dict.fromkeys([
        "/", f"/search?q={quote(EVIL)}", "/search?q=evil", file, f"{file}?part=inside", f"{file}?part=record",
        f"/packages/{hostile}/evil", "/requests?q=is:all", "/requests/new?want=evil", "/admin/users/bob", "/account",
    ])  # fmt: skip
    seen: dict[str, int] = {}
    shown = 0
    while waiting := [one for one in found if one not in seen]:
        path = waiting[0]
        answer = await ada.get(path)
        seen[path] = answer.status_code
        if answer.has_redirect_location:
            found[answer.headers["location"]] = None
            continue
        # What a package says it depends on need not be there; signing has no root yet.
        expected = {200, 404} if path.startswith("/packages/") else {200, 409}
        assert answer.status_code in expected, (path, answer.text[-300:])
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        assert_shut(answer)
        if "<html" not in answer.text:
            continue
        page = parsed(answer)
        assert_inert(page, path)
        assert_told(page, path)
        shown += EVIL in "".join(page.itertext())
        # Filters and pages of lists lead to the same page again and again.
        found |= dict.fromkeys(one for one in ways_on(page) if _is_new(one, seen))
    assert len(seen) > 60, sorted(seen)
    assert shown > 10, "what means harm is shown where somebody wrote it"


def _is_new(address: str, seen: dict[str, int]) -> bool:
    """Whether no more than three pages of that path were seen."""
    path = re.sub(r"/\d+", "/N", address.partition("?")[0])
    return sum(re.sub(r"/\d+", "/N", one.partition("?")[0]) == path for one in seen) < 3


async def test_pages_of_what_went_wrong_are_as_shut(services: Services, ada: Browser, hostile: str) -> None:
    async with browsing(services) as nobody, browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        answers = [
            await nobody.get("/sign-in"),
            await nobody.get(f"/packages/{hostile}/evil"),
            await bob.get(f"/packages/{hostile}/evil"),
            await ada.get(f"/packages/{hostile}/{quote(EVIL, safe='')}"),
            await ada.get(f"/{quote(EVIL, safe='')}"),
            await ada.get("/audit?q=since:" + quote(EVIL)),
            await nobody.post("/sign-in", name=EVIL, password=EVIL),
            await ada.post("/account/tokens", csrf_token=await ada.proof(), name=EVIL, days=EVIL),
            await ada.post("/account/tokens", csrf_token=EVIL),
        ]
    for answer in answers:
        if answer.has_redirect_location:
            continue
        assert answer.status_code in {200, 400, 403, 404, 422, 503}, (answer.url, answer.status_code)
        assert_shut(answer)
        page = parsed(answer)
        assert_inert(page, str(answer.url))
        assert_told(page, str(answer.url))


async def test_no_form_is_taken_from_elsewhere(ada: Browser, hostile: str) -> None:
    proof = await ada.proof()
    posts = [route for route in ROUTES if "POST" in (route.methods or ())]
    assert len(posts) > 60
    for route in posts:
        path = re.sub(r"\{channel:path\}", hostile, route.path)
        path = re.sub(r"\{\w+(:int)?\}", "1", path)
        elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
        tries = {"from elsewhere": await ada.post(path, elsewhere, csrf_token=proof)}
        if route.path not in _BEFORE_SIGN_IN:
            tries["without proof"] = await ada.post(path, SAME_ORIGIN)
            tries["with another's proof"] = await ada.post(path, SAME_ORIGIN, csrf_token="0" * len(proof))
        if route.path == "/oidc/{name}/back-channel-logout":
            assert tries["from elsewhere"].status_code in {400, 404}, path
            continue
        for how, answer in tries.items():
            assert answer.status_code == 403, (path, how, answer.status_code)
            assert answer.headers["x-frame-options"] == "DENY", (path, how)
    assert await ada.name() == "ada"


async def test_what_changes_something_is_no_link(ada: Browser, hostile: str) -> None:
    """A GET of what only takes a POST does nothing: it is not found, or shows a page."""
    events = (await ada.get("/api/v1/audit/events?limit=1")).json()["items"][0]["number"]
    for route in ROUTES:
        if "POST" in (route.methods or ()):
            path = re.sub(r"\{\w+(:int)?\}", "1", re.sub(r"\{channel:path\}", hostile, route.path))
            assert (await ada.get(path)).status_code < 500, path
    assert (await ada.get("/api/v1/audit/events?limit=1")).json()["items"][0]["number"] == events
