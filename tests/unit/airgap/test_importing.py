"""What is carried arrives as it was, in order, or not at all."""

from pathlib import Path

import pytest

from headgate.airgap.keys import generate_key, load_private_key, sign
from headgate.airgap.manifest import manifest_id
from headgate.airgap.reading import open_bundle
from headgate.channels.model import ChannelKind
from headgate.conda.names import ArtifactName, ChannelName
from headgate.delivery.sources import StoredFile
from headgate.kernel.errors import Conflict, HeadgateError, Invalid, Refused
from tests.bundles import Side, team
from tests.packages import package


async def test_a_full_bundle_brings_equal_shards_and_bytes(near: Side, far: Side, tmp_path: Path) -> None:
    made = team()
    await near.create("team", made)
    await near.export("team", tmp_path / "full")
    done = await far.take(tmp_path / "full")
    assert (done.is_new, done.number, done.files) == (True, 0, 5)
    assert await far.digests("team") == await near.digests("team")
    assert await far.shard("team", "linux-64", "lib") == await near.shard("team", "linux-64", "lib")
    channel = far.services.catalog.get("team")
    assert channel.kind is ChannelKind.BUNDLE
    located = await far.services.locator.locate(channel, "linux-64", ArtifactName.parse("lib-2.0-0.conda"))
    body = await far.services.delivery.open(located)
    assert isinstance(body, StoredFile)
    assert Path(body.path).read_bytes() == dict(made)["lib-2.0-0.conda"]


async def test_an_increment_brings_what_is_new_and_removes_what_left(near: Side, far: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    full = await near.export("team", tmp_path / "full")
    await far.take(tmp_path / "full")
    fresh = package("lib", "3.0", subdir="linux-64", content=b"three")
    await near.upload("team", [fresh])
    await near.delete("team", "linux-64", "other-1.0-0.conda")
    await near.delete("team", "linux-64", "lib-1.0-0.conda")
    await near.export("team", tmp_path / "more", since=full)
    assert (tmp_path / "more").stat().st_size < (tmp_path / "full").stat().st_size
    with open_bundle(tmp_path / "more") as reader:
        signed = reader.verify(far.trusted)
    assert len(signed.manifest.files()) == 1
    done = await far.take(tmp_path / "more")
    assert (done.number, done.files, done.changed) == (1, 1, 2)
    assert await far.digests("team") == await near.digests("team")
    channel = far.services.catalog.get("team")
    for gone in ("other-1.0-0.conda", "lib-1.0-0.conda"):
        with pytest.raises(HeadgateError) as raised:
            await far.services.locator.locate(channel, "linux-64", ArtifactName.parse(gone))
        assert raised.value.code == "artifact-unknown"


async def test_the_same_bundle_again_changes_nothing(near: Side, far: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    await near.export("team", tmp_path / "full")
    await far.take(tmp_path / "full")
    before = (await far.digests("team"), far.services.catalog.get("team").revision)
    assert (await far.take(tmp_path / "full")).is_new is False
    assert (await far.digests("team"), far.services.catalog.get("team").revision) == before


async def test_a_bundle_of_unchanged_content_has_the_same_bytes(near: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    await near.export("team", tmp_path / "one")
    await near.export("team", tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


async def chain(near: Side, tmp_path: Path, length: int) -> list[bytes]:
    """A full bundle and increments, named 0, 1, ...; their manifests."""
    await near.create("team", team())
    manifests = [await near.export("team", tmp_path / "0")]
    for number in range(1, length):
        await near.upload("team", [package("more", f"{number}.0", noarch="generic")])
        manifests.append(await near.export("team", tmp_path / str(number), since=manifests[-1]))
    return manifests


async def test_a_gap_is_refused_with_the_names_of_what_is_missing(near: Side, far: Side, tmp_path: Path) -> None:
    manifests = await chain(near, tmp_path, 4)
    await far.take(tmp_path / "0")
    before = await far.digests("team")
    with pytest.raises(Conflict) as raised:
        await far.take(tmp_path / "3")
    assert raised.value.code == "bundle-gap"
    for number in (1, 2):
        assert f"team #{number} ({manifest_id(manifests[number])[:12]})" in raised.value.message
    assert await far.digests("team") == before
    for number in (1, 2, 3):
        await far.take(tmp_path / str(number))
    assert await far.digests("team") == await near.digests("team")


async def test_an_increment_needs_its_full_bundle(near: Side, far: Side, tmp_path: Path) -> None:
    await chain(near, tmp_path, 2)
    with pytest.raises(Conflict) as raised:
        await far.take(tmp_path / "1")
    assert raised.value.code == "bundle-gap"
    assert await far.digests("team") == {}


async def test_what_came_before_is_not_taken_in_again(near: Side, far: Side, tmp_path: Path) -> None:
    await chain(near, tmp_path, 3)
    for number in range(3):
        await far.take(tmp_path / str(number))
    before = await far.digests("team")
    for number in (0, 1):
        with pytest.raises(Conflict) as raised:
            await far.take(tmp_path / str(number))
        assert raised.value.code == "bundle-old"
    assert await far.digests("team") == before


async def test_two_increments_of_one_bundle_do_not_follow_each_other(near: Side, far: Side, tmp_path: Path) -> None:
    manifests = await chain(near, tmp_path, 2)
    await near.upload("team", [package("late", noarch="generic")])
    await near.export("team", tmp_path / "fork", since=manifests[0])
    await far.take(tmp_path / "0")
    await far.take(tmp_path / "1")
    with pytest.raises(Conflict) as raised:
        await far.take(tmp_path / "fork")
    assert raised.value.code == "bundle-order"


async def test_another_key_is_not_trusted(near: Side, far: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    await near.export("team", tmp_path / "full")
    other = {"other": generate_key(tmp_path / "other")}
    for trusted in (other, {}):
        with pytest.raises(Refused) as raised:
            await far.take(tmp_path / "full", trusted=trusted)
        assert raised.value.code == "bundle-untrusted"
    assert await far.digests("team") == {}


async def test_no_flipped_byte_is_taken_in(near: Side, far: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    await near.export("team", tmp_path / "full")
    sound = (tmp_path / "full").read_bytes()
    damaged = tmp_path / "damaged"
    codes = set()
    for place in range(0, len(sound), max(1, len(sound) // 150)):
        body = bytearray(sound)
        body[place] ^= 0x10
        damaged.write_bytes(body)
        with pytest.raises(HeadgateError) as raised:
            await far.take(damaged)
        codes.add(raised.value.code)
        assert await far.digests("team") == {}
        for path in far.services.core.store.folder.blobs.rglob("*"):
            if path.is_file():
                path.unlink()
    assert codes <= {"bundle-untrusted", "bundle-invalid", "bundle-damaged", "bundle-truncated"}
    assert {"bundle-untrusted", "bundle-damaged"} <= codes


@pytest.mark.parametrize("part_bytes", [1000, 4096])
async def test_parts_are_joined_and_a_missing_one_is_named(
    near: Side, far: Side, tmp_path: Path, part_bytes: int
) -> None:
    await near.create("team", team())
    await near.export("team", tmp_path / "cut", part_bytes=part_bytes)
    parts = sorted(tmp_path.glob("cut.*"))
    assert len(parts) > 2
    assert all(part.stat().st_size == part_bytes for part in parts[:-1])
    kept = parts[1].read_bytes()
    parts[1].unlink()
    with pytest.raises(Invalid) as raised:
        open_bundle(tmp_path / "cut")
    assert raised.value.code == "bundle-part-missing"
    assert "cut.002" in raised.value.message
    parts[1].write_bytes(kept)
    last = parts[-1].read_bytes()
    parts[-1].unlink()
    with pytest.raises(Invalid) as raised:
        await far.take(*parts[:-1])
    assert raised.value.code == "bundle-truncated"
    parts[-1].write_bytes(last)
    await far.take(*parts)
    assert await far.digests("team") == await near.digests("team")


async def test_a_bundle_that_lies_about_its_shards_is_refused(near: Side, far: Side, tmp_path: Path) -> None:
    """Even a trusted key cannot make a shard list files that the manifest does not tell of."""
    await near.create("team", team())
    manifest = await near.export("team", tmp_path / "full")
    body = (tmp_path / "full").read_bytes()
    lied = manifest.replace(b'"app":', b'"aqq":')
    assert lied != manifest
    sound_signature, lie_signature = (sign(load_private_key(near.key), one) for one in (manifest, lied))
    (tmp_path / "lie").write_bytes(body.replace(manifest, lied).replace(sound_signature, lie_signature))
    with pytest.raises(Invalid) as raised:
        await far.take(tmp_path / "lie")
    assert raised.value.code == "bundle-invalid"
    assert await far.digests("team") == {}


async def test_no_channel_of_another_kind_is_written_over(near: Side, far: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    await near.export("team", tmp_path / "full")
    await far.create("team", [package("ours", noarch="generic")])
    before = await far.digests("team")
    with pytest.raises(Conflict) as raised:
        await far.take(tmp_path / "full")
    assert raised.value.code == "kind-unfit"
    assert await far.digests("team") == before
    await far.take(tmp_path / "full", channel="team-from-afar")
    assert await far.digests("team-from-afar") == await near.digests("team")


async def test_missing_bytes_undo_everything(near: Side, far: Side, tmp_path: Path) -> None:
    """An increment that leans on a file which is gone here changes nothing."""
    await near.create("team", team())
    full = await near.export("team", tmp_path / "full")
    await far.take(tmp_path / "full")
    before = await far.digests("team")
    await near.upload("team", [package("lib", "3.0", subdir="linux-64"), package("app", "2.0", noarch="generic")])
    await near.export("team", tmp_path / "more", since=full)
    for _, sha256, _ in [
        (name, record["sha256"].hex(), None) for name, record in (await far.shard("team", "linux-64", "lib")).records()
    ]:
        far.services.core.store.path(sha256).unlink()
    with pytest.raises(Conflict) as raised:
        await far.take(tmp_path / "more")
    assert raised.value.code == "bundle-incomplete"
    assert await far.digests("team") == before


async def test_an_increment_follows_only_its_own_channel(near: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    await near.create("others", team())
    full = await near.export("team", tmp_path / "full")
    with pytest.raises(Conflict) as raised:
        await near.export("others", tmp_path / "more", since=full)
    assert raised.value.code == "bundle-foreign"
    assert not (tmp_path / "more").exists()


async def test_a_virtual_channel_shows_what_was_carried_in(near: Side, far: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    await near.export("team", tmp_path / "full")
    await far.take(tmp_path / "full")
    await far.services.core.channels.create(
        "test", ChannelName("all"), ChannelKind.VIRTUAL, members=[ChannelName("team")]
    )
    assert await far.digests("all") == await near.digests("team")
