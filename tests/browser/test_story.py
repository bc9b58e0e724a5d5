"""Two feeds, from nothing to an installed package, by people who know the pages alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.watching import Visit
from tests.clients.conftest import Rattler
from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import FolderServer, write_channel
from tests.waiting import eventually

Opens = Callable[..., Visit]
FIRST, OWN = "first password of theirs", "one that they chose themselves"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderServer]:
    """A channel elsewhere."""
    root = tmp_path_factory.mktemp("upstream")
    write_channel(root, [("noarch", *package("app", noarch="generic")), ("noarch", *package("lib", noarch="generic"))])
    with FolderServer(root) as server:
        yield server


def make_two_feeds(page: Page, upstream: str) -> None:
    page.goto("/")
    page.get_by_role("link", name="Channels", exact=True).click()
    page.get_by_role("link", name="New channel").first.click()
    page.get_by_role("link", name="Two feeds").click()
    page.get_by_label("Unapproved feed").fill("outer")
    page.get_by_label("Approved feed", exact=True).fill("inner")
    page.get_by_label("Channel to follow").fill(upstream)
    page.get_by_role("button", name="Make both").click()
    expect(page.get_by_role("heading", name="inner", level=1)).to_be_visible()


def add_user(page: Page, name: str) -> None:
    page.get_by_role("link", name="Administration").click()
    page.get_by_text("Add a user").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("First password").fill(FIRST)
    page.get_by_role("button", name="Add the user").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def grant(page: Page, name: str, role: str, channel: str) -> None:
    page.get_by_role("link", name="Grants", exact=True).click()
    page.get_by_label("To", exact=True).select_option(label=name)
    page.get_by_label("Role", exact=True).select_option(role)
    page.get_by_label("On channel").fill(channel)
    where = f"on {channel}" if channel else "everywhere"
    page.get_by_role("button", name="Grant", exact=True).click()
    expect(page.locator("[data-toast]", has_text=f"{role} granted to user {name} {where}")).to_be_visible()


def enter(window: Visit, name: str) -> Page:
    """Sign in for the first time: the password has to be changed."""
    window.tolerated.add("403")
    page = window.go("/")
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(FIRST)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Password until now").fill(FIRST)
    page.get_by_label("New password", exact=True).fill(OWN)
    page.get_by_label("New password, again").fill(OWN)
    page.get_by_role("button", name="Change it and sign in").click()
    expect(page.get_by_role("heading", name="What waits")).to_be_visible()
    return page


def make_token(page: Page) -> str:
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("link", name="Your account").click()
    page.get_by_text("Make a token").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make the token").click()
    text: str = page.get_by_role("status").locator("code").first.inner_text()
    return text


def ask(page: Page, want: str, why: str) -> None:
    page.get_by_role("link", name="Requests").click()
    page.get_by_role("link", name="Ask for packages").first.click()
    page.get_by_label("Wanted").fill(want)
    expect(page.locator("#answer").get_by_role("row", name=f"{want} Waits")).to_be_visible(timeout=30_000)
    page.get_by_label("Why").fill(why)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("[data-toast]")).to_contain_text("is requested")


def test_two_feeds_from_nothing_to_an_installed_package(
    visit: Opens, live: LiveServer, upstream: FolderServer, tmp_path: Path
) -> None:
    page = visit().page
    make_two_feeds(page, upstream.url)
    for name in ("dora", "anton"):
        add_user(page, name)
    for name, role, channel in [("dora", "downloader", "inner"), ("anton", "approver", "")]:
        grant(page, name, role, channel)
    developer = visit(None)
    page = enter(developer, "dora")
    token = make_token(page)
    developer.assert_good()
    developer.picture("story-token")
    ask(page, "app", "For the report")
    page = enter(visit(None), "anton")
    page.get_by_role("link", name="Decide: app into inner").click()
    expect(page.get_by_text("For the report").first).to_be_visible()
    page.get_by_role("button", name="Approve a", exact=True).click()
    expect(page.locator("[data-toast]")).to_contain_text("is approved")
    assert eventually(lambda: developer.go("/requests?q=is:mine").get_by_text("applied").count() > 0, 30)
    developer.picture("story-applied")
    client, url = Rattler(tmp_path / "client"), f"{live.url}/conda/inner"
    assert client.try_install(url, ["app"]).returncode == 1
    assert client.install(url, ["app"], auth={"127.0.0.1": {"BearerToken": token}}) == ["app-1.0-0.conda"]
