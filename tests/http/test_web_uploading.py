"""The page that takes package files: several at once, each with what became of it, and nothing from elsewhere."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from headgate.channels.artifacts import ArtifactFilter, list_artifacts
from tests.browser.watching import assert_valid
from tests.http.browsing import BASE, SAME_ORIGIN, Browser, browsing, said
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package

HERE = "/channels/team/upload"
BOUNDARY = {"content-type": "multipart/form-data; boundary=cut"}
FILE = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="demo-1.0-0.conda"\r\n\r\n'


@pytest.fixture
async def ada(services: Services, callers: Callers, hosted: str) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


@pytest.fixture
async def bob(services: Services, callers: Callers, hosted: str) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("bob", PASSWORD)
        yield browser


async def send(browser: Browser, *files: tuple[str, bytes], path: str = HERE, **more: Any) -> httpx.Response:
    """As the form does: the texts, then the files."""
    fields = {"csrf_token": await browser.proof()} | more
    parts: list[tuple[str, Any]] = [(name, (None, value)) for name, value in fields.items()]
    parts += [("file", one) for one in files]
    return await browser.client.post(BASE + path, files=parts, headers=SAME_ORIGIN)


async def held(services: Services) -> list[str]:
    found = await list_artifacts(
        services.core.database, services.catalog.get("team"), ArtifactFilter(), after=None, limit=10
    )
    return [f"{one.subdir}/{one.filename}" for one in found]


def outcomes(answer: httpx.Response) -> list[str]:
    """taken, there already or refused, in the order of the files."""
    return re.findall(r'<li><span class="badge [^"]*">([^<]+)</span>', answer.text)


def left_behind(services: Services) -> list[str]:
    return [path.name for path in services.core.place.folder.incoming.iterdir()]


async def test_each_file_is_taken_or_refused_by_itself(services: Services, ada: Browser) -> None:
    shown = await ada.get(HERE)
    assert_valid(shown.text)
    assert 'enctype="multipart/form-data"' in shown.text
    big = package("other", content=bytes(range(256)) * 9_999)
    answer = await send(ada, package(), ("bad-1.0-0.conda", b"nonsense" * 999), ("bad", b""), big)
    assert (answer.status_code, outcomes(answer)) == (200, ["taken", "refused", "refused", "taken"])
    assert_valid(answer.text)
    assert await held(services) == ["noarch/demo-1.0-0.conda", "noarch/other-1.0-0.conda"]
    assert left_behind(services) == []
    again = await send(ada, package(), package("other", content=b"others\n"))
    assert outcomes(again) == ["there already", "refused"]
    assert "Give the package a new build number." in again.text


async def test_when_nothing_was_taken_the_answer_is_no_success(ada: Browser) -> None:
    answer = await send(ada, ("<b>-1-0.conda", b"x"))
    assert (answer.status_code, outcomes(answer)) == (422, ["refused"])
    assert "&lt;b&gt;-1-0.conda" in answer.text
    headers = SAME_ORIGIN | BOUNDARY | {"x-csrf-token": await ada.proof()}
    unchosen = FILE.replace(b"demo-1.0-0.conda", b"") + b"\r\n--cut--\r\n"
    answer = await ada.client.post(BASE + HERE, content=unchosen, headers=headers)
    assert answer.status_code == 422
    assert "No file was chosen." in answer.text


async def test_a_script_gets_the_rows_alone(ada: Browser) -> None:
    ada.client.headers["hx-request"] = "true"
    answer = await send(ada, package())
    assert answer.text.strip().startswith("<li>")
    assert "<html" not in answer.text


async def test_what_is_said_of_a_file_holds(ada: Browser) -> None:
    assert outcomes(await send(ada, package(), subdir="linux-64")) == ["refused"]
    assert outcomes(await send(ada, package(), subdir="nowhere at all")) == ["refused"]
    attested = await send(ada, package(), attestation=b"")
    assert outcomes(attested) == ["taken"], "nothing was chosen there"


async def test_an_attestation_that_is_none_refuses_the_file(services: Services, ada: Browser) -> None:
    parts: list[tuple[str, Any]] = [
        ("csrf_token", (None, await ada.proof())),
        ("attestation", ("demo.sigstore.json", b"{}")),
        ("file", package()),
    ]
    answer = await ada.client.post(BASE + HERE, files=parts, headers=SAME_ORIGIN)
    assert outcomes(answer) == ["refused"]
    assert await held(services) == []


async def test_who_may_upload_one_package_uploads_no_other(services: Services, bob: Browser) -> None:
    assert (await bob.get(HERE)).status_code == 403
    assert (await send(bob, package())).status_code == 403
    scope = Scope("team", "demo")
    await services.core.access.grants.add_grant("test", PrincipalKind.USER, "bob", "package-owner", scope)
    await services.snapshots.reload()
    assert (await bob.get(HERE)).status_code == 200
    answer = await send(bob, package("other"), package())
    assert outcomes(answer) == ["refused", "taken"]
    assert await held(services) == ["noarch/demo-1.0-0.conda"]
    replaced = await send(bob, package("demo", "2.0"), replace_deleted="on")
    assert outcomes(replaced) == ["refused"]


async def test_mirrors_take_no_files(ada: Browser, mirror: str) -> None:
    assert (await ada.get(f"/channels/{mirror}/upload")).status_code == 409
    assert (await send(ada, package(), path=f"/channels/{mirror}/upload")).status_code == 409


@pytest.mark.parametrize("where", ["behind the file", "nowhere", "another's"])
async def test_without_the_proof_before_it_no_file_is_read(services: Services, ada: Browser, where: str) -> None:
    proof = await ada.proof()
    parts: list[tuple[str, Any]] = [("file", package())]
    if where == "behind the file":
        parts.append(("csrf_token", (None, proof)))
    if where == "another's":
        parts.insert(0, ("csrf_token", (None, "0" * len(proof))))
    answer = await ada.client.post(BASE + HERE, files=parts, headers=SAME_ORIGIN)
    assert answer.status_code == 403
    assert await held(services) == []
    assert left_behind(services) == []


async def test_another_site_sends_no_file_even_with_the_proof(services: Services, ada: Browser) -> None:
    parts: list[tuple[str, Any]] = [("csrf_token", (None, await ada.proof())), ("file", package())]
    elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    assert (await ada.client.post(BASE + HERE, files=parts, headers=elsewhere)).status_code == 403
    assert await held(services) == []


@pytest.mark.parametrize("body", [b"garbage", FILE, FILE + b"half a file", FILE + b"x\r\n--cut\r\n\r\n\r\n"])
async def test_forms_that_break_off_are_refused_and_leave_nothing(
    services: Services, ada: Browser, body: bytes
) -> None:
    headers = SAME_ORIGIN | BOUNDARY | {"x-csrf-token": await ada.proof()}
    answer = await ada.client.post(BASE + HERE, content=body, headers=headers)
    assert (answer.status_code, bool(said(answer) or outcomes(answer))) == (422, True)
    assert await held(services) == []
    assert left_behind(services) == []


async def test_texts_of_a_form_are_short(ada: Browser) -> None:
    answer = await send(ada, package(), subdir="x" * (65 << 10))
    assert answer.status_code == 422


async def test_who_is_not_signed_in_is_sent_to_sign_in(services: Services, hosted: str) -> None:
    async with browsing(services) as nobody:
        answer = await nobody.client.post(BASE + HERE, files=[("file", package())], headers=SAME_ORIGIN)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2F")
