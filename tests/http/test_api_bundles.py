"""Bundles through the API: who may make and take them, what is asked for, and the keys that are trusted."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.access.permissions import Permission
from headgate.airgap.container import opening
from headgate.airgap.keys import generate_key, load_private_key, sign
from headgate.airgap.manifest import decode_manifest
from headgate.airgap.reading import open_bundle
from headgate.bootstrap import Services
from headgate.carrying import opened_exporter
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName
from tests.bundles import quiet
from tests.http.conftest import Callers
from tests.packages import package

KEY = "0f" * 32


@pytest.fixture
async def filled(callers: Callers, hosted: str) -> str:
    """A hosted channel with a file."""
    filename, body = package(noarch="generic")
    sent = await callers.admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=body)
    assert sent.status_code == 201
    return hosted


async def work(services: Services, job: dict[str, Any]) -> None:
    """Do what the jobs process would do for an export."""
    from headgate.airgap.wishes import read_wish

    request = job["request"]
    selection, since = read_wish(services.exports.folder(request["export"]))
    async with opened_exporter(services.core) as exporter:
        await exporter.prepare(request["actor"], request["export"], request["channel"], selection, since, quiet)


def form(**files: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{name}.json", body)) for name, body in files.items()]


async def test_an_export_is_fetched_signed_and_whole(
    callers: Callers, services: Services, filled: str, tmp_path: Path
) -> None:
    asked = await callers.admin.post(f"/channels/{filled}/exports", json={"subdirs": ["noarch"]})
    assert asked.status_code == 202, asked.text
    job = asked.json()
    path = f"/channels/{filled}/exports/{job['id']}"
    assert (await callers.admin.get(path)).json()["kind"] == "export-bundle"
    early = await callers.admin.get(f"{path}/manifest")
    assert (early.status_code, early.json()["code"]) == (404, "export-unknown")
    await work(services, job)
    manifest = (await callers.admin.get(f"{path}/manifest")).content
    assert decode_manifest(manifest).selection.subdirs == ("noarch",)
    content = await callers.admin.get(f"{path}/content")
    assert content.headers["content-length"] == str(len(content.content))
    public = generate_key(tmp_path / "K")
    signature = sign(load_private_key(tmp_path / "K"), manifest)
    (tmp_path / "bundle").write_bytes(opening(manifest, signature) + content.content)
    with open_bundle(tmp_path / "bundle") as reader:
        assert sum(1 for member in reader.members(reader.verify({"K": public})) if member.read()) == 2
    assert (await callers.admin.delete(path)).status_code == 204
    assert (await callers.admin.get(f"{path}/manifest")).status_code == 404


async def test_an_export_follows_the_manifest_that_it_is_sent(
    callers: Callers, services: Services, filled: str
) -> None:
    first = (await callers.admin.post(f"/channels/{filled}/exports", json={})).json()
    await work(services, first)
    manifest = (await callers.admin.get(f"/channels/{filled}/exports/{first['id']}/manifest")).content
    more = await callers.admin.post(f"/channels/{filled}/exports", files=form(selection=b"{}", since=manifest))
    assert more.status_code == 202, more.text
    await work(services, more.json())
    second = await callers.admin.get(f"/channels/{filled}/exports/{more.json()['id']}/manifest")
    found = decode_manifest(second.content)
    assert (found.number, found.files()) == (1, {})
    await callers.admin.post("/channels", json={"name": "other", "kind": "hosted"})
    foreign = await callers.admin.post("/channels/other/exports", files=form(since=manifest))
    assert (foreign.status_code, foreign.json()["code"]) == (409, "bundle-foreign")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"content": b"no json"}, "selection-invalid"),
        ({"json": {"nothing": 1}}, "selection-invalid"),
        ({"json": {"subdirs": ["../.."]}}, "subdir-invalid"),
        ({"json": {"specs": ["=="]}}, "match-spec-invalid"),
        ({"json": {"files": {"noarch/x": ""}}}, "artifact-name-invalid"),
        ({"files": form(since=b"{}")}, "bundle-invalid"),
    ],
)
async def test_a_wish_that_cannot_be_read_leaves_nothing(
    callers: Callers, services: Services, filled: str, options: dict[str, Any], code: str
) -> None:
    refused = await callers.admin.post(f"/channels/{filled}/exports", **options)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert list(services.core.store.folder.exports.iterdir()) == []


async def grant(services: Services, name: str, permissions: list[Permission], channel: str | None) -> None:
    access = services.core.access
    await access.grants.create_role("test", name, permissions)
    await access.grants.add_grant("test", PrincipalKind.USER, "bob", name, Scope(channel))
    await services.snapshots.reload()


async def test_an_export_needs_what_its_maker_could_have_downloaded(
    callers: Callers, services: Services, filled: str
) -> None:
    await grant(services, "carrier", [Permission.BUNDLE_EXPORT], filled)
    assert (await callers.member.post(f"/channels/{filled}/exports", json={})).status_code == 403
    await grant(services, "looker", [Permission.CHANNEL_READ], filled)
    assert (await callers.member.post(f"/channels/{filled}/exports", json={})).status_code == 403
    await grant(services, "loader", [Permission.ARTIFACT_DOWNLOAD], filled)
    assert (await callers.member.post(f"/channels/{filled}/exports", json={})).status_code == 202


STRICT: dict[str, Any] = {
    "name": "strict",
    "mode": "off",
    "rule": [{"kind": "match-spec", "exclude": ["demo"], "action": "block"}],
}


async def test_an_export_by_policy_needs_that_policies_may_be_read(
    callers: Callers, services: Services, filled: str
) -> None:
    path, wish = f"/channels/{filled}/exports", {"policy": "strict"}
    await services.core.policies.apply("test", STRICT)
    needed = [Permission.BUNDLE_EXPORT, Permission.CHANNEL_READ, Permission.ARTIFACT_DOWNLOAD, Permission.POLICY_READ]
    await grant(services, "carrier", needed, filled)
    assert (await callers.member.post(path, json={})).status_code == 202
    assert (await callers.member.post(path, json=wish)).status_code == 403
    first = (await callers.admin.post(path, json=wish)).json()
    await work(services, first)
    manifest = (await callers.admin.get(f"{path}/{first['id']}/manifest")).content
    assert decode_manifest(manifest).files() == {}
    followed = await callers.member.post(path, files=form(selection=b"{}", since=manifest))
    assert (followed.status_code, followed.json()["code"]) == (403, "permission-denied")
    await grant(services, "reader", [Permission.POLICY_READ], None)
    for options in ({"json": wish}, {"files": form(since=manifest)}):
        assert (await callers.member.post(path, **options)).status_code == 202
    assert len(list(services.core.store.folder.exports.iterdir())) == 4, "what was refused left nothing"


async def test_an_export_by_a_policy_that_is_not_there_is_not_asked_for(
    callers: Callers, services: Services, filled: str
) -> None:
    missing = await callers.admin.post(f"/channels/{filled}/exports", json={"policy": "lax"})
    assert (missing.status_code, missing.json()["code"]) == (404, "policy-unknown")
    assert list(services.core.store.folder.exports.iterdir()) == []


async def test_an_export_is_seen_at_its_own_channel_only(callers: Callers, services: Services, filled: str) -> None:
    job = (await callers.admin.post(f"/channels/{filled}/exports", json={})).json()
    await work(services, job)
    await callers.admin.post("/channels", json={"name": "other", "kind": "hosted"})
    for tail in ("", "/manifest", "/content"):
        found = await callers.admin.get(f"/channels/other/exports/{job['id']}{tail}")
        assert (found.status_code, found.json()["code"]) == (404, "job-unknown")
    assert (await callers.admin.get(f"/channels/{filled}/imports/{job['id']}")).status_code == 404


async def test_an_import_is_kept_until_its_job_takes_it(callers: Callers, services: Services) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    sent = await callers.admin.post("/channels/from/afar/imports", params={"key": KEY}, content=body())
    assert sent.status_code == 202, sent.text
    job = sent.json()
    assert (job["kind"], job["request"]["channel"], job["request"]["trusted"]) == ("import-bundle", "from/afar", KEY)
    assert Path(job["request"]["path"]).read_bytes() == b"one two"
    assert (await callers.admin.get(f"/channels/from/afar/imports/{job['id']}")).json()["id"] == job["id"]


async def test_an_import_that_breaks_off_leaves_nothing(callers: Callers, services: Services) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one "
        raise httpx.ReadError("the line is dead")

    broken = await callers.admin.post("/channels/team/imports", content=body())
    assert broken.status_code == 500
    assert list(services.core.store.folder.imports.iterdir()) == []


async def test_bad_keys_and_names_are_refused(callers: Callers) -> None:
    for key in ("zz", "0" * 63, KEY + "0"):
        refused = await callers.admin.post("/channels/team/imports", params={"key": key}, content=b"x")
        assert (refused.status_code, refused.json()["code"]) == (422, "key-invalid")
    refused = await callers.admin.post("/channels/No Name/imports", content=b"x")
    assert (refused.status_code, refused.json()["code"]) == (422, "channel-name-invalid")


async def test_trusted_keys_are_added_listed_and_removed_with_their_events(
    callers: Callers, services: Services
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        generate_key(Path(folder) / "K")
        line = (Path(folder) / "K.pub").read_text()
    added = await callers.admin.post("/bundles/keys", json={"name": "outside", "key": line})
    assert (added.status_code, added.json()["created_by"]) == (201, "ada (token admin)")
    for body in ({"name": "outside", "key": KEY}, {"name": "again", "key": line}):
        refused = await callers.admin.post("/bundles/keys", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "key-known")
    for body, code in [({"name": "a/b", "key": KEY}, "key-name-invalid"), ({"name": "a", "key": "x"}, "key-invalid")]:
        refused = await callers.admin.post("/bundles/keys", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    listed = (await callers.admin.get("/bundles/keys")).json()["items"]
    assert [(one["name"], one["key"]) for one in listed] == [("outside", line.split()[1])]
    assert (await callers.admin.delete("/bundles/keys/outside")).status_code == 204
    gone = await callers.admin.delete("/bundles/keys/outside")
    assert (gone.status_code, gone.json()["code"]) == (404, "key-unknown")


async def test_a_bundle_channel_takes_no_uploads_and_follows_nothing(callers: Callers, services: Services) -> None:
    await services.core.channels.create("test", ChannelName("carried"), ChannelKind.BUNDLE)
    await services.snapshots.reload()
    filename, body = package()
    refused = await callers.admin.post("/channels/carried/artifacts", params={"filename": filename}, content=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "kind-unfit")
    refused = await callers.admin.post("/channels/carried/mirrors", json={"urls": ["https://x.example/y"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "kind-unfit")
    shown = (await callers.admin.get("/channels/carried")).json()
    assert (shown["kind"], [one["name"] for one in shown["subdirs"]]) == ("bundle", ["noarch"])
