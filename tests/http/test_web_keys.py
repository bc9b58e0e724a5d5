"""Pages of what opens and vouches: one's own tokens, the server's signing keys, authorities that mirrors trust."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.conda.content_trust import public_of, sign
from headgate.conda.names import ChannelName
from tests.browser.watching import assert_valid
from tests.certificates import Authority
from tests.http.browsing import Browser, browsing, said, send

PASSWORD = "correct horse battery"


@pytest.fixture
async def people(services: Services) -> Services:
    access = services.core.access
    await access.create_user("test", "ada", PASSWORD, is_administrator=True)
    await access.create_user("test", "bob", PASSWORD, is_administrator=False)
    await services.snapshots.reload()
    return services


@pytest.fixture
async def ada(people: Services) -> AsyncIterator[Browser]:
    async with browsing(people) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


@pytest.fixture
async def bob(people: Services) -> AsyncIterator[Browser]:
    async with browsing(people) as browser:
        await browser.sign_in("bob", PASSWORD)
        yield browser


def told(answer: httpx.Response) -> str:
    """The text that the page shows once."""
    found = re.search(r'class="command"><code>(hg-[^<]+)</code>', answer.text)
    assert found, said(answer) or answer.text[:300]
    return found[1]


async def me(services: Services, token: str) -> httpx.Response:
    async with browsing(services) as browser:
        headers = {"authorization": f"Bearer {token}"}
        return await browser.client.get(f"{browser.base}/api/v1/me", headers=headers)


async def test_own_token_is_shown_once_and_allows_what_was_ticked(people: Services, bob: Browser) -> None:
    made = await send(bob, "/account/tokens", name="ci", days="7", channels="team/*", **{"may:view": "on"})
    assert_valid(made.text)
    assert made.headers["cache-control"] == "no-store"
    text = told(made)
    assert text not in (await bob.get("/account")).text
    token = (await me(people, text)).json()["token"]
    assert (token["permissions"], token["channels"]) == (["view"], ["team/*"])
    again = await send(bob, "/account/tokens/rotate", name="ci")
    new = told(again)
    assert new != text
    assert {(await me(people, one)).status_code for one in (text, new)} == {200}
    assert (await send(bob, "/account/tokens/revoke", name="ci")).status_code == 303
    assert {(await me(people, one)).status_code for one in (text, new)} == {401}


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"name": " "}, "Give the token a name"),
        ({"name": "x", "days": "soon"}, "lives from 1 to"),
        ({"name": "x", "days": "4000"}, "lives from 1 to"),
        ({"name": "x", "addresses": "home"}, "is no range of addresses"),
        ({"name": "x", "channels": "Team!"}, "channel name"),
    ],
)
async def test_what_is_wrong_with_a_token_is_said_beside_the_form(
    people: Services, bob: Browser, wish: dict[str, str], sentence: str
) -> None:
    answer = await send(bob, "/account/tokens", **wish)
    assert (answer.status_code, sentence in said(answer)) == (422, True)
    assert list(await people.core.access.tokens.list(user="bob")) == []


async def test_nobody_renews_the_token_of_another(people: Services, ada: Browser, bob: Browser) -> None:
    await people.core.access.create_token("test", "ada", "ci")
    for act in ("rotate", "revoke"):
        assert (await send(bob, f"/account/tokens/{act}", name="ci")).status_code == 404
    (token,) = await people.core.access.tokens.list(user="ada")
    assert token.is_live


async def test_authority_is_pasted_looked_at_and_removed(people: Services, ada: Browser) -> None:
    pem = Authority("Example <b>Root</b>", timedelta(days=20)).pem
    added = await send(ada, "/admin/network/ca", name="house", certificates=pem, is_everywhere="on")
    assert added.status_code == 303, said(added)
    shown = await ada.get("/admin/network")
    assert_valid(shown.text)
    assert "&lt;b" in shown.text
    assert "<b" not in shown.text.partition("<main")[2].replace("<button", "").replace("<br", "")
    assert ">soon</span>" in shown.text
    assert "/admin/network" in (await ada.get("/")).text  # it is told on the first page, which leads here
    assert (await send(ada, "/admin/network/ca/remove", name="house", typed="hose")).status_code == 422
    assert (await send(ada, "/admin/network/ca/remove", name="house", typed="house")).status_code == 303
    assert await people.core.authorities.list_bundles() == []


async def test_what_is_no_authority_is_said_beside_the_form(people: Services, ada: Browser) -> None:
    answer = await send(ada, "/admin/network/ca", name="house", certificates="<script>nothing</script>")
    assert answer.status_code == 422
    assert_valid(answer.text)
    assert said(answer)
    assert "&lt;script&gt;nothing" in answer.text
    assert (await send(ada, "/admin/network/ca", name="House!", certificates=Authority("x").pem)).status_code == 422


async def test_keys_are_made_shown_and_replaced(people: Services, ada: Browser) -> None:
    assert (await ada.get("/admin/signing/root")).status_code == 409
    assert (await send(ada, "/admin/signing", days="30")).status_code == 303
    before = {one.role: one.public for one in (await people.core.signing.read()).keys}
    shown = await ada.get("/admin/signing")
    assert_valid(shown.text)
    assert all(public in shown.text for public in before.values())
    root = await ada.get("/admin/signing/root")
    assert root.json()["signed"]["version"] == 1
    assert "attachment" in root.headers["content-disposition"]
    assert (await send(ada, "/admin/signing/rotate", role="pkg_mgr", typed="no")).status_code == 422
    assert (await send(ada, "/admin/signing/rotate", role="other", typed="other")).status_code == 422
    assert (await send(ada, "/admin/signing/rotate", role="pkg_mgr", typed="pkg_mgr")).status_code == 303
    after = {one.role: one.public for one in (await people.core.signing.read()).keys}
    assert {role for role in before if before[role] != after[role]} == {"pkg_mgr"}


async def test_a_root_that_is_kept_elsewhere_comes_back_signed(people: Services, ada: Browser) -> None:
    key = Ed25519PrivateKey.generate()
    assert (await send(ada, "/admin/signing", root_key=public_of(key))).status_code == 303
    shown = await ada.get("/admin/signing")
    assert_valid(shown.text)
    found = re.search(r'<textarea[^>]* id="root"[^>]*>(.*?)</textarea>', shown.text, re.DOTALL)
    assert found
    pending = json.loads(unescape(found[1]))
    assert (await send(ada, "/admin/signing/root", root=json.dumps(pending))).status_code == 422
    pending["signatures"][public_of(key)] = sign(key, pending["signed"])
    assert (await send(ada, "/admin/signing/root", root=json.dumps(pending))).status_code == 303
    assert (await people.core.signing.read()).root is not None
    assert "kept elsewhere" in (await ada.get("/admin/signing")).text


async def test_two_feeds_are_made_of_channels_that_are_there_already(people: Services, ada: Browser) -> None:
    for name, kind in (("outer", ChannelKind.MIRROR), ("inner", ChannelKind.HOSTED)):
        await people.core.channels.create("test", ChannelName(name), kind)
    await people.snapshots.reload()
    form = {"how": "two-feeds", "name": "outer", "approved": "inner", "url": "https://conda.example/main"}
    made = await send(ada, "/new-channel", **form)
    assert made.status_code == 303, said(made)
    (pipeline,) = await people.core.life.pipelines.list_pipelines()
    assert list(pipeline.stages) == ["outer", "inner"]
    inner = people.catalog.get("inner")
    assert (await people.request_rules.get(inner)).sources == ("outer",)
    # The other way round there is nothing to take: each name belongs to a channel of another kind.
    turned = await send(ada, "/new-channel", **form | {"name": "inner", "approved": "outer"})
    assert (turned.status_code, "already a channel inner" in said(turned)) == (422, True)
