"""A bundle of what a policy would let pass: judged as if it were enforced, though it may hold nowhere."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from headgate.airgap.manifest import Manifest, Selection, decode_manifest, encode_manifest
from headgate.channels.exempting import Wish
from headgate.db import tables
from headgate.kernel.errors import HeadgateError
from headgate.policy.exemptions import ExemptionKind
from tests.bundles import Packages, Side
from tests.packages import package

STRICT = Selection(policy="strict")


def channel() -> Packages:
    return [
        package("app", depends=["lib >=2"], noarch="generic"),
        package("gone", noarch="generic"),
        *(package("lib", version, subdir="linux-64") for version in ("1.0", "2.0", "3.0")),
    ]


@pytest.fixture
async def team(near: Side) -> Side:
    """The near side with a channel, and a policy that is off and attached nowhere."""
    await near.create("team", channel())
    await apply(near, "lib >=3", "gone")
    return near


async def apply(side: Side, *specs: str, name: str = "strict", mode: str = "off") -> None:
    rule = {"kind": "match-spec", "exclude": list(specs), "action": "block"}
    await side.services.core.policies.apply("test", {"name": name, "mode": mode, "rule": [rule]})


async def files(side: Side) -> set[str]:
    """The files that the channel lists."""
    return {
        f"{subdir}/{filename}"
        for subdir, names in (await side.digests("team")).items()
        for name in names
        for filename, _ in (await side.shard("team", subdir, name)).records()
    }


PASSING = {"noarch/app-1.0-0.conda", "linux-64/lib-1.0-0.conda", "linux-64/lib-2.0-0.conda"}


async def test_what_a_policy_holds_back_stays_behind(team: Side, far: Side, tmp_path: Path) -> None:
    manifest = decode_manifest(await team.export("team", tmp_path / "some", selection=STRICT))
    assert len(manifest.files()) == 3
    assert manifest.judged_by is not None
    assert (manifest.judged_by.policy, manifest.judged_by.version) == ("strict", 1)
    taken = await far.take(tmp_path / "some")
    assert taken.policy == "strict (version 1)"
    assert "It holds what policy strict (version 1) let pass." in taken.told_besides()
    assert await files(far) == PASSING
    assert len(await files(team)) == 5
    async with far.services.core.database.read() as connection:
        causes = set((await connection.execute(select(tables.revision.c.cause))).scalars())
    assert any("of what policy strict (version 1) let pass" in cause for cause in causes)


async def test_an_exemption_counts_as_it_would_there(team: Side, far: Side, tmp_path: Path) -> None:
    wish = Wish(kind=ExemptionKind.SPEC, target="lib 3.*", reason="needed", owner="ada", channel="team")
    await team.services.core.exemptions.add("test", wish)
    await team.export("team", tmp_path / "some", selection=STRICT)
    await far.take(tmp_path / "some")
    assert await files(far) == PASSING | {"linux-64/lib-3.0-0.conda"}


async def test_dependencies_are_taken_from_what_passes(team: Side, far: Side, tmp_path: Path) -> None:
    done = await team.prepare("team", Selection(policy="strict", specs=("app",), subdirs=("noarch", "linux-64")))
    assert (done.files, done.held_back, done.policy) == (2, 1, "strict (version 1)")
    await team.export("team", tmp_path / "some", selection=Selection(policy="strict", specs=("app",)))
    await far.take(tmp_path / "some")
    assert await files(far) == {"noarch/app-1.0-0.conda", "linux-64/lib-2.0-0.conda"}


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"files": {"linux-64/lib-3.0-0.conda": ""}}, "linux-64/lib-3.0-0.conda is held back: strict, match-spec: "),
        ({"specs": ("lib >=3",)}, "as linux-64/lib-3.0-0.conda: strict, match-spec: "),
        ({"specs": ("lib >=4",)}, "Nothing satisfies 'lib >=4'."),
    ],
)
async def test_what_is_wanted_and_held_back_is_said_with_its_rule(
    team: Side, selection: dict[str, Any], said: str
) -> None:
    with pytest.raises(HeadgateError) as raised:
        await team.prepare("team", Selection(policy="strict", **selection))
    assert raised.value.code == "selection-unmet"
    (reason,) = raised.value.reasons
    assert said in reason


async def test_a_lock_file_of_what_passes_goes_along(team: Side) -> None:
    wanted = {"linux-64/lib-2.0-0.conda": "", "noarch/app-1.0-0.conda": ""}
    assert (await team.prepare("team", Selection(policy="strict", files=wanted))).files == 2


async def test_a_policy_that_is_not_there_is_not_found(team: Side) -> None:
    with pytest.raises(HeadgateError) as raised:
        await team.prepare("team", Selection(policy="lax"))
    assert raised.value.code == "policy-unknown"


async def test_an_increment_keeps_the_policy_and_says_when_it_changed(team: Side, far: Side, tmp_path: Path) -> None:
    first = await team.export("team", tmp_path / "0", selection=STRICT)
    same = await team.prepare("team", Selection(), first)
    assert (same.policy, same.notes, same.shards) == ("strict (version 1)", (), 0)
    await apply(team, "lib >=3", "gone", mode="audit")
    assert (await team.prepare("team", Selection(), first)).notes == ()
    await apply(team, "lib <2", "gone")
    (note,) = (await team.prepare("team", Selection(), first)).notes
    assert note.startswith("Policy strict has changed since the bundle before it, from version 1 to 3")
    await team.export("team", tmp_path / "1", since=first)
    for name in ("0", "1"):
        await far.take(tmp_path / name)
    assert await files(far) == {"noarch/app-1.0-0.conda", "linux-64/lib-2.0-0.conda", "linux-64/lib-3.0-0.conda"}


async def test_an_increment_says_that_another_policy_or_none_judged_it(team: Side, tmp_path: Path) -> None:
    await apply(team, "gone", name="mild")
    judged = await team.export("team", tmp_path / "0", selection=STRICT)
    whole = await team.export("team", tmp_path / "1")
    for since, selection, said in (
        (judged, Selection(subdirs=("noarch",)), "this one is judged by none"),
        (judged, Selection(policy="mild"), "by policy strict (version 1), this one by mild (version 1)"),
        (whole, STRICT, "judged by no policy"),
    ):
        (note,) = (await team.prepare("team", selection, since)).notes
        assert said in note
    assert (await team.prepare("team", Selection(), whole)).notes == ()


async def test_the_event_names_the_policy(team: Side) -> None:
    await team.prepare("team", STRICT)
    columns = tables.audit_event.c
    async with team.services.core.database.read() as connection:
        statement = select(columns.detail).where(columns.action == "bundle:export")
        (detail,) = (await connection.execute(statement)).scalars()
    assert (detail["policy"], detail["policy_version"]) == ("strict", 1)


async def test_manifests_without_a_policy_say_nothing_of_one(team: Side, tmp_path: Path) -> None:
    """So those of other versions are read here, and they read ours."""
    data = await team.export("team", tmp_path / "whole")
    plain = msgspec.json.decode(data)
    assert "judged_by" not in plain
    assert "policy" not in plain["selection"]
    old = plain | {"sections": {}, "selection": {"subdirs": [], "specs": [], "files": {}, "has_advisories": False}}
    found = decode_manifest(msgspec.json.encode(old))
    assert encode_manifest(found) == data
    assert isinstance(found, Manifest)
    assert found.judged_by is None
