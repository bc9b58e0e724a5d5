import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headgate.advisories.curating import CurationFilter, new_claim
from headgate.advisories.findings import AdvisoryStatus
from headgate.advisories.importing import Importer
from headgate.airgap.importing import Imported
from headgate.airgap.manifest import Selection, decode_manifest
from headgate.storage.local import BlobStore
from headgate.storage.paths import DataFolder
from tests.bundles import Side, team
from tests.unit.advisories.making import osv

WITH = Selection(has_advisories=True)
KEV = {
    "catalogVersion": "2026.11.21",
    "vulnerabilities": [{"cveID": "CVE-2026-1", "dateAdded": "2026-02-01", "knownRansomwareCampaignUse": "Known"}],
}
EPSS = "#model_version:v1\ncve,epss,percentile\nCVE-2026-1,0.5,0.97\n"


async def learn(side: Side, feed: str, document: Any, folder: Path) -> None:
    path = folder / "learned"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    await side.services.advisories.feeds.add("test", feed, f"https://{feed}.example/all.zip")
    await Importer(side.services.core.database).run("test", feed, path, is_whole=False)


@pytest.fixture
async def knowing(near: Side, tmp_path: Path) -> Side:
    """A near side with a channel, that knows of two advisories, one of them withdrawn, and what to think of them."""
    await near.create("team", team())
    await learn(near, "pypi", [osv("CVE-2026-1", "lib"), osv("PYSEC-2", withdrawn="2026-03-01T00:00:00Z")], tmp_path)
    await learn(near, "kev", KEV, tmp_path)
    await learn(near, "epss", EPSS, tmp_path)
    await learn(near, "names", {"lib": "lib", "gcc": None}, tmp_path)
    claim = new_claim("CVE-2026-1", AdvisoryStatus.MITIGATED, name="lib", version="<3", note="We do not call it.")
    await near.services.advisories.curations.curate("ada", [claim])
    return near


async def carried(near: Side, far: Side, path: Path, *, is_trusted: bool = True) -> Imported:
    await near.export("team", path, selection=WITH)
    if is_trusted:
        await far.services.core.trust.add("test", "them", far.trusted["them"])
    return await far.take(path)


def waiting(side: Side) -> list[Path]:
    return sorted(side.services.core.store.folder.advisories.iterdir())


async def test_advisories_arrive_with_all_that_is_known_of_them(knowing: Side, far: Side, tmp_path: Path) -> None:
    done = await carried(knowing, far, tmp_path / "team-0")
    assert done.told_besides() == ["Its advisories are being read."]
    [archive] = waiting(far)
    feeds = far.services.advisories.feeds
    await feeds.add("test", "dropped", "https://dropped.example/all.zip")
    outcome = await Importer(far.services.core.database).run("test", "dropped", archive, is_whole=False)
    assert outcome.problems == []
    for side in (knowing, far):
        catalogue = side.services.advisories.catalogue
        listed = await catalogue.get_advisory("CVE-2026-1")
        exploited = listed.advisory.exploited
        assert exploited is not None
        assert (exploited.added, exploited.is_ransomware, listed.epss) == ("2026-02-01", True, 0.5)
        assert [one.name for one in listed.advisory.affected] == ["lib"]
        assert (await catalogue.get_advisory("PYSEC-2")).is_withdrawn
        [curation] = await side.services.advisories.curations.list_curations(CurationFilter())
        assert (curation.status, curation.version, curation.note) == ("mitigated", "<3", "We do not call it.")
        names = await side.services.advisories.names.list_names()
        assert {one.name for one in names} == {"gcc", "lib"}


async def test_a_key_that_was_given_for_once_does_not_speak_for_all_channels(
    knowing: Side, far: Side, tmp_path: Path
) -> None:
    done = await carried(knowing, far, tmp_path / "team-0", is_trusted=False)
    assert done.is_new
    assert done.told_of_advisories.startswith("Its advisories were left out")
    assert waiting(far) == []


async def test_who_does_not_ask_gets_none_and_the_same_gives_the_same(knowing: Side, tmp_path: Path) -> None:
    full = await knowing.export("team", tmp_path / "team-0", selection=WITH)
    assert await knowing.export("team", tmp_path / "again", selection=WITH) == full
    plain = await knowing.export("team", tmp_path / "plain")
    following = await knowing.export("team", tmp_path / "team-1", since=full)
    assert [set(decode_manifest(one).sections) for one in (full, plain, following)] == [
        {"advisories.zip"},
        set(),
        set(),
    ]


async def test_what_is_refused_leaves_no_advisories(knowing: Side, far: Side, tmp_path: Path) -> None:
    await far.create("team")
    with pytest.raises(Exception, match="team"):
        await carried(knowing, far, tmp_path / "team-0")
    assert waiting(far) == []


DIES = """
import os, pathlib, sys
from headgate.airgap.advisories import ArrivingAdvisories
from headgate.storage.local import BlobStore
from headgate.storage.paths import DataFolder
folder = DataFolder(pathlib.Path(sys.argv[1]))
folder.create()
arriving = ArrivingAdvisories(folder)
arriving.lay_aside([b"half", b" a zip"])
print(BlobStore(folder).sweep(), flush=True)
os.kill(os.getpid(), 9)
"""


def test_of_a_process_that_dies_nothing_stays(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, tmp_path], stdout=subprocess.PIPE, text=True, check=False)
    assert (died.returncode, died.stdout) == (-9, "0\n"), "what is being written is left"
    assert len(list(tmp_path.glob("*/*.part"))) == 1
    assert BlobStore(DataFolder(tmp_path)).sweep() == 1
    assert not list(tmp_path.glob("*/*.part"))
