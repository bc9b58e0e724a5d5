"""The pages of patch instructions: edited in place or brought by a package, looked at before, undone."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from headgate.channels.patching import PatchEdit
from headgate.conda.names import Subdir
from headgate.doors.web import patches
from tests.browser.watching import assert_valid
from tests.http.browsing import BASE, SAME_ORIGIN, Browser, browsing, said, send
from tests.http.conftest import PASSWORD, Callers
from tests.packages import archive, package

HERE = "/channels/team/patches"
NOARCH = f"{HERE}/noarch"
EVIL = "<script>alert(1)</script>"
FIX = json.dumps(
    {"packages.conda": {"demo-1.0-0.conda": {"depends": ["lib <2", EVIL]}}, "remove": ["demo-2.0-0.conda"]}
)


@pytest.fixture
async def filled(callers: Callers, services: Services, hosted: str) -> Services:
    for version in ("1.0", "2.0"):
        filename, body = package("demo", version, depends=["lib", "python"])
        sent = await callers.admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text
    return services


@pytest.fixture
async def ada(filled: Services) -> AsyncIterator[Browser]:
    async with browsing(filled) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def bring(browser: Browser, path: str, files: list[tuple[str, bytes]], **more: str) -> httpx.Response:
    """As the form does: what the preview put there comes behind the file."""
    parts: list[tuple[str, Any]] = [("csrf_token", (None, await browser.proof()))]
    parts += [("file", one) for one in files]
    parts += [(name, (None, value)) for name, value in more.items()]
    return await browser.client.post(BASE + path, files=parts, headers=SAME_ORIGIN)


def seen_in(answer: httpx.Response) -> str:
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', answer.text)
    assert found, said(answer) or answer.text[-300:]
    return found[1]


async def in_force(services: Services) -> bytes:
    return await services.core.life.patches.read(services.catalog.get("team"), Subdir("noarch"))


async def edits(services: Services) -> list[PatchEdit]:
    channel = services.catalog.get("team")
    return list(await services.core.life.patches.history(channel, before=None, limit=10))


async def test_instructions_are_looked_at_put_in_force_and_undone(filled: Services, ada: Browser) -> None:
    shown = await ada.get(NOARCH)
    assert_valid(shown.text)
    assert '"patch_instructions_version": 1,' in shown.text.replace("&#34;", '"')
    looked = await send(ada, f"{NOARCH}/preview", document=FIX.replace("{", "{\r\n"), comment="demo needs an old lib")
    assert_valid(looked.text)
    assert "2 records would be another" in looked.text
    assert "<ins>+ lib &lt;2</ins>" in looked.text
    assert "<del>− python</del>" in looked.text
    assert "leaves the index" in looked.text
    assert EVIL not in looked.text
    assert 'value="demo needs an old lib"' in looked.text
    assert await edits(filled) == []
    wish = {"document": FIX.replace("{", "{\r\n"), "seen": seen_in(looked), "comment": EVIL}
    assert (await send(ada, NOARCH, **wish)).status_code == 303
    (edit,) = await edits(filled)
    assert (await in_force(filled), edit.comment) == (FIX.replace("{", "{\n").encode(), EVIL)
    listed = await ada.get(HERE)
    assert_valid(listed.text)
    assert "edited in place" in listed.text
    assert EVIL not in listed.text
    assert (await send(ada, f"{HERE}/undo", id=str(edit.id))).status_code == 303
    assert (len(await edits(filled)), await in_force(filled)) == (2, b"{}")
    listed = await ada.get(HERE)
    assert f'name="id" value="{edit.id}"' not in listed.text, "only the newest is undone"


async def test_nothing_but_what_was_looked_at_is_put_in_force(filled: Services, ada: Browser) -> None:
    seen = seen_in(await send(ada, f"{NOARCH}/preview", document=FIX))
    for fields in ({"seen": seen, "document": '{"remove": ["demo-1.0-0.conda"]}'}, {"document": FIX}):
        answer = await send(ada, NOARCH, **fields)
        assert (answer.status_code, "not what you looked at" in said(answer)) == (409, True)
        assert seen_in(answer)
    await filled.core.life.patches.apply("test", "team", {Subdir("noarch"): b'{"revoke":["demo-1.0-0.conda"]}'})
    assert (await send(ada, NOARCH, document=FIX, seen=seen)).status_code == 409, "others were put in force since"


@pytest.mark.parametrize("document", ["no json", '{"patch_instructions_version": 9}', "[]", "[" * 9_999])
async def test_what_is_no_patch_is_said_beside_it(filled: Services, ada: Browser, document: str) -> None:
    for path in (f"{NOARCH}/preview", NOARCH):
        answer = await send(ada, path, document=document, comment="kept")
        assert (answer.status_code, bool(said(answer))) == (422, True)
        assert 'value="kept"' in answer.text
    assert await edits(filled) == []


async def test_while_one_types_the_preview_comes_alone(ada: Browser) -> None:
    ada.client.headers["hx-request"] = "true"
    proof = {"x-csrf-token": (await ada.get("/api/v1/me")).json()["csrf_token"]}
    for document, words in ((FIX, "2 records"), ("{", "said wrong"), ("", "No record would be another")):
        answer = await ada.post(f"{NOARCH}/preview", SAME_ORIGIN | proof, document=document)
        assert (answer.status_code, words in answer.text, "<html" in answer.text) == (200, True, False)


async def test_a_package_of_patches_is_looked_at_and_brought(filled: Services, ada: Browser) -> None:
    brought = archive(
        "our-patches",
        {"noarch/patch_instructions.json": FIX.encode(), "linux-64/patch_instructions.json": b"{}"},
    )
    looked = await bring(ada, f"{HERE}/package/preview", [brought])
    assert_valid(looked.text)
    assert "2 records would be another" in looked.text
    assert "does not have linux-64" in looked.text
    assert await edits(filled) == []
    assert (await bring(ada, f"{HERE}/package", [brought])).status_code == 409
    done = await bring(ada, f"{HERE}/package", [brought], comment="of March", seen=seen_in(looked))
    assert done.status_code == 303, said(done)
    (edit,) = await edits(filled)
    assert (edit.origin, edit.comment) == (brought[0], "of March")
    assert brought[0] in (await ada.get(HERE)).text


async def test_packages_that_patch_nothing_are_refused(filled: Services, ada: Browser) -> None:
    other = archive("our-patches", {"linux-64/patch_instructions.json": b"{}"})
    for files in ([other], [package()], [("x", b"")], [("a-1-0.conda", b"nonsense")], [other, other], []):
        for path in (f"{HERE}/package/preview", f"{HERE}/package"):
            answer = await bring(ada, path, files)
            assert (answer.status_code, bool(said(answer))) == (422, True), files
    assert await edits(filled) == []


async def test_long_instructions_are_not_edited_here(
    filled: Services, ada: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled.core.life.patches.apply("test", "team", {Subdir("noarch"): FIX.encode()})
    assert "lib &lt;2" in (await ada.get(NOARCH)).text
    monkeypatch.setattr(patches, "_MOST_EDITED_BYTES", 10)
    shown = await ada.get(NOARCH)
    assert_valid(shown.text)
    assert ("too long to be edited" in shown.text, "<textarea" in shown.text) == (True, False)


async def test_who_reads_alone_sees_them_and_changes_nothing(filled: Services) -> None:
    await filled.core.access.grants.add_grant("test", PrincipalKind.USER, "bob", "downloader", Scope("team"))
    await filled.snapshots.reload()
    async with browsing(filled) as bob:
        await bob.sign_in("bob", PASSWORD)
        for path in (HERE, NOARCH):
            shown = await bob.get(path)
            assert_valid(shown.text)
            assert (shown.status_code, 'enctype="multipart' in shown.text, "<textarea" in shown.text) == (
                200, False, False,
            )  # fmt: skip
        for path in (NOARCH, f"{NOARCH}/preview", f"{HERE}/undo"):
            assert (await send(bob, path, document=FIX, id="1")).status_code == 403, path
        for path in (f"{HERE}/package", f"{HERE}/package/preview"):
            assert (
                await bring(bob, path, [archive("p", {"noarch/patch_instructions.json": b"{}"})])
            ).status_code == 403
    assert await edits(filled) == []


async def test_what_is_not_there_is_not_found(ada: Browser) -> None:
    assert (await ada.get(f"{HERE}/linux-64")).status_code == 404
    assert (await ada.get(f"{HERE}/nowhere")).status_code == 422
    for number in ("99", "x", "9" * 40):
        assert (await send(ada, f"{HERE}/undo", id=number)).status_code == 404
    assert (await send(ada, f"{NOARCH}/preview", document="{}", comment="x" * 2_001)).status_code == 200
    assert (await send(ada, f"{HERE}/undo", id="1", comment="\0")).status_code == 422
