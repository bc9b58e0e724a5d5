"""Asking for packages and deciding on it, through the pages alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.watching import PHONE, Visit
from tests.live import PASSWORD, LiveServer
from tests.packages import package
from tests.waiting import eventually

Opens = Callable[..., Visit]

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def feeds(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> LiveServer:
    """Packages in `outside`; dan may ask for them in `inside`, and the administrator decides."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ("outside", "inside"):
        live.json("channel", "create", name, "--kind", "hosted", "--privacy", "private")
    live.json("user", "create", "dan", "--password", PASSWORD, "--no-must-change")
    live.json("grant", "add", "--user", "dan", "--role", "downloader", "--channel", "inside")
    live.json("request", "rules", "set", "inside", "--source", "outside")
    for name, version, depends in [
        ("lib", "1.0", []), ("lib", "2.0", []), ("app", "1.0", ["lib"]), *((f"thing{n}", "1.0", []) for n in range(8)),
    ]:  # fmt: skip
        filename, body = package(name, version, subdir="linux-64", depends=depends, license="MIT")
        (folder / filename).write_bytes(body)
    live.json("upload", "outside", *folder.iterdir())
    document = folder / "policy.json"
    document.write_text(
        '{"name": "no-old", "rule": [{"kind": "match-spec", "exclude": ["lib <2"], "action": "block"}]}'
    )
    live.json("policy", "apply", str(document))
    live.json("policy", "attach", "no-old", "--channel", "inside")
    return live


def ask(server: LiveServer, *wants: str) -> int:
    """A request of dan's; its number."""
    wish = {"wants": wants, "target": "inside", "platforms": ["linux-64"], "comment": "needed"}
    made = httpx.post(f"{server.url}/api/v1/requests", json=wish, auth=("dan", PASSWORD))
    assert made.status_code == 201, made.text
    number: int = made.json()["id"]
    return number


def state(server: LiveServer, number: int) -> Any:
    shown = httpx.get(f"{server.url}/api/v1/requests/{number}", auth=("dan", PASSWORD))
    return shown.json()["state"]


def test_what_is_pasted_is_answered_at_once_and_asked_for(visit: Opens, feeds: LiveServer) -> None:
    window = visit("dan")
    page = window.go("/requests/new")
    window.assert_good()
    page.get_by_label("Platforms").fill("linux-64")
    page.get_by_label("Wanted").fill("app\nlib=1\nabsent")
    answer = page.locator("#answer")
    expect(answer.get_by_role("row", name="app Waits")).to_be_visible()
    expect(answer.get_by_text("Version 2.0 would pass.")).to_be_visible()
    expect(answer.get_by_text("Not published")).to_be_visible()
    expect(answer.get_by_text("no-old, match-spec").first).to_be_visible()
    window.assert_accessible()
    window.picture("request-wizard-light")
    page.get_by_label("Wanted").fill("app")
    expect(answer.get_by_text("Not published")).not_to_be_visible()
    page.get_by_label("Why").fill(f"For {SCRIPT}")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_url("**/requests/*")
    expect(page.locator("[data-toast]")).to_contain_text("is requested")
    expect(page.get_by_text(f"For {SCRIPT}").first).to_be_visible()
    expect(page.get_by_text("You asked for it: others decide.")).to_be_visible()
    window.assert_good()


def test_a_file_is_taken_and_what_is_malformed_named_with_its_line(
    visit: Opens, feeds: LiveServer, tmp_path: Path
) -> None:
    page = visit("dan").go("/requests/new")
    page.get_by_label("Platforms").fill("linux-64")
    file = tmp_path / "environment.yml"
    file.write_text("dependencies:\n- thing7\n- pip:\n  - requests\n")
    page.get_by_label("Or choose one").set_input_files(file)
    expect(page.locator("#answer").get_by_role("row", name="thing7 Waits")).to_be_visible()
    page.get_by_text("1 thing of it cannot pass").click()
    expect(page.get_by_text("pip installs requests")).to_be_visible()
    page.get_by_label("Wanted").fill("dependencies:\n- thing7 >>1\n")
    expect(page.locator("#answer").get_by_text("Line 2 of the environment")).to_be_visible()


def test_the_inbox_is_worked_by_keys_alone(visit: Opens, feeds: LiveServer) -> None:
    first, second, third = (ask(feeds, name) for name in ("thing0", "thing1", "thing2"))
    window = visit()
    page = window.go("/requests?q=thing")
    expect(page.get_by_role("heading", name=f"Request {first}: thing0")).to_be_visible()
    page.get_by_role("button", name="Approve a", exact=True).wait_for()
    window.assert_good()
    page.locator("body").press("j")
    expect(page.get_by_role("heading", name=f"Request {second}: thing1")).to_be_visible()
    page.get_by_role("button", name="Approve a", exact=True).wait_for()
    page.keyboard.press("a")
    expect(page.locator("[data-toast]")).to_contain_text(f"Request {second} is approved")
    assert eventually(lambda: state(feeds, second) == "applied", 30)
    page.goto(f"/requests/{first}")
    page.get_by_role("button", name="Reject r").wait_for()
    page.keyboard.press("r")
    page.get_by_label("Why not").fill("Use lib")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text(f"Request {first} is rejected")
    page.goto(f"/requests/{third}?q=thing2")
    page.get_by_role("button", name="Approve a", exact=True).wait_for()
    page.locator("body").press("x")
    page.keyboard.press("a")
    expect(page.locator("[data-toast]")).to_contain_text(f"Approved: {third}.")
    assert (state(feeds, first), state(feeds, third)) in {("rejected", "approved"), ("rejected", "applied")}


def test_signing_in_searching_and_approving_take_the_keyboard_alone(visit: Opens, feeds: LiveServer) -> None:
    number = ask(feeds, "thing7")
    page = visit(None).go("/sign-in")
    keys = page.keyboard
    focused = page.locator(":focus")
    sign_in_by_keys(page)
    keys.press("Control+k")
    expect(page.locator("#palette [name=q][data-htmx-powered]")).to_be_focused()
    keys.type("requests")
    expect(page.locator("#palette-found a").first).to_contain_text("Requests")
    keys.press("ArrowDown")
    keys.press("Enter")
    page.wait_for_url("**/requests")
    keys.press("/")
    expect(focused).to_have_attribute("name", "q")
    keys.type("thing7")
    page.wait_for_url("**/requests?q=thing7")
    expect(page.locator("[data-list] [data-row]")).to_have_count(1)
    keys.press("Tab")
    while page.evaluate("document.activeElement.matches('input, textarea, select')"):
        keys.press("Tab")
    keys.press("j")
    expect(page.get_by_role("heading", name=f"Request {number}: thing7")).to_be_visible()
    page.get_by_role("button", name="Approve a", exact=True).wait_for()
    keys.press("a")
    expect(page.locator("[data-toast]")).to_contain_text(f"Request {number} is approved")
    assert eventually(lambda: state(feeds, number) == "applied", 30)


def sign_in_by_keys(page: Page) -> None:
    walk(page, "Name")
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account")


def walk(page: Page, label: str) -> None:
    """Press Tab until that field has the focus."""
    for _ in range(20):
        if page.get_by_label(label, exact=True).evaluate("field => field === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {label}")


def test_a_part_is_approved(visit: Opens, feeds: LiveServer) -> None:
    number = ask(feeds, "lib=2", "lib=1")
    window = visit()
    page = window.go(f"/requests/{number}")
    page.get_by_label("Leave out lib=1").check()
    approve = page.get_by_role("button", name="Approve the rest a")
    expect(approve).to_be_enabled()
    page.get_by_label("Why not lib=1").fill("It is old")
    page.evaluate("scrollTo(0, 0)")  # what the head of the page covers is no target
    window.assert_good()
    window.picture("request-part")
    approve.click()
    expect(page.locator("[data-toast]")).to_contain_text("What was left out is request")
    page.goto(f"/requests/{number}")
    expect(page.get_by_text("(It is old), which is")).to_be_visible()
    page.get_by_role("link", name=f"request {number + 1}").click()
    expect(page.get_by_role("heading", name=f"Request {number + 1}: lib=1")).to_be_visible()
    window.picture("request-rest")


def test_a_decision_on_facts_that_changed_is_refused(visit: Opens, feeds: LiveServer, tmp_path: Path) -> None:
    number = ask(feeds, "thing3")
    window = visit()
    page = window.go(f"/requests/{number}")
    page.get_by_role("button", name="Approve a", exact=True).wait_for()
    filename, body = package("thing3", "2.0", subdir="linux-64")
    (tmp_path / filename).write_bytes(body)
    feeds.json("upload", "outside", tmp_path / filename)
    window.tolerated.add("409")
    page.get_by_role("button", name="Approve a", exact=True).click()
    expect(page.get_by_text("changed since you looked")).to_be_visible()
    page.goto(f"/requests/{number}")
    page.get_by_role("button", name="Ask for changes c").click()
    page.get_by_label("What should be otherwise").fill("Which version?")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text("went back")
    assert state(feeds, number) == "changes-wanted"
    own = visit("dan").go(f"/requests/{number}")
    expect(own.get_by_text("Which version?")).to_be_visible()
    own.get_by_role("button", name="Ask with it").click()
    expect(own.locator("[data-toast]")).to_contain_text("is requested")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_deciding_fits_a_phone_in_light_and_dark(visit: Opens, feeds: LiveServer, scheme: str) -> None:
    number = ask(feeds, "thing4" if scheme == "light" else "thing5", "lib=1", "absent")
    for name, options in (("phone", PHONE), ("desk", {"viewport": {"width": 1280, "height": 900}})):
        window = visit(color_scheme=scheme, **options)
        for path in ("/requests", f"/requests/{number}", "/requests/waiting", "/requests/new?want=app&target=inside"):
            page = window.go(path)
            page.wait_for_load_state("networkidle")
            window.assert_accessible()
            window.assert_fits()
            window.picture(f"{name}-{scheme}{path.partition('?')[0].replace('/', '-')}")


def test_who_may_not_see_a_request_is_not_shown_one(visit: Opens, feeds: LiveServer) -> None:
    number = ask(feeds, "thing6")
    feeds.json("user", "create", "eve", "--password", PASSWORD, "--no-must-change")
    window = visit("eve")
    window.tolerated.add("404")
    page = window.go(f"/requests/{number}")
    expect(page.get_by_text(f"There is no request {number}.")).to_be_visible()
    expect(window.go("/requests").get_by_text("No requests here")).to_be_visible()
