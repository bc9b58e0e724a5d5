"""Two servers, and nothing between them but files that somebody carries: what one has, clients of the other install."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from headgate.conda.shards import decode_index
from tests.bundles import team
from tests.clients.conftest import Rattler
from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import FolderServer, write_channel
from tests.waiting import eventually

pytestmark = pytest.mark.slow


@dataclass
class Gap:
    """A near server with a public hosted channel `team`, a far one with a drop folder, and a bag to carry things in."""

    near: LiveServer
    far: LiveServer
    bag: Path
    drop: Path

    def upload(self, *packages: tuple[str, bytes]) -> None:
        for filename, body in packages:
            (self.bag / filename).write_bytes(body)
            self.near.json("upload", "team", self.bag / filename)

    def export(self, name: str, *words: str | Path, channel: str = "team") -> Any:
        key = ("--key", self.bag / "K", "--out", self.bag / name)
        return self.near.json("bundle", "export", channel, *key, *words)

    def take(self, name: str, *words: str | Path) -> Any:
        return self.far.json("bundle", "import", self.bag / name, "--trust", self.bag / "K.pub", *words)

    def refused(self, name: str, *words: str | Path) -> str:
        """What the far side says when it does not take a bundle."""
        done = self.far.run("bundle", "import", self.bag / name, "--trust", self.bag / "K.pub", *words)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def publish(self, channel: str) -> None:
        self.far.json("channel", "set", channel, "--privacy", "public")


def state(server: LiveServer, channel: str) -> dict[str, dict[str, bytes]]:
    """subdir -> name -> shard digest, as the server publishes it."""
    found = {}
    for subdir in ("noarch", "linux-64"):
        with urlopen(f"{server.url}/conda/{channel}/{subdir}/repodata_shards.msgpack.zst") as answer:
            found[subdir] = decode_index(answer.read()).shards
    return found


@pytest.fixture
def gap(tmp_path: Path) -> Iterator[Gap]:
    bag, drop = tmp_path / "bag", tmp_path / "drop"
    bag.mkdir()
    drop.mkdir()
    nowhere = (tmp_path / "nowhere").as_uri()
    settings = {
        "HEADGATE_AIRGAP__DROP_FOLDER": str(drop),
        "HEADGATE_AIRGAP__SCAN_SECONDS": "1",
        "HEADGATE_AIRGAP__SETTLE_SECONDS": "0.5",
    }
    with ExitStack() as stack:
        near = stack.enter_context(LiveServer(tmp_path / "near", upstream=nowhere))
        far = stack.enter_context(LiveServer(tmp_path / "far", upstream=nowhere, env=settings))
        one = Gap(near, far, bag, drop)
        near.json("bundle", "keygen", "--out", bag / "K")
        near.json("channel", "create", "team", "--kind", "hosted", "--privacy", "public")
        yield one


def test_a_channel_and_its_increments_cross_the_gap_in_order_or_not_at_all(gap: Gap, tmp_path: Path) -> None:
    gap.upload(*team())
    assert gap.export("full")["number"] == 0
    assert gap.take("full")["files"] == 5
    gap.publish("team")
    assert state(gap.far, "team") == state(gap.near, "team")
    url = f"{gap.far.url}/conda/team"
    assert Rattler(tmp_path / "first").install(url, ["app"]) == [
        "app-1.0-0.conda", "lib-2.0-0.conda", "plain-1.0-0.tar.bz2"
    ]  # fmt: skip

    gap.upload(package("lib", "3.0", subdir="linux-64", content=b"three" * 100))
    assert gap.export("one", "--since", gap.bag / "full")["artifacts"] == 1
    gap.near.json("artifact", "delete", "team", "linux-64/other-1.0-0.conda")
    gap.upload(package("late", noarch="generic", depends=["lib >=3"]))
    after_two = gap.export("two", "--since", gap.bag / "one.manifest.json")
    assert (after_two["number"], after_two["artifacts"]) == (2, 1)

    before = state(gap.far, "team")
    said = gap.refused("two")
    assert "team #1" in said
    assert "first" in said
    flipped = bytearray((gap.bag / "one").read_bytes())
    flipped[-1500] ^= 1
    (gap.bag / "flipped").write_bytes(flipped)
    assert "damaged" in gap.refused("flipped")
    assert state(gap.far, "team") == before

    gap.take("one")
    gap.take("two")
    assert state(gap.far, "team") == state(gap.near, "team")
    assert "other" not in state(gap.far, "team")["linux-64"]
    assert Rattler(tmp_path / "second").install(url, ["late"]) == ["late-1.0-0.conda", "lib-3.0-0.conda"]
    assert "before" in gap.refused("one")


def test_a_part_of_a_mirror_crosses_with_its_bytes(gap: Gap, tmp_path: Path) -> None:
    """What a mirror never fetched is fetched for the bundle; only what was selected, and what that needs, goes along."""
    root = tmp_path / "outer"
    made = [
        ("linux-64", *package("tool", subdir="linux-64", depends=["part >=1"])),
        ("linux-64", *package("part", "1.5", subdir="linux-64")),
        ("linux-64", *package("unwanted", subdir="linux-64")),
    ]
    write_channel(root, made)
    path = root / "linux-64" / "repodata.json"
    document = json.loads(path.read_bytes())
    document["packages.conda"]["tool-1.0-0.conda"]["depends"] = ["part >=1"]
    path.write_text(json.dumps(document))
    path.with_suffix(".json.zst").unlink()
    with FolderServer(root) as upstream:
        gap.near.json("mirror", "add", "outer", upstream.url)
        gap.near.json("mirror", "sync", "outer", "--subdir", "linux-64", "--subdir", "noarch", "--wait")
        done = gap.export("outer.tar", "--spec", "tool", "--split", "1K", channel="outer")
    assert done["artifacts"] == 2
    assert len(done["files"]) > 2
    gap.take("outer.tar", "--channel", "from/outside")
    gap.publish("from/outside")
    installed = Rattler(tmp_path / "client").install(f"{gap.far.url}/conda/from/outside", ["tool"])
    assert installed == ["part-1.5-0.conda", "tool-1.0-0.conda"]
    assert set(state(gap.far, "from/outside")["linux-64"]) == {"part", "tool"}


def test_what_a_policy_would_hold_back_stays_on_this_side(gap: Gap, tmp_path: Path) -> None:
    """The policy is off and attached nowhere: clients of the near side go on installing what the bundle leaves out."""
    gap.upload(*team(), package("lib", "3.0", subdir="linux-64", content=b"three" * 100))
    (gap.bag / "strict.toml").write_text(
        'name = "strict"\nmode = "off"\n[[rule]]\nkind = "match-spec"\nexclude = ["lib >=3", "other"]\naction = "block"\n'
    )
    gap.near.json("policy", "apply", gap.bag / "strict.toml")
    done = gap.export("some", "--policy", "strict")
    assert (done["policy"], done["artifacts"], done["held_back"]) == ("strict (version 1)", 4, 2)
    assert gap.take("some")["policy"] == "strict (version 1)"
    gap.publish("team")
    assert set(state(gap.far, "team")["linux-64"]) == {"lib"}
    installed = {
        name: Rattler(tmp_path / name).install(f"{side.url}/conda/team", ["app"])
        for name, side in (("near", gap.near), ("far", gap.far))
    }
    assert "lib-3.0-0.conda" in installed["near"]
    assert installed["far"] == ["app-1.0-0.conda", "lib-2.0-0.conda", "plain-1.0-0.tar.bz2"]
    assert gap.export("next", "--since", gap.bag / "some")["policy"] == "strict (version 1)"
    key = ("--key", gap.bag / "K", "--out", gap.bag / "none", "--data", gap.near.data)
    for words in (("--policy", "strict"), ("--since", gap.bag / "some")):
        refused = gap.near.run("bundle", "export", "team", *key, *words)
        assert refused.returncode == 1
        assert "Start the server" in refused.stderr


def test_what_is_dropped_is_taken_in_or_put_aside_with_a_reason(gap: Gap, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    write_channel(root, [("noarch", *package("shipped", noarch="generic"))])
    with zipfile.ZipFile(gap.bag / "vendor__main-2026-11.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(root))
    advisory = json.dumps({"id": "CVE-2026-1", "aliases": [], "affected": []})
    with zipfile.ZipFile(gap.bag / "cve.zip", "w") as archive:
        archive.writestr("CVE-2026-1.json", advisory)
    (gap.bag / "notes.txt").write_text("nothing of ours")
    gap.upload(*team())
    gap.export("team.bundle")
    gap.far.json("bundle", "trust", "add", "outside", gap.bag / "K.pub")
    names = ("vendor__main-2026-11.zip", "cve.zip", "notes.txt", "team.bundle")
    for name in names:
        (gap.drop / name).write_bytes((gap.bag / name).read_bytes())

    def outcomes() -> dict[str, Any]:
        found = {one["filename"]: one for one in gap.far.json("bundle", "dropped")}
        return found if len(found) == len(names) else {}

    found = eventually(outcomes, 60)
    assert {name: one["outcome"] for name, one in found.items()} == {
        "vendor__main-2026-11.zip": "done", "cve.zip": "done", "notes.txt": "refused", "team.bundle": "done"
    }  # fmt: skip
    assert (gap.drop / "done" / "team.bundle").is_file()
    assert "neither a bundle" in (gap.drop / "refused" / "notes.txt.txt").read_text()
    kept = hashlib.sha256((gap.bag / "cve.zip").read_bytes()).hexdigest()
    assert found["cve.zip"]["sha256"] == kept
    assert (gap.far.data / "advisories" / f"{kept}.zip").read_bytes() == (gap.bag / "cve.zip").read_bytes()
    for channel in ("vendor/main", "team"):
        gap.publish(channel)
    client = Rattler(tmp_path / "client")
    assert client.install(f"{gap.far.url}/conda/vendor/main", ["shipped"]) == ["shipped-1.0-0.conda"]
    assert state(gap.far, "team") == state(gap.near, "team")


def test_a_bundle_can_be_made_and_taken_in_without_a_server(gap: Gap, tmp_path: Path) -> None:
    gap.upload(*team())
    gap.near.stop()
    gap.far.stop()
    gap.export("full", "--data", gap.near.data)
    assert gap.near.json("bundle", "verify", gap.bag / "full", "--trust", gap.bag / "K.pub")["artifacts"] == 5
    assert gap.take("full", "--data", gap.far.data)["files"] == 5
    gap.near.start()
    gap.far.start()
    gap.publish("team")
    assert state(gap.far, "team") == state(gap.near, "team")


def test_the_drop_folder_is_looked_through_when_a_mirror_runs(tmp_path: Path) -> None:
    drop, root = tmp_path / "drop", tmp_path / "outer"
    drop.mkdir()
    write_channel(root, [])
    settings = {
        "HEADGATE_AIRGAP__DROP_FOLDER": str(drop),
        "HEADGATE_AIRGAP__SCAN_SECONDS": "86400",
        "HEADGATE_AIRGAP__SETTLE_SECONDS": "0",
    }
    with LiveServer(tmp_path / "data", upstream=root.as_uri(), env=settings) as server:
        (drop / "notes").write_text("hello")
        assert server.json("mirror", "sync", "unapproved-conda", "--subdir", "noarch", "--wait")["state"] == "done"
        assert eventually((drop / "refused" / "notes.txt").exists)
        (drop / "more").write_text("hello")
        job = server.json("bundle", "scan", "--wait")
        assert [one["filename"] for one in job["result"]] == ["more"]


def test_a_mirror_follows_a_zip(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    write_channel(root, [("noarch", *package("zipped", noarch="generic"))])
    with zipfile.ZipFile(tmp_path / "main.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(root))
    with LiveServer(tmp_path / "data", upstream=(tmp_path / "main.zip").as_uri()) as server:
        url = f"{server.url}/conda/unapproved-conda"
        assert Rattler(tmp_path / "client").install(url, ["zipped"]) == ["zipped-1.0-0.conda"]
