"""A browser, as far as signing in needs one: cookies, redirects, forms."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html import unescape
from urllib.parse import urlsplit

import httpx

from headgate.asgi import Application
from headgate.bootstrap import Services

BASE = "http://headgate.test"
SAME_ORIGIN = {"sec-fetch-site": "same-origin", "origin": BASE}


class Browser:
    """Goes from page to page, at Headgate and at identity providers."""

    def __init__(self, client: httpx.AsyncClient, base: str = BASE) -> None:
        self.client = client
        self.base = base

    async def get(self, path: str) -> httpx.Response:
        """One page, whatever it is; redirects are not followed."""
        return await self.client.get(self._url(path))

    async def post(self, path: str, headers: Mapping[str, str] | None = None, /, **fields: str) -> httpx.Response:
        """Send a form, as a page of Headgate does."""
        sent = SAME_ORIGIN if headers is None else headers
        return await self.client.post(self._url(path), data=fields, headers=sent)

    async def follow(self, answer: httpx.Response, who: str = "id-ada", *, until: str | None = None) -> httpx.Response:
        """Follow redirects, saying at the provider who it is; stop before the path `until`."""
        for _ in range(20):
            if not answer.has_redirect_location:
                return answer
            url = httpx.URL(answer.headers["location"]) if "://" in answer.headers["location"] else None
            url = url or answer.url.join(answer.headers["location"])
            if until is not None and url.path == until:
                return answer
            if url.path.startswith("/login/"):
                url = url.copy_merge_params({"as": who} if who else {"refuse": "1"})
            answer = await self.client.get(url)
        raise AssertionError("too many redirects")

    async def sign_in(self, name: str, password: str) -> httpx.Response:
        """With a password."""
        return await self.post("/sign-in", name=name, password=password)

    async def visit_provider(self, provider: str, who: str = "id-ada") -> httpx.Response:
        """Sign in with a provider; the page that one ends at."""
        return await self.follow(await self.get(f"/oidc/{provider}/sign-in"), who)

    async def come_back(self, provider: str, who: str = "id-ada") -> str:
        """The same, but stop where the provider sends the browser back: that URL."""
        answer = await self.follow(await self.get(f"/oidc/{provider}/sign-in"), who, until=f"/oidc/{provider}/callback")
        return str(answer.headers["location"])

    async def proof(self) -> str:
        """The csrf_token of the account page."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', (await self.get("/account")).text)
        assert found, "nobody is signed in"
        return found[1]

    async def name(self) -> str | None:
        """Who is signed in."""
        answer = await self.get("/api/v1/me")
        return str(answer.json()["name"]) if answer.status_code == 200 else None

    def leave_provider(self) -> None:
        """Forget that a provider knows this browser."""
        for cookie in [one for one in self.client.cookies.jar if one.domain != httpx.URL(self.base).host]:
            self.client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)

    def _url(self, path: str) -> str:
        return path if "://" in path else f"{self.base}{path}"


async def send(browser: Browser, path: str, **fields: str) -> httpx.Response:
    """Send a form with the proof that a page of ours showed it."""
    return await browser.post(path, csrf_token=await browser.proof(), **fields)


@asynccontextmanager
async def browsing(services: Services, base: str = BASE) -> AsyncIterator[Browser]:
    """A browser of its own, in front of Headgate's application; the rest of the web is real."""
    app = Application(services)
    mounts = {f"all://{urlsplit(base).hostname}": httpx.ASGITransport(app, client=("203.0.113.7", 1))}  # type: ignore[arg-type]
    async with httpx.AsyncClient(mounts=mounts, headers={"user-agent": "test browser"}) as client:
        yield Browser(client, base)


def said(answer: httpx.Response) -> str:
    """The sentence in which a page says what is wrong."""
    found = re.search(r'class="said wrong" role="alert">([^<]*)<', answer.text)
    return unescape(found[1]) if found else ""
