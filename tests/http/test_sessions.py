"""Sessions through every door: cookies, forged requests, redirects, and what the account page does."""

from collections.abc import AsyncIterator

import httpx
import pytest

from headgate.access.sessions import Beginning
from headgate.access.users import UserChange
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind, Privacy
from headgate.conda.names import ChannelName
from tests.http.browsing import BASE, SAME_ORIGIN, Browser, browsing, said

PASSWORD = "correct horse battery"
NEW_PASSWORD = "quite another passphrase"


@pytest.fixture
async def browser(services: Services) -> AsyncIterator[Browser]:
    await services.core.access.create_user("test", "ada", PASSWORD, is_administrator=True)
    await services.core.access.create_user("test", "bob", PASSWORD, is_administrator=False)
    await services.snapshots.reload()
    async with browsing(services) as browser:
        yield browser


@pytest.fixture
async def ada(browser: Browser) -> Browser:
    """Signed in."""
    assert (await browser.sign_in("ada", PASSWORD)).status_code == 303
    return browser


# The cookie.


async def test_cookie_over_http(browser: Browser) -> None:
    answer = await browser.sign_in("ada", PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    value, *flags = answer.headers["set-cookie"].split("; ")
    assert value.startswith("headgate=")
    assert sorted(flags) == ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax"]


async def test_cookie_over_https(services: Services, browser: Browser) -> None:
    object.__setattr__(services.cookies, "configured", "https://headgate.test")
    async with browsing(services, "https://headgate.test") as secure:
        headers = {"sec-fetch-site": "same-origin"}
        answer = await secure.post("/sign-in", headers, name="ada", password=PASSWORD)
        value, *flags = answer.headers["set-cookie"].split("; ")
        assert value.startswith("__Host-headgate=")
        assert sorted(flags) == ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax", "Secure"]
        assert await secure.name() == "ada"
        text = secure.client.cookies["__Host-headgate"]
        secure.client.cookies.clear()
        secure.client.cookies.set("headgate", text, "headgate.test")  # which a page in plain http could have set
        assert await secure.name() is None


async def test_sign_in_takes_no_id_that_was_there_before(services: Services, browser: Browser) -> None:
    planted = await services.core.sessions.begin("bob", Beginning("192.0.2.1", "somebody"))
    await services.snapshots.reload()
    browser.client.cookies.set("headgate", planted, "headgate.test")
    await browser.sign_in("ada", PASSWORD)
    assert browser.client.cookies["headgate"] != planted
    assert await services.core.sessions.list_sessions("bob") == []  # the one this browser had is over
    assert await browser.name() == "ada"


async def test_stale_cookie_is_as_good_as_none(services: Services, browser: Browser) -> None:
    await services.core.channels.create("test", ChannelName("open"), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await services.snapshots.reload()
    browser.client.cookies.set("headgate", "of long ago", "headgate.test")
    assert (await browser.get("/")).status_code == 200
    assert (await browser.get("/api/v1/me")).json()["code"] == "credentials-needed"
    page = await browser.client.get(f"{BASE}/conda/open/", headers={"accept": "text/html"})
    assert page.status_code == 200


async def test_bad_token_is_not_saved_by_a_session(ada: Browser) -> None:
    answer = await ada.client.get(f"{BASE}/api/v1/me", headers={"authorization": "Bearer nonsense"})
    assert answer.json()["code"] == "token-unknown"


# Signing in and out.


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("ada", ""), ("", PASSWORD)])
async def test_wrong_password_is_said_and_sets_no_cookie(browser: Browser, name: str, password: str) -> None:
    answer = await browser.sign_in(name, password)
    assert answer.status_code in {403, 422}
    assert said(answer)
    assert "set-cookie" not in answer.headers
    assert PASSWORD not in answer.text


async def test_sign_in_from_another_site_is_refused(browser: Browser) -> None:
    for headers in ({}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site", "origin": BASE}):
        answer = await browser.post("/sign-in", headers, name="ada", password=PASSWORD)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "/\n/evil.example",
     "javascript:alert(1)", "evil", "", "/" + "a" * 2000, "/é"],
)  # fmt: skip
async def test_one_goes_on_only_to_a_path_of_this_server(browser: Browser, path: str) -> None:
    answer = await browser.post("/sign-in", name="ada", password=PASSWORD, next=path)
    assert answer.headers["location"] == "/account"
    signed_in = await browser.client.get(f"{BASE}/sign-in", params={"next": path})
    assert signed_in.headers["location"] == "/account"


async def test_one_goes_on_to_where_one_was(browser: Browser) -> None:
    asked = await browser.get("/device?provider=none")
    assert asked.headers["location"] == "/sign-in?next=%2Fdevice&provider=none"
    answer = await browser.post("/sign-in", name="ada", password=PASSWORD, next="/conda/team/?a=b#c")
    assert answer.headers["location"] == "/conda/team/?a=b#c"


async def test_sign_out_ends_the_session_itself(services: Services, ada: Browser) -> None:
    text = ada.client.cookies["headgate"]
    page = await ada.post("/sign-out", csrf_token=await ada.proof())
    assert page.status_code == 200
    assert "headgate=; Path=/; Max-Age=0" in page.headers["set-cookie"]
    ada.client.cookies.set("headgate", text, "headgate.test")
    assert await ada.name() is None


# Forged requests.


async def test_api_takes_a_session_for_reading(ada: Browser) -> None:
    assert (await ada.get("/api/v1/users")).status_code == 200


async def test_api_takes_a_session_for_a_change_with_its_proof(ada: Browser) -> None:
    proof = (await ada.get("/api/v1/me")).json()["csrf_token"]
    made = await ada.client.post(
        f"{BASE}/api/v1/groups", json={"name": "Developers"}, headers={**SAME_ORIGIN, "x-csrf-token": proof}
    )
    assert made.status_code == 201
    old_browser = {"origin": BASE, "x-csrf-token": proof}
    assert (await ada.client.delete(f"{BASE}/api/v1/groups/Developers", headers=old_browser)).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin"},
        {"x-csrf-token": "<good>"},
        {"sec-fetch-site": "cross-site", "x-csrf-token": "<good>"},
        {"sec-fetch-site": "same-site", "origin": BASE, "x-csrf-token": "<good>"},
        {"sec-fetch-site": "none", "x-csrf-token": "<good>"},
        {"origin": "null", "x-csrf-token": "<good>"},
        {"origin": "http://headgate.test.evil.example", "x-csrf-token": "<good>"},
        {"origin": "https://headgate.test", "x-csrf-token": "<good>"},
        {"sec-fetch-site": "same-origin", "x-csrf-token": "<another's>"},
        {"sec-fetch-site": "same-origin", "x-csrf-token": "0" * 64},
    ],
)
async def test_change_without_both_proofs_is_refused(services: Services, ada: Browser, headers: dict[str, str]) -> None:
    async with browsing(services) as second:
        await second.sign_in("ada", PASSWORD)
        words = {"<good>": await ada.proof(), "<another's>": await second.proof()}
    sent = {name: words.get(value, value) for name, value in headers.items()}
    for method, path in (("POST", "/groups"), ("DELETE", "/users/bob"), ("PATCH", "/users/bob")):
        refused = await ada.client.request(method, f"{BASE}/api/v1{path}", json={"name": "x"}, headers=sent)
        assert (refused.status_code, refused.json()["code"]) == (403, "request-forged")
    fields = {"csrf_token": sent.pop("x-csrf-token", "")}
    for path in ("/sign-out", "/account/tokens/revoke", "/account/sessions/1/end", "/device", "/device/answer"):
        refused = await ada.client.post(f"{BASE}{path}", data=fields, headers=sent)
        assert refused.status_code == 403, path
    assert await ada.name() == "ada"


async def test_token_needs_no_proof(services: Services, ada: Browser) -> None:
    _, text = await services.core.access.create_token("test", "ada", "ci")
    await services.snapshots.reload()
    headers = {"authorization": f"Bearer {text}"}
    made = await ada.client.post(f"{BASE}/api/v1/groups", json={"name": "Developers"}, headers=headers)
    assert made.status_code == 201


# Pages.


async def test_pages_are_shown_in_no_frame_and_run_nothing(ada: Browser) -> None:
    for path in ("/account", "/device", "/", "/sign-in", "/account/none", "/oidc/none/sign-in"):
        answer = await ada.get(path)
        if answer.status_code == 303:
            continue
        policy = answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.text.count("<script") == answer.text.count('<script src="/assets/')
        assert "style=" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


async def test_unknown_page_and_method_are_said_in_a_page(browser: Browser) -> None:
    assert (await browser.get("/account/none")).status_code == 404
    assert (await browser.get("/sign-out")).status_code == 405
    assert (await browser.get("/oidc/none/sign-in")).status_code == 404
    assert (await browser.post("/sign-in", name="x" * 100_000)).status_code == 413


async def test_names_are_escaped(services: Services, browser: Browser) -> None:
    await services.core.access.create_user("test", "<b>eve<b>", PASSWORD, is_administrator=False)
    await services.snapshots.reload()
    await browser.sign_in("<b>eve<b>", PASSWORD)
    assert "&lt;b&gt;eve" in (await browser.get("/account")).text
    refused = await browser.post("/sign-in", name='"><script>', password="x")
    assert "<script>" not in refused.text


async def test_account_shows_and_ends_sessions_and_tokens(services: Services, ada: Browser) -> None:
    await services.core.access.create_token("test", "ada", "workbench")
    async with browsing(services) as second:
        await second.sign_in("ada", PASSWORD)
        other = (await services.core.sessions.list_sessions("ada"))[0]
        page = (await ada.get("/account")).text
        assert page.count("test browser") == 2
        assert "workbench" in page
        proof = await ada.proof()
        assert (await ada.post(f"/account/sessions/{other.id}/end", csrf_token=proof)).status_code == 303
        assert await second.name() is None
    assert (await ada.post("/account/tokens/revoke", csrf_token=proof, name="workbench")).status_code == 303
    assert "Token workbench is revoked." in (await ada.get("/account")).text
    assert "workbench" not in (await ada.get("/account")).text


async def test_nobody_ends_the_session_of_somebody_else(services: Services, ada: Browser) -> None:
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        (hers,) = await services.core.sessions.list_sessions("ada")
        assert (await bob.post(f"/account/sessions/{hers.id}/end", csrf_token=await bob.proof())).status_code == 404
        headers = {**SAME_ORIGIN, "x-csrf-token": await bob.proof()}
        for path in (f"/users/ada/sessions/{hers.id}", "/users/ada/sessions"):
            assert (await bob.client.delete(f"{BASE}/api/v1{path}", headers=headers)).status_code == 403
        gone = await bob.client.delete(f"{BASE}/api/v1/me/sessions/{hers.id}", headers=headers)
        assert gone.status_code == 404
        (his,) = (await bob.get("/api/v1/me/sessions")).json()["items"]
        assert (his["user"], his["method"]) == ("bob", "password")
        assert "digest" not in his
        headers["x-csrf-token"] = await ada.proof()
        assert (await ada.client.delete(f"{BASE}/api/v1/users/bob/sessions", headers=headers)).status_code == 204
        assert await bob.name() is None


async def test_channels_take_a_session(services: Services, ada: Browser) -> None:
    await services.core.channels.create("test", ChannelName("secret"), ChannelKind.HOSTED)
    await services.snapshots.reload()
    page = await ada.client.get(f"{BASE}/conda/secret/", headers={"accept": "text/html"})
    assert page.status_code == 200
    ada.client.cookies.clear()
    assert (await ada.client.get(f"{BASE}/conda/secret/")).status_code == 401


async def test_front_page_says_who_is_signed_in(ada: Browser) -> None:
    assert "<span>ada</span>" in (await ada.get("/")).text
    ada.client.cookies.clear()
    assert 'href="/sign-in?next=' in (await ada.get("/")).text


# Changing the password.


async def change_password(browser: Browser, old: str, new: str, *, again: str | None = None) -> httpx.Response:
    return await browser.post("/sign-in/password", name="bob", password=old, new=new, again=again or new)


async def test_a_password_chosen_by_another_is_changed_where_one_signs_in(services: Services, browser: Browser) -> None:
    await services.core.access.users.change("ada", "bob", UserChange(must_change_password=True))
    await services.snapshots.reload()
    shown = await browser.sign_in("bob", PASSWORD)
    assert (shown.status_code, await browser.name()) == (403, None)
    assert 'action="/sign-in/password"' in shown.text
    assert 'value="bob"' in shown.text
    assert "Choose one of your own" in said(shown)
    changed = await change_password(browser, PASSWORD, NEW_PASSWORD)
    assert (changed.status_code, await browser.name()) == (303, "bob")
    async with browsing(services) as other:
        assert (await other.sign_in("bob", PASSWORD)).status_code == 403
        assert (await other.sign_in("bob", NEW_PASSWORD)).status_code == 303


async def test_a_new_password_ends_the_sessions_of_the_old_one(services: Services, browser: Browser) -> None:
    async with browsing(services) as other:
        await other.sign_in("bob", PASSWORD)
        await browser.sign_in("bob", PASSWORD)
        assert (await change_password(browser, PASSWORD, NEW_PASSWORD)).status_code == 303
        assert (await browser.name(), await other.name()) == ("bob", None)


@pytest.mark.parametrize(
    ("old", "new", "again", "status", "sentence"),
    [
        ("wrong", NEW_PASSWORD, None, 403, "password"),
        (PASSWORD, NEW_PASSWORD, "something else", 422, "typed in two ways"),
        (PASSWORD, PASSWORD, None, 422, "the old one"),
        (PASSWORD, "short", None, 422, "characters"),
    ],
)
async def test_a_password_is_not_changed(
    browser: Browser, old: str, new: str, again: str | None, status: int, sentence: str
) -> None:
    answer = await change_password(browser, old, new, again=again)
    assert answer.status_code == status
    assert sentence in said(answer)
    assert (await browser.sign_in("bob", PASSWORD)).status_code == 303


async def test_another_site_cannot_change_a_password(browser: Browser) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    fields = {"name": "bob", "password": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}
    assert (await browser.post("/sign-in/password", headers, **fields)).status_code == 403
    assert (await browser.sign_in("bob", PASSWORD)).status_code == 303
