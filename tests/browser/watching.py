"""A page in Chromium that is watched: what it logs, asks of other hosts, and whether everybody can use it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import html5lib
import pytest
from html5lib.html5parser import ParseError
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tests.live import PASSWORD, LiveServer

HERE = Path(__file__).resolve().parent
PHONE: Mapping[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
_SERIOUS = {"serious", "critical"}
# With no colour still on its way; and from the top, for a link half under the bar of a scrolled page counts as a small one. The
# last thing of all, since a field that was filled is scrolled to when the page is drawn next.
_RUN_AXE = """async () => {
    const ending = document.getAnimations().filter(one => Number.isFinite(one.effect.getComputedTiming().endTime));
    await Promise.allSettled(ending.map(one => one.finished));
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    scrollTo({top: 0, behavior: "instant"});
    return axe.run(document, {resultTypes: ["violations"],
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}); }"""


def axe_script() -> str:
    """The text of axe-core."""
    folder = Path(os.environ.get("HEADGATE_AXE", HERE))
    path = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        sentence = f"axe-core is not installed: `npm ci` in tests/{HERE.name}, or name a folder in HEADGATE_AXE"
        if "CI" in os.environ:
            pytest.fail(sentence)
        pytest.skip(sentence)
    return path.read_text(encoding="utf-8")


class Visit:
    """A window of somebody's browser at a server; at its end it must have been clean.

    with Visit(browser, server) as visit:
        visit.sign_in()
        visit.go("/search?q=numpy")
        visit.assert_good()
    """

    def __init__(self, browser: Browser, server: LiveServer, **options: Any) -> None:
        self._browser, self._server, self._options = browser, server, options
        self.complaints: list[str] = []
        """What the console said, and requests to elsewhere."""
        self.tolerated: set[str] = set()
        """Parts of complaints that a test provokes."""

    def __enter__(self) -> Self:
        self.context: BrowserContext = self._browser.new_context(base_url=self._server.url, **self._options)
        self.context.set_default_timeout(10_000)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._asked)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self.context.close()
        if kind is None:
            self.assert_quiet()

    def sign_in(self, name: str = "admin", password: str = PASSWORD) -> None:
        """Through the page."""
        self.page.goto("/sign-in")
        self.page.fill("#name", name)
        self.page.fill("#password", password)
        self.page.press("#password", "Enter")
        self.page.wait_for_url(lambda url: "/sign-in" not in url)

    def go(self, path: str) -> Page:
        """One page."""
        self.page.goto(path)
        return self.page

    def assert_good(self) -> None:
        """The page that is shown has valid HTML, no serious fault for those with a keyboard or screen reader, no complaint."""
        self.assert_accessible()
        assert_valid(self.page.request.get(self.page.url).text())
        self.assert_quiet()

    def assert_accessible(self) -> None:
        """axe-core finds nothing serious. It is run by the browser's own hand, beside the page's policy."""
        self.page.evaluate(axe_script())
        found = self.page.evaluate(_RUN_AXE)["violations"]
        serious = [
            f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in _SERIOUS
        ]
        assert serious == [], f"{self.page.url}: {serious}"

    def assert_quiet(self) -> None:
        """Nothing was complained of."""
        left = [one for one in self.complaints if not any(part in one for part in self.tolerated)]
        assert left == [], left

    def assert_fits(self) -> None:
        """Nothing is wider than the window."""
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], f"{self.page.url} is {width[0]} wide in a window of {width[1]}"

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page in the folder that HEADGATE_PICTURES names, if it names one."""
        if folder := os.environ.get("HEADGATE_PICTURES"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != urlsplit(self._server.url).netloc:
            self.complaints.append(f"asked {request.url}")


def assert_valid(text: str) -> None:
    """The HTML has no parse error (HTML Living Standard, 13.2)."""
    try:
        html5lib.HTMLParser(strict=True).parse(text)
    except ParseError as error:
        parser = html5lib.HTMLParser()
        parser.parse(text)
        raise AssertionError(f"the HTML is not valid: {parser.errors[:3]}") from error
