"""Identities of records, how sure they are, and what is said of those that cannot be checked."""

from pathlib import Path

import pytest

from headgate.advisories.findings import Assessment, Coverage, Sureness
from headgate.advisories.identities import Origin, choose, from_urls, mapped
from headgate.advisories.purls import Package
from headgate.conda.records import Record
from tests.unit.advisories.conftest import Room
from tests.unit.advisories.making import SHA, files, osv, ranged, record

PURL = "pkg:conda/conda-forge/demo@1.0?build=h1_0&checksum=sha256:" + SHA.hex()


def assessed(room: Room, one: Record) -> Assessment:
    (found,) = room.book.assess(one["name"], files(one)).values()
    return found


async def fill(room: Room) -> None:
    """A feed that covers PyPI."""
    await room.zip({f"X-{number}": osv(f"X-{number}", f"pkg{number}") for number in range(30)})


async def test_purl_of_the_record_goes_before_the_mapping(room: Room) -> None:
    await fill(room)
    await room.take({"demo": ["demo"]}, feed="names")
    await room.take([osv("PYSEC-1", "demo"), osv("PYSEC-2", "real")])
    (found,) = assessed(room, record(purls=["pkg:pypi/real@1.0"])).findings
    assert (found.advisory, found.sureness) == ("PYSEC-2", Sureness.EXACT)
    assert found.why == "It is pkg:pypi/real by its own purl; version 1.0 is in <2.0."
    (found,) = assessed(room, record()).findings
    assert (found.advisory, found.sureness) == ("PYSEC-1", Sureness.LIKELY)


async def test_identity_that_was_set_goes_before_all_and_can_be_taken_back(room: Room) -> None:
    await fill(room)
    await room.take({"demo": ["demo"]}, feed="names")
    await room.take([osv("PYSEC-1", "demo"), osv("PYSEC-2", "real")])
    for purls, expected in ([["pkg:pypi/real"], ["PYSEC-2"]], [[], []], [None, ["PYSEC-1"]]):
        await room.touched()
        await room.names.set_name("ada", "demo", purls)
        await room.reload()
        assert [one.advisory for one in assessed(room, record()).findings] == expected
        assert await room.touched() == {"demo"}
    await room.names.set_name("ada", "demo", [])
    await room.reload()
    assert assessed(room, record()).coverage is Coverage.NOT_CHECKED


def test_of_several_mapped_names_the_own_one_is_likely_and_others_are_guesses() -> None:
    found = {one.package.name: one.sureness for one in mapped("Arm_Pyart", ["arm-pyart", "requests"])}
    assert found == {"arm-pyart": Sureness.LIKELY, "requests": Sureness.GUESSED}
    assert [one.sureness for one in mapped("airflow", ["apache-airflow"])] == [Sureness.LIKELY]


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("https://pypi.io/packages/source/n/numpy/numpy-1.0.tar.gz", Package("PyPI", "numpy")),
        ("https://files.pythonhosted.org/packages/source/F/Foo_Bar/Foo_Bar-1.tar.gz", Package("PyPI", "foo-bar")),
        ("https://pypi.org/project/requests/", Package("PyPI", "requests")),
        ("https://cran.r-project.org/src/contrib/Archive/Rcpp/Rcpp_1.0.tar.gz", Package("CRAN", "Rcpp")),
        ("https://cran.r-project.org/package=Rcpp", Package("CRAN", "Rcpp")),
        ("https://bioconductor.org/packages/release/bioc/html/limma.html", Package("Bioconductor", "limma")),
        ("https://registry.npmjs.org/@scope/thing/-/thing-1.tgz", Package("npm", "@scope/thing")),
        ("https://github.com/Madler/zlib/archive/v1.tar.gz", Package("GIT", "github.com/madler/zlib")),
        ("git+https://gitlab.com/a/b.git", Package("GIT", "gitlab.com/a/b")),
    ],
)
def test_source_url_gives_a_guess(url: str, package: Package) -> None:
    (found,) = from_urls([url])
    assert (found.package, found.sureness, found.origin) == (package, Sureness.GUESSED, Origin.SOURCE_URL)


@pytest.mark.parametrize("url", ["https://example.org/x", "nonsense", "https://github.com/only-owner", "", "file:///x"])
def test_url_that_tells_nothing_gives_none(url: str) -> None:
    assert from_urls([url]) == []


def test_most_trusted_origin_counts_per_ecosystem() -> None:
    said = [*mapped("demo", ["demo"]), *from_urls(["https://pypi.org/project/other/", "https://github.com/a/b"])]
    assert [str(one.package) for one in choose(said)] == ["pkg:github/a/b", "pkg:pypi/demo"]


async def test_conda_advisory_hits_the_named_build_alone(room: Room) -> None:
    document = {"id": "TEAM-1", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"purl": PURL}}]}
    await room.take(document)
    assert await room.touched() == {"demo"}
    (found,) = assessed(room, record("1.0", "h1_0")).findings
    assert (found.advisory, found.sureness) == ("TEAM-1", Sureness.EXACT)
    for other in (record("1.0", "h1_1"), record("1.1", "h1_0"), record("1.0", "h1_0", sha256=bytes(32))):
        assert assessed(room, other) == Assessment(Coverage.CHECKED, "Checked as pkg:conda/demo by its own name.")


async def test_what_cannot_be_checked_says_why(room: Room) -> None:
    await room.take({"demo": ["demo"], "tool": None}, feed="names")
    reasons = {
        "demo": "No feed covers pkg:pypi/demo.",
        "tool": "tool is known to be no package of an ecosystem that feeds cover.",
        "unheard": "It is not known which upstream package unheard is.",
    }
    for name, why in reasons.items():
        assert assessed(room, record(name=name)) == Assessment(Coverage.NOT_CHECKED, why)
    await fill(room)
    await room.take(osv("PYSEC-1"))
    odd = assessed(room, record("2024a_x"))
    assert odd == Assessment(Coverage.NOT_CHECKED, "Version 2024a_x cannot be read in the order of PyPI.")
    assert assessed(room, record("3.0")).coverage is Coverage.CHECKED


async def test_purls_that_new_records_bear_make_names_known(room: Room) -> None:
    from headgate.advisories.names import learn

    await fill(room)
    async with room.database.write() as connection:
        await learn(connection, {"demo": ["pkg:pypi/real", "junk"]}, {"demo": ["https://github.com/a/b"]})
    assert await room.touched() >= {"demo"}
    async with room.database.write() as connection:
        await learn(connection, {"demo": ["pkg:pypi/real"]}, {"demo": []})
    assert await room.touched() == set()
    await room.take(osv("PYSEC-2", "real"))
    assert await room.touched() == {"demo"}
    assert [one.advisory for one in assessed(room, record(purls=["pkg:pypi/real"])).findings] == ["PYSEC-2"]
    assert assessed(room, record()).findings == ()


async def test_a_mapping_of_ten_names_does_not_empty_one_of_many(room: Room) -> None:
    await room.take({f"n{number}": [f"p{number}"] for number in range(100)}, feed="names", is_whole=True)
    outcome = await room.take({"n1": ["p1"]}, feed="names", is_whole=True)
    assert (outcome.names, outcome.kept) == (0, 99)
    outcome = await room.take({f"n{number}": [f"p{number}"] for number in range(95)}, feed="names", is_whole=True)
    assert (outcome.names, outcome.kept) == (5, 0)
    known = await room.names.list_names(limit=200)
    assert len(known) == 95


async def test_hostile_records_are_assessed_all_the_same(room: Room, tmp_path: Path) -> None:
    await room.take({"demo": ["demo"]}, feed="names")
    await room.take(ranged("PYSEC-1", ("introduced", "0")))
    for odd in (
        {"version": None},
        {"version": 3},
        {"purls": "pkg:pypi/x"},
        {"purls": [None, 7, "pkg:"]},
        {"sha256": None},
    ):
        assert assessed(room, record() | odd).coverage in Coverage
