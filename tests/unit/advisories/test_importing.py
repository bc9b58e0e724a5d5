"""Feeds into the database: merged, retired, kept when a feed breaks, and told to those whom it touches."""

import gzip
import zipfile

import pytest

from headgate.advisories.findings import Coverage
from headgate.advisories.purls import Package
from headgate.kernel.errors import Invalid, NotFound
from tests.unit.advisories.conftest import Room
from tests.unit.advisories.making import files, osv, ranged, record

NAMES = {"demo": ["demo"], "other": ["other"], "tool": None}
KEV = {
    "title": "KEV", "catalogVersion": "2026.11.20", "dateReleased": "2026-11-20T00:00:00Z", "count": 1,
    "vulnerabilities": [{"cveID": "CVE-2026-1", "dateAdded": "2026-11-19", "knownRansomwareCampaignUse": "Known"}],
}  # fmt: skip
NVD = {
    "format": "NVD_CVE", "version": "2.0", "vulnerabilities": [{"cve": {
        "id": "CVE-2026-1", "published": "2026-01-02T03:04:05.000", "lastModified": "2026-01-03T00:00:00.000",
        "descriptions": [{"lang": "en", "value": "A long story of how it fails."}],
        "metrics": {"cvssMetricV31": [{"source": "nvd@nist.gov", "cvssData": {
            "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]},
        "weaknesses": [{"description": [{"lang": "en", "value": "CWE-79"}]}],
        "configurations": [{"nodes": [{"negate": False, "cpeMatch": [
            {"vulnerable": True, "criteria": "cpe:2.3:a:acme:tool:*:*:*:*:*:*:*:*",
             "versionStartIncluding": "1.0", "versionEndExcluding": "1.4"}]}]}],
    }}],
}  # fmt: skip


def advisories(room: Room, version: str = "1.0", name: str = "demo") -> list[str]:
    (found,) = room.book.assess(name, files(record(version, name=name))).values()
    return [one.advisory for one in found.findings]


async def test_aliases_become_one_advisory_with_the_cve_as_its_name(room: Room) -> None:
    await room.take(NAMES)
    await room.take([osv("PYSEC-2026-1", aliases=["CVE-2026-1"])], feed="pysec")
    await room.take([osv("GHSA-aaaa", aliases=["CVE-2026-1"])], feed="ghsa")
    assert advisories(room) == ["CVE-2026-1"]
    (found,) = room.book.assess("demo", files(record()))["demo-1.0-0.conda"].findings
    assert found.aliases == ("GHSA-aaaa", "PYSEC-2026-1")


async def test_an_alias_that_comes_later_joins_what_was_apart_and_its_loss_parts_it_again(room: Room) -> None:
    await room.take(NAMES)
    await room.take([osv("PYSEC-2026-1"), osv("GHSA-aaaa")])
    assert sorted(advisories(room)) == ["GHSA-aaaa", "PYSEC-2026-1"]
    await room.take(osv("GHSA-aaaa", aliases=["PYSEC-2026-1", "CVE-2026-1"]))
    assert advisories(room) == ["CVE-2026-1"]
    await room.take(osv("GHSA-aaaa"))
    assert sorted(advisories(room)) == ["GHSA-aaaa", "PYSEC-2026-1"]


async def test_a_withdrawn_advisory_retires_and_may_come_back(room: Room) -> None:
    await room.take(NAMES)
    await room.take(osv("PYSEC-2026-1", aliases=["CVE-2026-1"]))
    assert advisories(room) == ["CVE-2026-1"]
    await room.take(osv("PYSEC-2026-1", aliases=["CVE-2026-1"], withdrawn="2026-02-01T00:00:00Z"))
    assert advisories(room) == []
    await room.take(osv("PYSEC-2026-1", aliases=["CVE-2026-1"]))
    assert advisories(room) == ["CVE-2026-1"]


async def test_a_withdrawn_twin_does_not_retire_the_other(room: Room) -> None:
    await room.take(NAMES)
    await room.take([osv("GHSA-aaaa", aliases=["CVE-2026-1"]), osv("PYSEC-2026-1", aliases=["CVE-2026-1"])])
    await room.take(osv("PYSEC-2026-1", aliases=["CVE-2026-1"], withdrawn="2026-02-01T00:00:00Z"))
    assert advisories(room) == ["CVE-2026-1"]


async def test_only_names_that_a_change_touches_are_told(room: Room) -> None:
    await room.take(NAMES)
    await room.zip({f"X-{number}": osv(f"X-{number}", f"pkg{number}") for number in range(30)})
    await room.take([osv("PYSEC-1", "demo"), osv("PYSEC-2", "other")])
    await room.touched()
    await room.take([osv("PYSEC-1", "demo"), osv("PYSEC-2", "other", summary="news")])
    assert await room.touched() == {"other"}
    await room.take([osv("PYSEC-2", "other", summary="news")])
    assert await room.touched() == set()
    before = room.book.digest("demo"), room.book.digest("other")
    await room.take(ranged("PYSEC-2", ("introduced", "9"), package="demo"))
    assert await room.touched() == {"demo", "other"}
    assert all(
        old != new for old, new in zip(before, (room.book.digest("demo"), room.book.digest("other")), strict=True)
    )


async def test_the_same_file_again_changes_nothing(room: Room) -> None:
    await room.take(NAMES)
    records = {f"X-{number}": osv(f"X-{number}", f"pkg{number}") for number in range(30)}
    assert (await room.zip(records)).changed == 30
    again = await room.zip(records)
    assert (again.changed, again.retired, again.statements) == (0, 0, 30)


async def test_what_a_whole_listing_lacks_is_gone_unless_too_much_is(room: Room) -> None:
    await room.take(NAMES)
    records = {f"X-{number}": osv(f"X-{number}", "demo") for number in range(60)}
    await room.zip(records)
    less = dict(list(records.items())[5:])
    assert (await room.zip(less)).retired == 5
    assert len(advisories(room)) == 55
    shrunken = await room.zip({"X-59": records["X-59"]})
    assert (shrunken.retired, shrunken.kept) == (0, 54)
    assert len(advisories(room)) == 55
    assert "kept" in ((await room.feeds.get_feed("pypi")).note or "")


async def test_garbage_is_refused_and_empties_nothing(room: Room) -> None:
    await room.take(NAMES)
    await room.zip({"X-1": osv("X-1", "demo")})
    path = room.folder / "all.zip"
    whole = path.read_bytes()
    for broken in (
        b"PK\x03\x04 no zip at all",
        whole[: len(whole) // 2],
        b"{",
        b"hello",
        b"[1]",
        b"\x1f\x8b\x08 no gzip",
        b'{"a": {}}',
    ):
        path.write_bytes(broken)
        with pytest.raises(Invalid, match=r"\w"):
            await room.take(path, feed="pypi", is_whole=True)
        assert advisories(room) == ["X-1"]
    feed = await room.feeds.get_feed("pypi")
    assert feed.failure is not None
    assert feed.items == 1


async def test_one_bad_record_is_left_out_and_told(room: Room) -> None:
    await room.take(NAMES)
    good = {f"X-{number}": osv(f"X-{number}", "demo") for number in range(30)}
    outcome = await room.zip(good | {"bad": {"id": "X-31", "modified": 7}})
    assert outcome.statements == 30
    assert [problem.partition(":")[0] for problem in outcome.problems] == ["bad.json"]
    assert (await room.zip({"X-1": good["X-1"]} | {"bad": {"id": 7}})).retired == 0


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil.json", "a/../../evil.json"])
async def test_an_archive_that_reaches_out_of_its_folder_is_refused(room: Room, name: str) -> None:
    path = room.folder / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(Invalid, match="leaves its folder"):
        await room.take(path)


async def test_a_bomb_is_refused_before_it_is_unpacked(room: Room) -> None:
    path = room.folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b" " * (8 << 20))
    with pytest.raises(Invalid, match="bomb"):
        await room.take(path)


async def test_kev_and_epss_and_nvd_enrich_what_a_feed_says(room: Room) -> None:
    await room.take(NAMES)
    await room.take(osv("PYSEC-2026-1", aliases=["CVE-2026-1"]))
    await room.touched()
    await room.take(KEV, feed="kev", is_whole=True)
    assert await room.touched() == {"demo"}
    scores = b"#model_version:v2026,score_date:2026-11-20\ncve,epss,percentile\nCVE-2026-1,0.91,0.99\nCVE-1,0.1,0.2\n"
    outcome = await room.take(gzip.compress(scores), feed="epss", is_whole=True)
    assert (outcome.scores, await room.touched()) == (2, {"demo"})
    await room.take(NVD, feed="nvd")
    (found,) = room.book.assess("demo", files(record()))["demo-1.0-0.conda"].findings
    assert (found.is_known_exploited, found.epss, found.cvss, found.severity) == (True, 0.91, 9.8, "critical")
    await room.take(gzip.compress(scores), feed="epss", is_whole=True)
    assert await room.touched() == {"demo"}  # by NVD


async def test_scores_that_were_there_before_the_advisory_count(room: Room) -> None:
    await room.take(b"cve,epss,percentile\nCVE-2026-1,0.5,0.9\n", feed="epss")
    await room.take(NAMES)
    await room.take(osv("PYSEC-2026-1", aliases=["CVE-2026-1"]))
    (found,) = room.book.assess("demo", files(record()))["demo-1.0-0.conda"].findings
    assert found.epss == 0.5


async def test_products_of_nvd_match_who_was_given_that_identity(room: Room) -> None:
    await room.take(NVD, feed="nvd", is_whole=True)
    assert advisories(room, "1.2", "tool") == []
    await room.names.set_name("ada", "tool", ["cpe:2.3:a:acme:tool"])
    await room.reload()
    assert await room.touched() == {"tool"}
    assert advisories(room, "1.2", "tool") == ["CVE-2026-1"]
    assert advisories(room, "1.4", "tool") == []


async def test_first_advisory_of_a_product_finds_who_was_given_that_identity_before(room: Room) -> None:
    await room.names.set_name("ada", "tool", ["cpe:2.3:a:acme:tool"])
    await room.reload()
    await room.take(NVD, feed="nvd", is_whole=True)
    assert advisories(room, "1.2", "tool") == ["CVE-2026-1"]
    await room.names.set_name("ada", "other", ["cpe:2.3:a:acme:tool"])
    await room.reload()
    assert advisories(room, "1.2", "other") == ["CVE-2026-1"]
    assert len(room.book.knowledge.affected[Package("CPE", "acme:tool")]) == 1, "it is held once"


async def test_malicious_packages_are_marked(room: Room) -> None:
    await room.take(NAMES)
    await room.take(ranged("MAL-2026-1", ("introduced", "0")))
    (found,) = room.book.assess("demo", files(record()))["demo-1.0-0.conda"].findings
    assert (found.is_malicious, found.advisory) == (True, "MAL-2026-1")


async def test_a_removed_feed_takes_along_only_what_it_alone_said(room: Room) -> None:
    await room.take(NAMES)
    await room.take([osv("GHSA-aaaa", aliases=["CVE-1"]), osv("GHSA-bbbb")], feed="ghsa")
    await room.take(osv("PYSEC-2026-1", aliases=["CVE-1"]), feed="pysec")
    await room.feeds.remove("ada", "ghsa")
    await room.reload()
    assert advisories(room) == ["CVE-1"]
    with pytest.raises(NotFound):
        await room.feeds.get_feed("ghsa")


async def test_an_ecosystem_is_covered_by_whole_listings_only(room: Room) -> None:
    await room.take(NAMES)
    await room.take([osv(f"X-{number}", f"pkg{number}") for number in range(30)], feed="some")
    (found,) = room.book.assess("other", files(record(name="other"))).values()
    assert (found.coverage, found.why) == (Coverage.NOT_CHECKED, "No feed covers pkg:pypi/other.")
    await room.touched()
    await room.zip({f"X-{number}": osv(f"X-{number}", f"pkg{number}") for number in range(30)})
    (found,) = room.book.assess("other", files(record(name="other"))).values()
    assert found.coverage is Coverage.CHECKED
    assert {"demo", "other"} <= await room.touched()
    assert room.book.newest_feed_at() is not None


async def test_a_new_process_knows_what_a_following_one_knows(room: Room) -> None:
    from headgate.advisories.book import AdvisoryBook

    await room.take(NAMES)
    await room.take([osv("GHSA-aaaa", aliases=["CVE-1"]), osv("GHSA-bbbb")])
    await room.take(osv("PYSEC-1", aliases=["GHSA-bbbb"]))
    await room.take({"demo": ["demo", "demo-extra"], "other": None})
    await room.take(osv("GHSA-aaaa", withdrawn="2026-01-01T00:00:00Z"))
    fresh = AdvisoryBook()
    async with room.database.read() as connection:
        await fresh.load(connection)
    for name in ("demo", "other", "tool", "unheard"):
        records = files(record(name=name))
        assert fresh.digest(name) == room.book.digest(name)
        assert fresh.assess(name, records) == room.book.assess(name, records)
