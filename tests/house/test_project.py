"""The project as a whole: what is kept in git, and the commands that the README gives."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.house.sources import ROOT

# Split, so that this page does not find itself.
FORBIDDEN = ["/" + "root/", "/" + "work/", "/" + "home/", "/" + "Users/", "FIX" + "ME", "X" + "XX"]
MOST_BYTES = 300_000


def tracked() -> list[Path]:
    """Every file that git keeps, or would keep after `git add`."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("this is not a git checkout")
    paths = [ROOT / os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_folder_of_somebody_or_a_loose_end() -> None:
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in FORBIDDEN if word in text]
    assert found == []


def test_no_binaries_and_nothing_large_in_git() -> None:
    contents = {path.relative_to(ROOT): path.read_bytes() for path in tracked()}
    assert [str(name) for name, data in contents.items() if b"\0" in data] == []
    assert [str(name) for name, data in contents.items() if len(data) > MOST_BYTES] == []


def test_scripts_are_executable() -> None:
    for name in ("start", "test", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), name


def test_readme_gives_the_two_commands_first() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [block.strip() for block in blocks[:2]] == ["./start", "./test"]


def test_check_runs_the_test_command_of_the_readme_last() -> None:
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == "./test"


def test_change_notes_are_one_line_each() -> None:
    for path in (ROOT / "changes").glob("*.md"):
        if path.name != "README.md":
            assert re.fullmatch(r"\d{3}-[a-z0-9-]+\.(added|changed|fixed|removed|security)\.md", path.name), path.name
            assert len(path.read_text(encoding="utf-8").splitlines()) == 1, path.name


def test_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    elsewhere = [
        path.relative_to(ROOT)
        for path in (ROOT / "src").rglob("*.py")
        if f'"{project["version"]}"' in path.read_text(encoding="utf-8")
    ]
    assert elsewhere == []
