"""Files of hosted channels that are changed together: all of them or none, as one revision per subdir."""

from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import select

from headgate.approvals.batches import Batch, BatchAction, BatchWish, FileFate
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.channels.policing import Target
from headgate.conda.names import ChannelName, Subdir
from headgate.db import tables
from headgate.kernel.errors import Conflict, Invalid, NotFound
from tests.packages import package

TEAM, DEV = ChannelName("team"), ChannelName("team/dev")
ONE, TWO, NATIVE = "demo-1.0-0.conda", "demo-2.0-0.conda", "native-1.0-0.conda"


@pytest.fixture(autouse=True)
async def channels(services: Services) -> None:
    for name in (TEAM, DEV):
        await services.core.channels.create("test", name, ChannelKind.HOSTED)
    await services.snapshots.reload()
    for filename, data in (package("demo"), package("demo", "2.0"), package("native", subdir="linux-64")):
        await services.uploads.take("test", services.catalog.get(TEAM), filename, body(data))
    await services.snapshots.reload()


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def files(services: Services, name: ChannelName) -> dict[str, str]:
    """The status of every file that the channel holds, or held."""
    columns = tables.artifact.c
    statement = (
        select(columns.filename, columns.status)
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .join(tables.channel, tables.channel.c.id == tables.subdir.c.channel_id)
    )
    async with services.core.database.read() as connection:
        rows = await connection.execute(statement.where(tables.channel.c.name == name))
        return {row.filename: row.status for row in rows}


async def revisions(services: Services, name: ChannelName) -> dict[str, int]:
    await services.snapshots.reload()
    return {subdir: state.revision for subdir, state in services.catalog.get(name).subdirs.items()}


def wish(
    action: BatchAction, *texts: str, target: ChannelName | None = None, subdirs: Sequence[Subdir] = ()
) -> BatchWish:
    return BatchWish(action, TEAM, texts, target, subdirs)


async def carry_out(services: Services, wanted: BatchWish, **more: str) -> Batch:
    done = await services.core.life.batches.carry_out("ada", wanted, **more)
    assert done is not None
    return done


async def test_copies_are_in_both_channels_as_one_revision_per_subdir(services: Services) -> None:
    before, own = await revisions(services, DEV), await revisions(services, TEAM)
    wanted = wish(BatchAction.COPY, "demo", "linux-64/native-1.0-0.conda", target=DEV)
    plan = await services.core.life.batches.plan(wanted)
    assert {(one.filename, one.fate) for one in plan.items} == {(name, FileFate.CHANGED) for name in (ONE, TWO, NATIVE)}
    assert await files(services, DEV) == {}
    await carry_out(services, wanted, digest=plan.digest)
    assert await files(services, DEV) == await files(services, TEAM) == dict.fromkeys((ONE, TWO, NATIVE), "active")
    assert await revisions(services, DEV) == {"noarch": before["noarch"] + 1, "linux-64": 1}
    assert await revisions(services, TEAM) == own
    with pytest.raises(Conflict, match="has all of it already"):
        await carry_out(services, wanted)


async def test_moved_files_leave_and_can_come_back(services: Services) -> None:
    await carry_out(services, wish(BatchAction.MOVE, "demo <2", target=DEV))
    assert await files(services, DEV) == {ONE: "active"}
    assert await files(services, TEAM) == {ONE: "deleted", TWO: "active", NATIVE: "active"}
    back = BatchWish(BatchAction.MOVE, DEV, ["demo"], TEAM)
    await carry_out(services, back)
    assert (await files(services, TEAM))[ONE] == "active"
    assert await files(services, DEV) == {ONE: "deleted"}


async def test_many_files_are_yanked_brought_back_and_deleted_at_once(services: Services) -> None:
    before = (await revisions(services, TEAM))["noarch"]
    await carry_out(services, wish(BatchAction.YANK, "demo"))
    assert await files(services, TEAM) == {ONE: "yanked", TWO: "yanked", NATIVE: "active"}
    assert (await revisions(services, TEAM))["noarch"] == before + 1
    await carry_out(services, wish(BatchAction.UNYANK, "demo ==1.0"))
    await carry_out(services, wish(BatchAction.DELETE, "demo"))
    assert await files(services, TEAM) == {ONE: "deleted", TWO: "deleted", NATIVE: "active"}


async def test_files_are_meant_by_name_digest_and_subdir(services: Services) -> None:
    batches = services.core.life.batches

    async def meant(*texts: str, subdirs: Sequence[Subdir] = ()) -> set[str]:
        return {one.filename for one in (await batches.plan(wish(BatchAction.YANK, *texts, subdirs=subdirs))).items}

    (item,) = (await batches.plan(wish(BatchAction.YANK, ONE))).items
    assert await meant(item.sha256) == {ONE}
    assert await meant("noarch/" + TWO, "pkg:conda/native@1.0") == {TWO, NATIVE}
    assert await meant("demo", subdirs=[Subdir("noarch")]) == {ONE, TWO}
    for unknown in ("absent", "linux-64/" + ONE, "demo >3"):
        with pytest.raises(NotFound, match="holds no active file"):
            await meant(unknown)


async def test_what_the_target_has_otherwise_or_forbids_hinders_the_whole_batch(services: Services) -> None:
    filename, data = package("demo", content=b"other bytes")
    await services.uploads.take("test", services.catalog.get(DEV), filename, body(data))
    rule = {"kind": "match-spec", "exclude": ["demo >=2"], "action": "block"}
    await services.core.policies.apply("test", {"name": "no-two", "rule": [rule]})
    await services.core.policies.attach("test", "no-two", Target(channel=DEV))
    wanted = wish(BatchAction.COPY, "demo", "native", target=DEV)
    plan = await services.core.life.batches.plan(wanted)
    fates = {one.filename: one.fate for one in plan.items}
    assert fates == {ONE: FileFate.CONFLICT, TWO: FileFate.HELD, NATIVE: FileFate.CHANGED}
    with pytest.raises(Conflict) as caught:
        await carry_out(services, wanted)
    assert caught.value.code == "batch-hindered"
    assert len(caught.value.reasons) == 2
    assert await files(services, DEV) == {ONE: "active"}


async def test_a_decision_counts_for_what_was_seen_and_is_done_once(services: Services) -> None:
    wanted = wish(BatchAction.YANK, "demo")
    with pytest.raises(Conflict, match="Something changed"):
        await carry_out(services, wanted, digest="0" * 64)
    digest = (await services.core.life.batches.plan(wanted)).digest
    await carry_out(services, wanted, digest=digest, key="job 1", comment="they crash")
    assert await services.core.life.batches.carry_out("ada", wanted, digest=digest, key="job 1") is None
    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        event = (await connection.execute(select(tables.audit_event).where(columns.action == "artifact:batch"))).one()
    assert (event.subject, event.detail["change"], event.detail["comment"]) == ("job 1", "yank", "they crash")


async def test_a_move_into_itself_and_a_yank_with_a_target_make_no_sense(services: Services) -> None:
    for wanted in (
        wish(BatchAction.MOVE, "demo", target=TEAM),
        wish(BatchAction.COPY, "demo"),
        wish(BatchAction.YANK, "demo", target=DEV),
    ):
        with pytest.raises(Invalid, match="another channel"):
            await services.core.life.batches.plan(wanted)
