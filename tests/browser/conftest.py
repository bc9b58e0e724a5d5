"""One Chromium and one live server for all tests of a module."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.watching import Visit
from tests.live import LiveServer


# Not for the session: while Playwright runs, its event loop is in the way of every test that needs one of its own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's browser."""
    path = shutil.which("chromium")
    if path is None:
        sentence = "chromium is not installed"
        if "CI" in os.environ:
            pytest.fail(sentence)
        pytest.skip(sentence)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that the tests of a module share: each makes its own channels and users."""
    backups = tmp_path_factory.mktemp("backups")
    variables = {"HEADGATE_BACKUP__FOLDER": str(backups), "HEADGATE_BACKUP__CRON": "30 2 * * *"}
    with LiveServer(tmp_path_factory.mktemp("pages") / "data", env=variables) as server:
        yield server


@pytest.fixture(scope="module")
def api(live: LiveServer) -> Iterator[httpx.Client]:
    """The API of that server, as the administrator: for what a test needs before it looks at a page."""
    headers = {"authorization": f"Bearer {live.token}"}
    with httpx.Client(base_url=f"{live.url}/api/v1", headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def visit(chromium: Browser, live: LiveServer) -> Iterator[Callable[..., Visit]]:
    """Opens windows, signed in as the administrator unless `name` is None; all must have been clean at the end."""
    with ExitStack() as stack:

        def opened(name: str | None = "admin", **options: Any) -> Visit:
            window = stack.enter_context(Visit(chromium, live, **options))
            if name is not None:
                window.sign_in(name)
            return window

        yield opened
