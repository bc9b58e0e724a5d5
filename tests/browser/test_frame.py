"""What every page has: navigation, palette, keys, colours, toasts; and what none has."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from headgate.doors.assets import assets
from tests.browser.watching import PHONE, Visit, assert_valid
from tests.live import LiveServer

Opens = Callable[..., Visit]
_MOST_BYTES = 250_000


def test_pages_are_good_for_everybody(visit: Opens) -> None:
    window = visit(None)
    for path in ("/", "/sign-in", "/search?q=none"):
        window.go(path)
        window.assert_good()
    window.sign_in()
    for path in ("/", "/account", "/device", "/search?q=admin", "/docs"):
        window.go(path)
        window.assert_good()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_in_light_and_dark(visit: Opens, scheme: str) -> None:
    window = visit(color_scheme=scheme, **PHONE)
    for path in ("/", "/account", "/search"):
        window.go(path)
        window.assert_accessible()
        window.assert_fits()
        window.picture(f"phone-{scheme}{path.replace('/', '-')}")
    window.page.get_by_role("button", name="Navigation").click()
    window.page.get_by_role("link", name="Search", exact=True).click()
    assert window.page.url.endswith("/search")


def test_colours_follow_the_system_until_somebody_chooses(visit: Opens) -> None:
    page = visit(color_scheme="dark").go("/")
    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
    page.get_by_role("button", name="Switch between").click()
    page.reload()
    assert page.locator("html").get_attribute("data-bs-theme") == "light"


def test_palette_goes_anywhere_by_keys_alone(visit: Opens) -> None:
    page = visit().go("/account")
    page.keyboard.press("Control+k")
    page.keyboard.type("sear")
    page.locator("#palette-found a", has_text="“sear”").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search")
    assert page.title().startswith("Search")


def test_an_answer_that_comes_late_takes_no_choice_away(visit: Opens) -> None:
    page = visit().go("/account")
    page.keyboard.press("Control+k")
    page.keyboard.type("sear")
    chosen = page.locator("#palette-found a.here")
    page.locator("#palette-found a", has_text="“sear”").wait_for()
    page.keyboard.press("ArrowDown")
    chosen.wait_for()
    chosen.evaluate("(link) => { link.dataset.is = 'of the answer before'; }")
    page.locator("#palette [name=q]").dispatch_event("palette-opened")
    expect(page.locator("#palette-found a.here:not([data-is])")).to_have_count(1)
    page.keyboard.type("c")
    expect(chosen).to_have_count(0)


def test_first_tab_skips_the_navigation(visit: Opens) -> None:
    page = visit().go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_rows_are_walked_with_j_and_k(visit: Opens, live: LiveServer) -> None:
    for name in ("rows-a", "rows-b"):
        assert live.run("channel", "create", name, "--kind", "hosted", "--privacy", "public").returncode == 0
    page = visit(None).go("/")
    first, second, *_ = page.locator("[data-row] a").all_inner_texts()
    for key, here in (("j", first), ("j", second), ("k", first)):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.textContent") == here


def test_search_filters_as_one_types_and_the_address_says_so(visit: Opens, live: LiveServer) -> None:
    assert live.run("channel", "create", "typed-here", "--kind", "hosted").returncode == 0
    page = visit().go("/search")
    page.locator("[data-filter]").fill("typed-h")
    page.get_by_role("link", name="typed-here").wait_for()
    assert page.url.endswith("/search?q=typed-h")


def test_change_is_said_once_in_a_toast(visit: Opens, live: LiveServer) -> None:
    assert live.run("token", "create", "--name", "said-once").returncode == 0
    page = visit().go("/account")
    page.get_by_role("button", name="Revoke said-once").click()
    page.locator("[data-toast]", has_text="Token said-once is revoked.").wait_for()
    page.goto("/account")
    assert page.locator("[data-toast]").count() == 0


def test_error_is_a_page_with_the_way_on(visit: Opens) -> None:
    window = visit()
    window.tolerated.add("404")
    page = window.go("/nothing/here")
    page.get_by_role("heading", name="Not found").wait_for()
    page.get_by_role("navigation", name="Main").wait_for()
    window.assert_accessible()


def test_assets_of_a_page_are_few_and_cached_for_ever(live: LiveServer) -> None:
    with httpx.Client(base_url=live.url, headers={"accept-encoding": "gzip"}) as client:
        text = client.get("/sign-in").text
        assert_valid(text)
        loaded = [one.path for one in assets().values() if one.path in text]
        answers = [client.get(path) for path in loaded]
        assert {one.headers["cache-control"] for one in answers} == {"public, max-age=31536000, immutable"}
        assert {one.headers["content-encoding"] for one in answers} == {"gzip"}
        assert sum(int(one.headers["content-length"]) for one in answers) < _MOST_BYTES
