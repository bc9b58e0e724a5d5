"""The drop folder: what settles is taken in or put aside with a reason; what is still being copied is left alone."""

import fcntl
import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from headgate.airgap.drops import DropFolder, Dropped, list_dropped
from headgate.airgap.trees import TreeImporter
from headgate.carrying import build_importer
from headgate.conda.names import ArtifactName
from headgate.kernel.errors import HeadgateError
from tests.bundles import Side, quiet, team
from tests.packages import package
from tests.upstreams import Packages, write_channel


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


async def scan(side: Side, drop: Path, settle_s: float = -1, patience_s: float = 60) -> dict[str, Dropped]:
    """Look once; a negative time to settle takes what was written just now."""
    core = side.services.core
    importer, trees = build_importer(core), TreeImporter(core.database, core.store)
    folder = DropFolder(drop, core.database, core.store, importer, trees, settle_s=settle_s, patience_s=patience_s)
    return {one.filename: one for one in await folder.scan("test", quiet)}


async def trust(side: Side) -> None:
    await side.services.core.trust.add("test", "them", side.trusted["them"])


def write_tree(path: Path, packages: Packages, *, root: str = "", without: str = "") -> None:
    """A zip of a channel, its files below `root`."""
    folder = path.with_suffix(".tree")
    write_channel(folder, packages)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name != without:
                archive.write(file, root + str(file.relative_to(folder)))


def shipped(*versions: str) -> Packages:
    return [("noarch", *package("shipped", version, noarch="generic")) for version in versions]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_bundles_are_taken_in_their_order_whatever_they_are_called(
    near: Side, far: Side, tmp_path: Path, drop: Path
) -> None:
    await trust(far)
    await near.create("team", team())
    first = await near.export("team", drop / "z")
    await near.upload("team", [package("late", noarch="generic")])
    await near.export("team", drop / "a", since=first, part_bytes=2000)
    found = await scan(far, drop)
    assert {name: one.outcome for name, one in found.items()} == {"z": "done", "a": "done"}
    assert await far.digests("team") == await near.digests("team")
    assert {"z", "a.001", "a.002"} <= names_in(drop / "done")
    assert names_in(drop) == {"done", "refused"}
    listed = [one.filename for _, one in await list_dropped(far.services.core.database, before=None, limit=10)]
    assert listed == ["a", "z"]


async def test_what_is_refused_lies_beside_the_reason(near: Side, far: Side, drop: Path) -> None:
    await near.create("team", team())
    await near.export("team", drop / "untrusted")
    (drop / "notes.txt").write_text("hello")
    (drop / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    (drop / "link").symlink_to(drop / "notes.txt")
    found = await scan(far, drop)
    assert {one.outcome for one in found.values()} == {"refused"}
    assert names_in(drop) == {"done", "refused"}
    for name, said in [
        ("untrusted", "not signed by a key that is trusted"),
        ("notes.txt", "neither a bundle"),
        ("broken.zip", "neither a bundle"),
        ("link", "is a link"),
    ]:
        assert said in (drop / "refused" / f"{name}.txt").read_text()
    assert await far.digests("team") == {}


async def test_a_file_that_is_still_being_copied_is_left(near: Side, far: Side, drop: Path) -> None:
    await trust(far)
    await near.create("team", team())
    await near.export("team", drop / "full")
    (drop / "half.part").write_bytes(b"x")
    (drop / ".hidden").write_bytes(b"x")
    assert await scan(far, drop, settle_s=60) == {}
    with (drop / "full").open("rb") as holding:
        fcntl.flock(holding, fcntl.LOCK_EX)
        assert await scan(far, drop) == {}
    assert set(await scan(far, drop)) == {"full"}
    assert {"half.part", ".hidden"} <= names_in(drop)


async def test_parts_that_may_still_come_are_waited_for(near: Side, far: Side, tmp_path: Path, drop: Path) -> None:
    await trust(far)
    await near.create("team", team())
    await near.export("team", drop / "cut", part_bytes=1500)
    parts = sorted(drop.glob("cut.*"))
    last = parts[-1].rename(tmp_path / "last")
    assert await scan(far, drop) == {}
    last.rename(parts[-1])
    assert (await scan(far, drop))["cut"].outcome == "done"
    await near.export("team", drop / "again", part_bytes=1500)
    max(path for path in drop.glob("again.*") if path.suffix != ".json").unlink()
    found = await scan(far, drop, patience_s=-1)
    assert found["again"].outcome == "refused"
    assert "cut short" in found["again"].said


@pytest.mark.parametrize(
    ("filename", "sidecar", "channel"),
    [
        ("main.zip", None, "main"),
        ("main-2026-11.zip", None, "main"),
        ("vendor__main_20261121.zip", None, "vendor/main"),
        ("Whatever.zip", "vendor/other\n", "vendor/other"),
    ],
)
async def test_a_zip_goes_where_its_name_or_its_sidecar_says(
    far: Side, tmp_path: Path, drop: Path, filename: str, sidecar: str | None, channel: str
) -> None:
    write_tree(tmp_path / filename, shipped("1.0"), root="any/folder/")
    (tmp_path / filename).rename(drop / filename)
    if sidecar is not None:
        (drop / f"{filename}.channel").write_text(sidecar)
    found = (await scan(far, drop))[filename]
    assert (found.outcome, found.channel) == ("done", channel)
    assert set((await far.digests(channel))["noarch"]) == {"shipped"}
    assert names_in(drop) == {"done", "refused"}


async def test_a_newer_zip_replaces_the_state_and_keeps_what_it_lists(far: Side, tmp_path: Path, drop: Path) -> None:
    both = shipped("1.0", "2.0")
    write_tree(tmp_path / "main.zip", [*both, ("noarch", *package("leaving", noarch="generic"))])
    (tmp_path / "main.zip").rename(drop / "main.zip")
    await scan(far, drop)
    before = {name: one["indexed_timestamp"] for name, one in (await far.shard("main", "noarch", "shipped")).records()}
    more = [*both, *shipped("3.0"), *shipped("4.0")]
    write_tree(tmp_path / "main-2.zip", more, without="shipped-2.0-0.conda")
    with zipfile.ZipFile(tmp_path / "main-2.zip", "a"):
        pass
    (tmp_path / "main-2.zip").rename(drop / "main-2026-12.zip")
    assert (await scan(far, drop))["main-2026-12.zip"].outcome == "done"
    after = {name: one["indexed_timestamp"] for name, one in (await far.shard("main", "noarch", "shipped")).records()}
    assert set(after) == {f"shipped-{version}.0-0.conda" for version in (1, 2, 3, 4)}
    assert {name: after[name] for name in before} == before
    assert set((await far.digests("main"))["noarch"]) == {"shipped"}


async def test_a_record_without_its_file_is_not_listed(far: Side, tmp_path: Path, drop: Path) -> None:
    write_tree(tmp_path / "main.zip", shipped("1.0", "2.0"), without="shipped-2.0-0.conda")
    (tmp_path / "main.zip").rename(drop / "main.zip")
    await scan(far, drop)
    assert [name for name, _ in (await far.shard("main", "noarch", "shipped")).records()] == ["shipped-1.0-0.conda"]


async def test_an_unsigned_zip_never_changes_what_bundles_made(
    near: Side, far: Side, tmp_path: Path, drop: Path
) -> None:
    await near.create("team", team())
    await near.export("team", tmp_path / "full")
    await far.take(tmp_path / "full")
    await far.create("ours")
    before = await far.digests("team")
    for name in ("team.zip", "ours.zip"):
        write_tree(tmp_path / name, shipped("1.0"))
        (tmp_path / name).rename(drop / name)
    found = await scan(far, drop)
    assert {one.outcome for one in found.values()} == {"refused"}
    assert "signed bundles" in found["team.zip"].said
    assert "bundles go into channels of their own" in found["ours.zip"].said
    assert await far.digests("team") == before


def lying_zip(path: Path, members: Mapping[str, bytes | zipfile.ZipInfo]) -> None:
    write_tree(path, shipped("1.0"), without="shipped-1.0-0.conda")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            if isinstance(member, bytes):
                archive.writestr(name, member)
            else:
                archive.writestr(member, "/etc/passwd")


async def test_zips_that_lie_are_refused_and_change_nothing(far: Side, tmp_path: Path, drop: Path) -> None:
    link = zipfile.ZipInfo("noarch/shipped-1.0-0.conda")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    lies: dict[str, Mapping[str, bytes | zipfile.ZipInfo]] = {
        "other-bytes.zip": {"noarch/shipped-1.0-0.conda": b"something else"},
        "symlink.zip": {"noarch/shipped-1.0-0.conda": link},
        "bomb.zip": {"noarch/shipped-1.0-0.conda": bytes(40 << 20)},
        "two-channels.zip": {"elsewhere/noarch/repodata.json": b"{}"},
    }
    for name, members in lies.items():
        lying_zip(tmp_path / name, members)
        (tmp_path / name).rename(drop / name)
    found = await scan(far, drop)
    assert {name: one.outcome for name, one in found.items()} == dict.fromkeys(lies, "refused")
    for name in lies:
        assert far.services.catalog.find(name.removesuffix(".zip")) is None
    assert "its record says" in found["other-bytes.zip"].said
    assert "is a link" in found["symlink.zip"].said
    assert "200 times" in found["bomb.zip"].said
    assert "several channels" in found["two-channels.zip"].said


async def test_members_that_climb_are_never_written(far: Side, tmp_path: Path, drop: Path) -> None:
    write_tree(tmp_path / "main.zip", shipped("1.0"))
    with zipfile.ZipFile(tmp_path / "main.zip", "a") as archive:
        archive.writestr("../../escaped", "x")
        archive.writestr("/tmp/escaped-from-a-zip", "x")
    (tmp_path / "main.zip").rename(drop / "main.zip")
    assert (await scan(far, drop))["main.zip"].outcome == "done"
    assert not list(tmp_path.rglob("escaped*"))
    assert not Path("/tmp/escaped-from-a-zip").exists()


@pytest.mark.parametrize(
    "document",
    [
        {"id": "GHSA-x", "affected": []},
        {"vulnerabilities": [{"cve": {"id": "CVE-2026-1"}}]},
        [{"cve_id": "CVE-2026-1", "status": "cleared"}],
    ],
)
async def test_advisories_are_kept_by_digest(far: Side, drop: Path, document: object) -> None:
    with zipfile.ZipFile(drop / "cve.zip", "w") as archive:
        archive.writestr("feed/one.json", json.dumps(document))
    body = (drop / "cve.zip").read_bytes()
    found = (await scan(far, drop))["cve.zip"]
    assert (found.kind, found.outcome) == ("advisories", "done")
    folder = far.services.core.store.folder.advisories
    assert [path.name for path in folder.iterdir()] == [f"{found.sha256}.zip"]
    assert (folder / f"{found.sha256}.zip").read_bytes() == body


async def test_a_name_that_is_taken_gets_a_number(far: Side, drop: Path) -> None:
    for _ in range(2):
        (drop / "notes").write_text("hello")
        await scan(far, drop)
    assert names_in(drop / "refused") == {"notes", "notes.txt", "notes~1", "notes.txt~1"}


async def test_a_folder_that_is_not_there_is_an_error_not_an_end(far: Side, tmp_path: Path) -> None:
    with pytest.raises(HeadgateError) as raised:
        await scan(far, tmp_path / "nowhere")
    assert raised.value.code == "drop-folder-failed"


async def test_a_dropped_bundle_is_delivered(near: Side, far: Side, drop: Path) -> None:
    await trust(far)
    await near.create("team", team())
    await near.export("team", drop / "full")
    await scan(far, drop)
    await far.digests("team")
    channel = far.services.catalog.get("team")
    located = await far.services.locator.locate(channel, "noarch", ArtifactName.parse("app-1.0-0.conda"))
    assert far.services.core.store.find(located.sha256) is not None
