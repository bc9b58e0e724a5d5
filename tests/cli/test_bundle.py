"""`headgate bundle` where no server is needed: keys, and bundles looked at with distrust."""

import asyncio
import json
import stat
import tarfile
from pathlib import Path

import pytest

from tests.bundles import Side, team
from tests.conftest import migrated_place
from tests.live import headgate


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle `full`, the same in parts `cut`, and the key `K`."""
    root = tmp_path_factory.mktemp("carried")
    place = migrated_place(root / "near")

    async def work() -> None:
        near = await Side.open(place, root / "K")
        await near.create("team", team())
        await near.export("team", root / "full")
        await near.export("team", root / "cut", part_bytes=4096)
        await near.services.close()

    asyncio.run(work())
    return root


def test_keygen_writes_a_pair_once(tmp_path: Path) -> None:
    made = headgate("bundle", "keygen", "--out", tmp_path / "K", "--json")
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE((tmp_path / "K").stat().st_mode) == 0o600
    secret = (tmp_path / "K").read_text().split()[1]
    assert json.loads(made.stdout)["key"] == (tmp_path / "K.pub").read_text().split()[1]
    again = headgate("bundle", "keygen", "--out", tmp_path / "K")
    assert again.returncode == 1
    assert "no key is overwritten" in again.stderr
    assert secret == (tmp_path / "K").read_text().split()[1]
    assert secret not in made.stdout + made.stderr + again.stdout + again.stderr


@pytest.mark.parametrize("name", ["full", "cut", "cut.001"])
def test_a_sound_bundle_is_verified(carried: Path, name: str) -> None:
    done = headgate("bundle", "verify", carried / name, "--trust", carried / "K.pub", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["channel"], found["number"], found["artifacts"], found["follows"]) == ("team", 0, 5, None)


def test_a_manifest_is_signed_as_the_bundle_itself_is(carried: Path) -> None:
    signed = headgate("bundle", "sign", carried / "full", "--key", carried / "K", "--json")
    assert signed.returncode == 0, signed.stderr
    with tarfile.open(carried / "full") as archive:
        member = archive.extractfile("manifest.sig")
        assert member is not None
        assert json.loads(signed.stdout)["signature"] == member.read().hex()
    assert headgate("bundle", "sign", carried / "K", "--key", carried / "K").returncode == 1


def test_what_is_wrong_with_a_bundle_is_said(carried: Path, tmp_path: Path) -> None:
    headgate("bundle", "keygen", "--out", tmp_path / "other")
    body = (carried / "full").read_bytes()
    flipped = bytearray(body)
    flipped[len(body) // 2] ^= 1
    (tmp_path / "flipped").write_bytes(flipped)
    (tmp_path / "cut-short").write_bytes(body[:-3000])
    (tmp_path / "no-bundle").write_bytes(b"hello" * 1000)
    for part in carried.glob("cut.*"):
        if part.suffix != ".002":
            (tmp_path / part.name).write_bytes(part.read_bytes())
    for name, key, said in [
        ("flipped", carried / "K.pub", "damaged"),
        ("cut-short", carried / "K.pub", "cut short"),
        ("no-bundle", carried / "K.pub", "is not a bundle"),
        ("cut", carried / "K.pub", "cut.002 is missing"),
        ("nowhere", carried / "K.pub", "There is no bundle"),
        ("flipped", tmp_path / "other.pub", "not signed by a key that is trusted"),
        ("flipped", carried / "K", "is not a file that begins with headgate-ed25519-public"),
    ]:
        done = headgate("bundle", "verify", tmp_path / name, "--trust", key)
        assert done.returncode == 1, (name, done.stdout)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
