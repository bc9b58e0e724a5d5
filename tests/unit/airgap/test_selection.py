"""A selection brings what was named, all that it may need, and nothing else."""

from pathlib import Path

import pytest

from headgate.airgap.manifest import Selection
from headgate.kernel.errors import HeadgateError, Invalid
from tests.bundles import Packages, Side
from tests.packages import package


def channel() -> Packages:
    return [
        package("app", depends=["lib >=2", "plain", "__glibc >=2.17"], noarch="generic"),
        package("app", "2.0", depends=["lib >=3"], noarch="generic"),
        package("plain", extension=".tar.bz2", noarch="generic", depends=["ring"]),
        package("ring", noarch="generic", depends=["app"]),
        *(package("lib", version, subdir="linux-64") for version in ("1.0", "2.0", "2.1", "3.0")),
        package("lib", "2.0", subdir="osx-64"),
        package("other", subdir="linux-64"),
    ]


async def carried(near: Side, far: Side, tmp_path: Path, selection: Selection) -> set[str]:
    """The files that the far side lists."""
    await near.create("team", channel())
    await near.export("team", tmp_path / "some", selection=selection)
    await far.take(tmp_path / "some")
    return {
        f"{subdir}/{filename}"
        for subdir, names in (await far.digests("team")).items()
        for name in names
        for filename, _ in (await far.shard("team", subdir, name)).records()
    }


async def test_a_spec_brings_every_record_that_may_be_needed(near: Side, far: Side, tmp_path: Path) -> None:
    found = await carried(near, far, tmp_path, Selection(specs=("app 1.*",), subdirs=("noarch", "linux-64")))
    # The ring leads back to any app, and so to a newer lib.
    assert found == {
        "linux-64/lib-2.0-0.conda", "linux-64/lib-2.1-0.conda", "linux-64/lib-3.0-0.conda",
        "noarch/app-1.0-0.conda", "noarch/app-2.0-0.conda", "noarch/plain-1.0-0.tar.bz2", "noarch/ring-1.0-0.conda",
    }  # fmt: skip


async def test_files_bring_themselves_alone(near: Side, far: Side, tmp_path: Path) -> None:
    wanted = {"linux-64/lib-2.0-0.conda": "", "noarch/app-1.0-0.conda": ""}
    assert await carried(near, far, tmp_path, Selection(files=wanted)) == set(wanted)


async def test_subdirs_bring_all_that_is_in_them(near: Side, far: Side, tmp_path: Path) -> None:
    assert await carried(near, far, tmp_path, Selection(subdirs=("osx-64",))) == {"osx-64/lib-2.0-0.conda"}


@pytest.mark.parametrize(
    ("selection", "code"),
    [
        (Selection(specs=("nothing >=1",)), "selection-unmet"),
        (Selection(specs=("lib >=9",)), "selection-unmet"),
        (Selection(files={"linux-64/gone-1.0-0.conda": ""}), "selection-unmet"),
        (Selection(files={"linux-64/lib-1.0-0.conda": "0" * 64}), "selection-unmet"),
        (Selection(subdirs=("win-64",)), "subdir-unknown"),
    ],
)
async def test_what_the_channel_lacks_is_said(near: Side, tmp_path: Path, selection: Selection, code: str) -> None:
    await near.create("team", channel())
    with pytest.raises(HeadgateError) as raised:
        await near.export("team", tmp_path / "some", selection=selection)
    assert raised.value.code == code


async def test_an_increment_keeps_the_selection(near: Side, far: Side, tmp_path: Path) -> None:
    await near.create("team", channel())
    first = await near.export("team", tmp_path / "0", selection=Selection(subdirs=("linux-64",), specs=("lib >=3",)))
    await near.upload("team", [package("lib", "4.0", subdir="linux-64"), package("new", subdir="linux-64")])
    await near.export("team", tmp_path / "1", since=first)
    await far.take(tmp_path / "0")
    assert (await far.take(tmp_path / "1")).files == 1
    shard = await far.shard("team", "linux-64", "lib")
    assert {filename for filename, _ in shard.records()} == {"lib-3.0-0.conda", "lib-4.0-0.conda"}
    assert set((await far.digests("team"))["linux-64"]) == {"lib"}


async def test_all_misses_are_told_at_once(near: Side, tmp_path: Path) -> None:
    await near.create("team", channel())
    with pytest.raises(Invalid) as raised:
        await near.export("team", tmp_path / "some", selection=Selection(specs=("a", "b", "c")))
    assert len(raised.value.reasons) == 3
