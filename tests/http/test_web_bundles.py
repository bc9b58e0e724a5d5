"""Pages of bundles: prepared, signed elsewhere and fetched; sent here; the keys that are trusted, and the drop folder."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.access.permissions import Permission
from headgate.airgap.drops import DONE, REFUSED
from headgate.airgap.keys import generate_key, load_private_key, sign
from headgate.airgap.manifest import decode_manifest
from headgate.airgap.reading import open_bundle
from headgate.bootstrap import Services
from headgate.db import tables_bundles
from headgate.kernel import clock
from tests.browser.watching import assert_valid
from tests.http.browsing import SAME_ORIGIN, Browser, browsing, said, send
from tests.http.conftest import PASSWORD, Callers
from tests.http.test_api_bundles import STRICT, grant, work
from tests.packages import package

TEAM = "/channels/team/bundles"
KEY = "0f" * 32


@pytest.fixture
async def ada(services: Services, callers: Callers, hosted: str) -> AsyncIterator[Browser]:
    for name in ("demo", "other"):
        filename, body = package(name, noarch="generic")
        sent = await callers.admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def post_files(browser: Browser, *files: tuple[str, bytes], **fields: str) -> httpx.Response:
    """A multipart form, the fields first, as browsers send it."""
    parts = [("file", one) for one in files]
    url = f"{browser.base}/bundles/imports"
    return await browser.client.post(url, data=fields, files=parts, headers=SAME_ORIGIN)


async def prepared(services: Services, browser: Browser, **fields: str) -> str:
    """The path of an export, with its work done."""
    answer = await send(browser, TEAM, **fields)
    assert answer.status_code == 303, said(answer)
    job = (await services.jobs.list_jobs(kind="export-bundle", limit=1))[0]
    await work(services, {"request": job.request})
    return f"{TEAM}/{job.id}"


async def test_a_bundle_is_prepared_signed_elsewhere_fetched_and_forgotten(
    services: Services, ada: Browser, tmp_path: Path
) -> None:
    empty = await ada.get(TEAM)
    assert_valid(empty.text)
    assert "No bundle is prepared" in empty.text
    path = await prepared(services, ada, what="specs", specs="demo >=0", subdirs="noarch")
    assert_valid((await ada.get(TEAM)).text)
    manifest = await ada.get(f"{path}/manifest")
    assert "attachment" in manifest.headers["content-disposition"]
    assert len(decode_manifest(manifest.content).files()) == 1
    public = generate_key(tmp_path / "K")
    signature = sign(load_private_key(tmp_path / "K"), manifest.content).hex()
    fetched = await ada.get(f"{path}/bundle?signature={signature}")
    assert fetched.headers["content-length"] == str(len(fetched.content))
    (tmp_path / "bundle").write_bytes(fetched.content)
    with open_bundle(tmp_path / "bundle") as reader:
        assert all(member.read() for member in reader.members(reader.verify({"K": public})))
    assert (await ada.get(f"{path}/bundle?signature=00")).status_code == 422
    more = await prepared(services, ada, what="whole", earlier=path.rpartition("/")[2])
    assert decode_manifest((await ada.get(f"{more}/manifest")).content).number == 1
    again = await prepared(services, ada, what="whole", since=manifest.text)
    assert decode_manifest((await ada.get(f"{again}/manifest")).content).number == 1
    assert (await send(ada, f"{path}/remove")).status_code == 303
    assert (await ada.get(f"{path}/manifest")).status_code == 404
    assert path not in (await ada.get(TEAM)).text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"what": "specs", "specs": " "}, "at least one match spec"),
        ({"what": "specs", "specs": "=="}, "=="),
        ({"what": "lock", "lock": "nothing"}, ""),
        ({"what": "some"}, "Choose what goes along"),
        ({"subdirs": "../.."}, "subdir"),
        ({"since": "{}"}, ""),
        ({"earlier": "unheard-of"}, "Give its manifest"),
    ],
)
async def test_a_wish_that_makes_no_sense_is_said_and_leaves_nothing(
    services: Services, ada: Browser, fields: dict[str, str], sentence: str
) -> None:
    answer = await send(ada, TEAM, **fields)
    assert answer.status_code == 422
    assert_valid(answer.text)
    assert said(answer)
    assert sentence in said(answer)
    assert list(services.core.store.folder.exports.iterdir()) == []


async def test_a_policy_is_chosen_by_who_may_read_policies(services: Services, ada: Browser) -> None:
    assert 'name="policy"' not in (await ada.get(TEAM)).text
    await services.core.policies.apply("test", STRICT)
    path = await prepared(services, ada, what="whole", policy="strict")
    shown = await ada.get(TEAM)
    assert_valid(shown.text)
    assert "<option>strict</option>" in shown.text
    manifest = decode_manifest((await ada.get(f"{path}/manifest")).content)
    assert (manifest.policy_title, len(manifest.files())) == ("strict (version 1)", 1)
    unknown = await send(ada, TEAM, what="whole", policy="lax")
    assert (unknown.status_code, said(unknown)) == (422, "There is no policy lax.")
    needed = [Permission.BUNDLE_EXPORT, Permission.CHANNEL_READ, Permission.ARTIFACT_DOWNLOAD]
    await grant(services, "carrier", needed, "team")
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        assert 'name="policy"' not in (await bob.get(TEAM)).text
        assert (await send(bob, TEAM, what="whole")).status_code == 303
        for wish in ({"policy": "strict"}, {"earlier": path.rpartition("/")[2]}):
            assert (await send(bob, TEAM, what="whole", **wish)).status_code == 403


async def test_a_bundle_is_taken_as_it_comes_its_parts_joined(services: Services, ada: Browser) -> None:
    proof = await ada.proof()
    assert_valid((await ada.get("/new-channel?how=bundle")).text)
    body = bytes(range(256)) * 4096
    parts = [("b.001", body[:700_000]), ("b.002", body[700_000:])]
    answer = await post_files(ada, *parts, csrf_token=proof, channel="carried", key=KEY)
    assert answer.status_code == 303, answer.text
    job = await services.jobs.get_job(answer.headers["location"].rpartition("/")[2])
    assert (job.request["channel"], job.request["trusted"]) == ("carried", KEY)
    assert await asyncio.to_thread(Path(job.request["path"]).read_bytes) == body
    shown = await ada.get(answer.headers["location"])
    assert_valid(shown.text)
    assert "Waiting for its turn" in shown.text


@pytest.mark.parametrize(
    ("names", "fields", "status", "sentence"),
    [
        ([], {}, 422, "Choose the bundle"),
        (["b.002", "b.001"], {}, 422, "in their order"),
        (["b"], {"key": "no key"}, 422, "not a public key"),
        (["b"], {"key": ""}, 403, "No key is trusted here yet"),
        (["b"], {"channel": "team"}, 409, "bundles are taken into one of kind bundle"),
        (["b"], {"channel": "No!"}, 422, ""),
        (["b"], {"csrf_token": "0"}, 403, ""),
    ],
)
async def test_what_cannot_be_a_bundle_is_refused_and_not_kept(
    services: Services, ada: Browser, names: list[str], fields: dict[str, str], status: int, sentence: str
) -> None:
    given = {"csrf_token": await ada.proof(), "channel": "carried", "key": KEY} | fields
    files = [(name, b"bytes") for name in names] or [("", b"")]
    answer = await post_files(ada, *files, **given)
    assert answer.status_code == status, answer.text
    assert sentence in answer.text
    assert list(services.core.store.folder.imports.iterdir()) == []


async def test_proof_that_comes_after_the_file_is_none(services: Services, ada: Browser) -> None:
    boundary, proof = "b0undary", await ada.proof()
    parts = [('name="file"; filename="b"', "bytes"), ('name="csrf_token"', proof), ('name="channel"', "carried")]
    body = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n" for head, text in parts)
    headers = SAME_ORIGIN | {"content-type": f"multipart/form-data; boundary={boundary}"}
    url = f"{ada.base}/bundles/imports"
    answer = await ada.client.post(url, content=f"{body}--{boundary}--\r\n", headers=headers)
    assert answer.status_code == 403
    long = f'--{boundary}\r\nContent-Disposition: form-data; name="key"\r\n\r\n{"x" * 100_000}\r\n--{boundary}--\r\n'
    assert (await ada.client.post(url, content=long, headers=headers)).status_code == 422
    assert list(services.core.store.folder.imports.iterdir()) == []


async def test_keys_are_trusted_and_not(services: Services, ada: Browser) -> None:
    here = "/admin/bundles"
    assert "No key is trusted yet" in (await ada.get(here)).text
    assert (await send(ada, here, name="outside", key=f"headgate-ed25519-public {KEY}\n")).status_code == 303
    for name, key in (("outside", "1f" * 32), ("other", "no key"), ("a/b", "2f" * 32)):
        refused = await send(ada, here, name=name, key=key)
        assert refused.status_code == 422, name
        assert said(refused)
    shown = await ada.get(here)
    assert_valid(shown.text)
    assert KEY in shown.text
    assert (await send(ada, f"{here}/remove", name="outside", typed="other")).status_code == 422
    assert (await send(ada, f"{here}/remove", name="outside", typed="outside")).status_code == 303
    assert await services.core.trust.list_keys() == []


async def test_what_came_by_the_drop_folder_is_told_with_its_reason(services: Services, ada: Browser) -> None:
    rows: list[dict[str, Any]] = [
        {"filename": f"b-{number}", "kind": "bundle", "outcome": DONE, "said": "3 names changed.", "channel": "team"}
        for number in range(60)
    ]
    rows.append(
        {"filename": "b-bad", "kind": "unknown", "outcome": REFUSED, "said": "<b>No</b> bundle.", "channel": None}
    )
    async with services.core.database.write() as connection:
        await connection.execute(
            tables_bundles.dropped.insert(), [{"sha256": None, "at": clock.now()} | one for one in rows]
        )
    shown = await ada.get("/admin/bundles")
    assert_valid(shown.text)
    assert "&lt;b&gt;No&lt;/b&gt; bundle." in shown.text
    assert "b-0<" not in shown.text
    assert "There is none" in shown.text
    answer = await send(ada, "/admin/bundles/scan")
    job = await services.jobs.get_job(answer.headers["location"].partition("job=")[2])
    assert job.kind == "scan-drop-folder"
    assert "Waiting for its turn" in (await ada.get(answer.headers["location"])).text
    following = re.search(r'rel="next" href="([^"]+)"', shown.text)
    assert following
    assert "b-0<" in (await ada.get(following[1])).text
    assert (await ada.get("/admin/bundles?before=x")).status_code == 422


async def test_who_may_not_carry_sees_no_way_to(services: Services, callers: Callers, ada: Browser) -> None:
    path = await prepared(services, ada, what="whole")
    await send(ada, "/channels/team/set", privacy="authenticated")
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        assert TEAM not in (await bob.get("/channels/team")).text
        for page in (
            TEAM,
            f"{path}/manifest",
            f"{path}/bundle?signature={'0' * 128}",
            f"{path}/events",
            "/admin/bundles",
        ):
            assert (await bob.get(page)).status_code == 403, page
        changes = (TEAM, f"{path}/remove", "/admin/bundles", "/admin/bundles/remove", "/admin/bundles/scan")
        for page in changes:
            assert (await send(bob, page, name="x", key=KEY)).status_code == 403, page
        answer = await post_files(bob, ("b", b"bytes"), csrf_token=await bob.proof(), channel="carried", key=KEY)
        assert answer.status_code == 403
    taken = await post_files(ada, ("b", b"bytes"), csrf_token=await ada.proof(), channel="carried", key=KEY)
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        assert (await bob.get(taken.headers["location"])).status_code == 403
