"""The page of a channel's files: several are looked at, then changed together, and some of that is taken back."""

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from headgate.channels.artifacts import ArtifactFilter, list_artifacts
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing, said, send
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package

HERE = "/channels/team/files"
FILES = ["noarch/demo-1.0-0.conda", "noarch/demo-2.0-0.conda", "noarch/other-1.0-0.conda"]


@pytest.fixture
async def filled(callers: Callers, services: Services, hosted: str) -> Services:
    assert (await callers.admin.post("/channels", json={"name": "second", "kind": "hosted"})).status_code == 201
    for name, version in (("demo", "1.0"), ("demo", "2.0"), ("other", "1.0")):
        filename, body = package(name, version)
        sent = await callers.admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text
    return services


@pytest.fixture
async def ada(filled: Services) -> AsyncIterator[Browser]:
    async with browsing(filled) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def states(services: Services, channel: str = "team") -> dict[str, str]:
    found = await list_artifacts(
        services.core.database, services.catalog.get(channel), ArtifactFilter(), after=None, limit=100
    )
    return {f"{one.subdir}/{one.filename}": one.status for one in found}


def fields_of(answer: httpx.Response) -> dict[str, str]:
    """The hidden fields of the form that does it."""
    assert_valid(answer.text)
    form = answer.text.partition(f'action="{HERE}/change"')[2].partition("</form>")[0]
    found = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found if name != "csrf_token"}


async def test_ticked_files_are_looked_at_yanked_and_brought_back(filled: Services, ada: Browser) -> None:
    shown = await ada.get(HERE)
    assert_valid(shown.text)
    assert all(f'name="file:{one}"' in shown.text for one in FILES)
    looked = await send(ada, f"{HERE}/preview", action="yank", **{f"file:{FILES[0]}": "on"}, wants="other")
    assert set(await states(filled)) == set(FILES)
    wish = fields_of(looked)
    assert (await send(ada, f"{HERE}/change", **wish, comment="It crashes.")).status_code == 303
    assert await states(filled) == {FILES[0]: "yanked", FILES[1]: "active", FILES[2]: "yanked"}
    assert FILES[1].partition("/")[2] not in (await ada.get(f"{HERE}?q=is:yanked")).text
    back = await send(ada, f"{HERE}/change", action="unyank", wants="\r\n".join([FILES[0], FILES[2]]))
    assert back.status_code == 303
    assert set((await states(filled)).values()) == {"active"}


async def test_files_are_moved_and_deleted_for_good(filled: Services, ada: Browser) -> None:
    moved = fields_of(await send(ada, f"{HERE}/preview", action="move", target="second", wants="demo >=2"))
    assert (await send(ada, f"{HERE}/change", **moved)).status_code == 303
    assert await states(filled, "second") == {FILES[1]: "active"}
    gone = fields_of(await send(ada, f"{HERE}/preview", action="delete", wants="other"))
    assert (await send(ada, f"{HERE}/change", **gone, typed="tea")).status_code == 422
    assert (await send(ada, f"{HERE}/change", **gone, typed="team")).status_code == 303
    assert (await states(filled)).get(FILES[2]) is None


async def test_what_was_looked_at_counts_and_nothing_else(filled: Services, callers: Callers, ada: Browser) -> None:
    wish = fields_of(await send(ada, f"{HERE}/preview", action="yank", wants="demo"))
    filename, body = package("demo", "3.0")
    sent = await callers.admin.post("/channels/team/artifacts", params={"filename": filename}, content=body)
    assert sent.status_code == 201
    answer = await send(ada, f"{HERE}/change", **wish)
    assert answer.status_code == 409, said(answer)
    assert set((await states(filled)).values()) == {"active"}


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "yank"},
        {"action": "burn", "wants": "demo"},
        {"action": "copy", "wants": "demo"},
        {"action": "copy", "wants": "demo", "target": "team"},
        {"action": "yank", "wants": "demo >>1"},
    ],
)
async def test_forms_that_make_no_sense_are_refused(filled: Services, ada: Browser, fields: dict[str, str]) -> None:
    answer = await send(ada, f"{HERE}/preview", **fields)
    assert (answer.status_code, bool(said(answer))) == (422, True)
    assert (await ada.get(f"{HERE}?q=is:burnt")).status_code == 422
    assert (await ada.get(f"{HERE}?after=x/y")).status_code == 422


async def test_who_reads_alone_changes_nothing(filled: Services) -> None:
    grants = filled.core.access.grants
    for channel in ("team", "second"):
        await grants.add_grant("test", PrincipalKind.USER, "bob", "downloader", Scope(channel))
    await filled.snapshots.reload()
    async with browsing(filled) as bob:
        await bob.sign_in("bob", PASSWORD)
        shown = await bob.get(HERE)
        assert (shown.status_code, 'name="file:' in shown.text) == (200, False)
        for action in ("yank", "delete", "copy", "move"):
            target = {"target": "second"} if action in {"copy", "move"} else {}
            for act in ("preview", "change"):
                answer = await send(bob, f"{HERE}/{act}", action=action, wants="demo", typed="team", **target)
                assert answer.status_code == 403, (action, act)
    assert set((await states(filled)).values()) == {"active"}
