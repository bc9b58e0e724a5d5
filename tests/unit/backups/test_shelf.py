"""The folder of backups: what counts as one, what goes, what is left alone."""

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headgate.backups.papers import PAPER, name_of
from headgate.backups.shelf import BackupShelf, check_apart
from headgate.kernel.errors import Invalid, Unavailable
from tests.unit.backups.making import put

START = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)


@pytest.fixture
def shelf(folder: Path) -> BackupShelf:
    return BackupShelf(folder)


def test_whole_backups_alone_are_listed_the_newest_first(shelf: BackupShelf, folder: Path) -> None:
    for days in (0, 2, 1):
        put(folder, START + timedelta(days=days))
    put(folder, START + timedelta(days=3), is_whole=False)
    (folder / name_of(START + timedelta(days=4))).mkdir()
    (folder / "lost+found").mkdir()
    names = ["2026-11-23T183000Z", "2026-11-22T183000Z", "2026-11-21T183000Z"]
    assert [one.name for one in shelf.list_backups()] == names
    assert shelf.choose_name(START) == "2026-11-21T183001Z"


def test_pruning_removes_the_oldest_of_ours_and_nothing_else(shelf: BackupShelf, folder: Path) -> None:
    mine = [put(folder, START + timedelta(days=days)) for days in range(4)]
    theirs = folder / name_of(START - timedelta(days=9))
    theirs.mkdir()
    (theirs / "headgate.db").write_text("somebody else's")
    named = put(folder, START - timedelta(days=8)).rename(folder / "before-the-upgrade")
    unread = put(folder, START - timedelta(days=7))
    (unread / PAPER).write_text("{}")
    assert shelf.prune(2) == [mine[1].name, mine[0].name]
    assert {path.name for path in folder.iterdir()} == {
        mine[2].name, mine[3].name, theirs.name, named.name, unread.name,
    }  # fmt: skip


def test_sweeping_removes_what_killed_makers_left_and_not_what_is_being_made(shelf: BackupShelf, folder: Path) -> None:
    left = put(folder, START, is_whole=False)
    being_made = put(folder, START + timedelta(days=1), is_whole=False)
    (folder / f"{name_of(START + timedelta(days=2))}.part").mkdir()
    strange = folder / f"{name_of(START + timedelta(days=3))}.part"
    strange.mkdir()
    (strange / "file").write_text("not ours")
    (folder / "mine.part").mkdir()
    with (being_made / PAPER).open("rb") as paper:
        fcntl.flock(paper, fcntl.LOCK_EX)
        assert sorted(shelf.sweep()) == [left.name, f"{name_of(START + timedelta(days=2))}.part"]
    assert {path.name for path in folder.iterdir()} == {being_made.name, strange.name, "mine.part"}


def test_folder_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as raised:
        BackupShelf(tmp_path / "nowhere").list_backups()
    assert raised.value.code == "backup-folder-missing"
    assert str(tmp_path / "nowhere") in raised.value.message
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="is not there"):
        BackupShelf(tmp_path / "file").list_backups()


def test_backups_lie_outside_of_the_data_folder_and_none_of_them_is_served(tmp_path: Path) -> None:
    data = tmp_path / "data"
    check_apart(data, None)
    check_apart(data, tmp_path / "backups")
    check_apart(data, tmp_path)
    for one, folder in [(data, data), (data, data / "backups"), (tmp_path / name_of(START), tmp_path)]:
        with pytest.raises(Invalid, match=r"backup|data folder"):
            check_apart(one, folder)
