"""What people say of advisories: which of several counts, when it ends, and how it travels."""

from datetime import timedelta
from typing import Any

import pytest

from headgate.advisories.curated import render_curated
from headgate.advisories.curating import CurationFilter, claim_of, new_claim
from headgate.advisories.findings import AdvisoryStatus, Finding
from headgate.advisories.vex import render_openvex
from headgate.kernel import clock
from headgate.kernel.errors import Invalid, NotFound
from tests.unit.advisories.conftest import Room
from tests.unit.advisories.making import SHA, files, osv, record

S = AdvisoryStatus


@pytest.fixture
async def known(room: Room) -> Room:
    """PYSEC-1 = CVE-1 affects demo."""
    await room.take({"demo": ["demo"]}, feed="names")
    await room.take(osv("PYSEC-1", aliases=["CVE-1"], severity=[
        {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]))  # fmt: skip
    await room.touched()
    return room


async def say(room: Room, status: AdvisoryStatus, advisory: str = "CVE-1", **given: Any) -> int:
    (number,) = await room.curations.curate("ada", [new_claim(advisory, status, **given)])
    await room.reload()
    return number


def finding(room: Room, version: str = "1.0", build: str = "0", **more: Any) -> Finding | None:
    (found,) = room.book.assess("demo", files(record(version, build, **more))).values()
    return found.findings[0] if found.findings else None


def status(room: Room, version: str = "1.0", build: str = "0", **more: Any) -> AdvisoryStatus | None:
    found = finding(room, version, build, **more)
    return None if found is None else found.status


async def test_curation_of_an_advisory_counts_for_all_by_any_of_its_ids(known: Room) -> None:
    assert status(known) is S.REPORTED
    await say(known, S.CLEARED, "PYSEC-1")
    assert status(known) is S.CLEARED
    assert await known.touched() == {"demo"}
    (found,) = known.book.assess("demo", files(record())).values()
    assert not found.is_affected


@pytest.mark.parametrize(
    ("selector", "version", "build", "expected"),
    [
        ({"version": ">=1.0,<1.5"}, "1.2", "0", S.MITIGATED),
        ({"version": ">=1.0,<1.5"}, "1.5", "0", S.REPORTED),
        ({"version": "1.*", "build": "*_1"}, "1.2", "h_1", S.MITIGATED),
        ({"version": "1.*", "build": "*_1"}, "1.2", "h_0", S.REPORTED),
        ({"sha256": SHA.hex()}, "1.0", "0", S.MITIGATED),
        ({"sha256": "00" * 32}, "1.0", "0", S.REPORTED),
    ],
)
async def test_curation_counts_for_what_it_selects(
    known: Room, selector: dict[str, str], version: str, build: str, expected: AdvisoryStatus
) -> None:
    await say(known, S.MITIGATED, name="demo", **selector)
    assert status(known, version, build) is expected


async def test_the_narrower_counts_then_the_newer(known: Room) -> None:
    await say(known, S.DISPUTED)
    await say(known, S.ACTIVE, name="demo")
    assert status(known) is S.ACTIVE
    await say(known, S.CLEARED, name="demo", build="0")
    await say(known, S.DISPUTED, name="demo", version="1.0")
    assert status(known) is S.CLEARED
    await say(known, S.UNKNOWN, name="demo", build="?")
    assert status(known) is S.UNKNOWN


async def test_the_same_statement_again_changes_nothing_and_another_replaces_it(known: Room) -> None:
    first = await say(known, S.ACTIVE, name="demo", note="Look!")
    await known.touched()
    assert await say(known, S.ACTIVE, name="demo", note="Look!") == first
    assert await known.touched() == set()
    second = await say(known, S.CLEARED, name="demo")
    history = await known.curations.list_curations(CurationFilter(name="demo", with_ended=True))
    assert [(one.id, one.ended_by) for one in history] == [(second, None), (first, "ada")]


async def test_score_is_overridden(known: Room) -> None:
    assert (found := finding(known)) is not None
    assert (found.cvss, found.severity) == (9.8, "critical")
    await say(known, S.ACTIVE, score=3.1)
    assert (found := finding(known)) is not None
    assert (found.cvss, found.severity, found.is_curated) == (3.1, "low", True)


async def test_curation_ends_when_its_time_is_over(known: Room) -> None:
    soon = (clock.now() + timedelta(hours=1)).isoformat()
    await say(known, S.CLEARED, name="demo", expires=soon)
    assert await known.curations.expire() == 0
    await say(known, S.MITIGATED, name="demo", expires=(clock.now() - timedelta(seconds=1)).isoformat())
    digest = known.book.digest("demo")
    await known.touched()
    assert await known.curations.expire() == 1
    await known.reload()
    assert status(known) is S.REPORTED
    assert await known.touched() == {"demo"}
    assert known.book.digest("demo") != digest


async def test_a_curation_taken_back_is_history(known: Room) -> None:
    number = await say(known, S.CLEARED, name="demo")
    await known.curations.end("bob", [number])
    await known.reload()
    assert status(known) is S.REPORTED
    (ended,) = await known.curations.list_curations(CurationFilter(advisory="PYSEC-1", with_ended=True))
    assert ended.ended_by == "bob"
    with pytest.raises(NotFound, match="no curation"):
        await known.curations.end("bob", [number])


async def test_a_curation_may_add_what_no_feed_connects(known: Room) -> None:
    await say(known, S.ACTIVE, "CVE-77", name="demo", version=">=3")
    assert status(known, "2.5") is None
    found = finding(known, "3.0")
    assert found is not None
    assert (found.advisory, found.status, found.why) == ("CVE-77", S.ACTIVE, "A curation of ada names it.")
    await say(known, S.CLEARED, "CVE-78", name="demo")
    assert status(known, "2.5") is None


@pytest.mark.parametrize(
    "given",
    [
        {"version": ">=1"}, {"sha256": "00" * 32}, {"name": "Not A Name"}, {"name": "demo", "version": ">=!"},
        {"name": "demo", "sha256": "12"}, {"justification": "because"}, {"score": 11.0}, {"expires": "tomorrow"},
        {"note": "a\0b"},
    ],
)  # fmt: skip
async def test_curation_that_cannot_be_meant_is_refused(known: Room, given: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        await say(known, S.CLEARED, **given)
    assert caught.value.code == "curation-invalid"


async def test_our_own_word_goes_before_an_imported_one(known: Room) -> None:
    document = {"headgate": "curations", "version": 1, "curations": [
        {"advisory": "CVE-1", "status": "cleared", "name": "demo", "build": "0", "author": "vendor"},
        {"advisory": "CVE-1", "status": "nonsense"}]}  # fmt: skip
    with pytest.raises(Invalid, match="curations"):
        await known.take(document, feed="vendor")
    document["curations"] = document["curations"][:1]  # type: ignore[index]
    assert (await known.take(document, feed="vendor")).curations == 1
    assert status(known) is S.CLEARED
    assert (await known.take(document, feed="vendor")).curations == 0
    await say(known, S.ACTIVE)
    assert status(known) is S.ACTIVE


async def test_a_whole_file_ends_what_it_says_no_more(known: Room) -> None:
    def document(*advisories: str) -> dict[str, Any]:
        return {"curations": [{"advisory": one, "status": "cleared", "name": "demo"} for one in advisories]}

    await known.take(document("CVE-1", "CVE-2"), feed="vendor", is_whole=True)
    await known.take(document("CVE-2"), feed="vendor", is_whole=True)
    left = await known.curations.list_curations(CurationFilter())
    assert [one.advisory for one in left] == ["CVE-2"]
    assert status(known) is S.REPORTED


@pytest.mark.parametrize("form", ["own", "openvex"])
async def test_what_is_exported_says_the_same_when_imported(known: Room, form: str) -> None:
    await say(known, S.CLEARED, name="demo", version="==1.0", build="0", justification="vulnerable_code_not_present")
    await say(known, S.ACTIVE, name="demo", version="==1.1", note="Wait for 1.2.")
    found = await known.curations.list_curations(CurationFilter())
    claims = [claim_of(one) for one in found]
    document = render_curated(claims) if form == "own" else render_openvex(claims, "ada", "2026-11-21T00:00:00Z")
    await known.curations.end("ada", [one.id for one in found])
    assert (await known.take(document, feed="friend")).curations == 2
    assert [status(known), status(known, "1.1"), status(known, "1.2")] == [S.CLEARED, S.ACTIVE, S.REPORTED]
    (back,) = await known.curations.list_curations(CurationFilter(status=S.CLEARED))
    assert (back.author, back.justification) == ("ada", "vulnerable_code_not_present")


async def test_cyclonedx_vex_is_read(known: Room) -> None:
    document = {
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "components": [{"type": "library", "bom-ref": "d", "name": "demo", "purl": "pkg:conda/demo@1.0"}],
        "vulnerabilities": [
            {"id": "CVE-1", "affects": [{"ref": "d"}],
             "analysis": {"state": "not_affected", "justification": "code_not_reachable", "detail": "Never called."}},
            {"id": "CVE-2", "affects": [{"ref": "nowhere"}], "analysis": {"state": "exploitable"}},
            {"id": "CVE-3", "affects": [{"ref": "d"}]},
        ],
    }  # fmt: skip
    assert (await known.take(document, feed="sbom")).curations == 1
    assert [status(known), status(known, "1.1")] == [S.CLEARED, S.REPORTED]


def test_openvex_says_what_vex_demands() -> None:
    claims = [new_claim("CVE-1", one, name="demo") for one in S]
    document = render_openvex(claims, "ada", "2026-11-21T00:00:00Z")
    by_status = {one["status"]: one for one in document["statements"]}
    assert len(document["statements"]) == 5
    assert "impact_statement" in by_status["not_affected"]
    assert "action_statement" in by_status["affected"]
    assert by_status["fixed"]["products"] == [{"@id": "pkg:conda/demo"}]
