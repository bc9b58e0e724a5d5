"""Advisories through the API: listed, curated, held against a channel, and asked for as at osv.dev."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.bootstrap import Services
from tests.http.conftest import Callers
from tests.packages import package
from tests.unit.advisories.making import osv

OSV = "http://headgate.test/api/osv/v1"
VECTOR = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]


@pytest.fixture
async def known(callers: Callers, services: Services, hosted: str, tmp_path: Path) -> str:
    """A channel with demo 1.0 and 2.0, of which PYSEC-1 = CVE-1 affects the first; tool is affected by nothing."""
    documents = [
        {"demo": ["demo"], "tool": ["tool"]},
        [osv("PYSEC-1", aliases=["CVE-1"], severity=VECTOR, summary="It fails."), osv("GHSA-2", "tool2")],
    ]
    for number, document in enumerate(documents):
        path = tmp_path / f"document-{number}"
        path.write_text(json.dumps(document))
        await services.advisories.feeds.take("test", "pypi", path)
    await services.snapshots.reload()
    for name, version in (("demo", "1.0"), ("demo", "2.0"), ("tool", "1.0")):
        filename, content = package(name=name, version=version)
        answer = await callers.admin.post(f"/channels/{hosted}/artifacts?filename={filename}", content=content)
        assert answer.status_code == 201, answer.text
    return hosted


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_advisories_are_found_by_any_id_and_by_what_they_affect(callers: Callers, known: str) -> None:
    found = ok(await callers.admin.get("/advisories/PYSEC-1"))
    assert (found["id"], found["aliases"], found["cvss"], found["affected"]) == (
        "CVE-1", ["PYSEC-1"], 9.8, ["pkg:pypi/demo"],
    )  # fmt: skip
    for query, expected in {
        "": ["CVE-1", "GHSA-2"], "?text=pysec": ["CVE-1"], "?text=fails": ["CVE-1"], "?severity=critical": ["CVE-1"],
        "?severity=low": [], "?least_cvss=9.9": [], "?name=demo": ["CVE-1"], "?purl=pkg:pypi/tool2": ["GHSA-2"],
        "?is_malicious=true": [], "?limit=1": ["CVE-1"],
    }.items():  # fmt: skip
        assert [one["id"] for one in ok(await callers.admin.get(f"/advisories{query}"))["items"]] == expected, query
    page = ok(await callers.admin.get("/advisories?limit=1"))
    rest = ok(await callers.admin.get("/advisories", params={"cursor": page["next"]}))
    assert ([one["id"] for one in rest["items"]], rest["next"]) == (["GHSA-2"], None)


async def test_affected_files_and_coverage_follow_curations(callers: Callers, known: str) -> None:
    (row,) = ok(await callers.admin.get(f"/channels/{known}/coverage"))["subdirs"]
    assert (row["affected"], row["not_affected"], row["not_checked"]) == (1, 1, 1)
    assert row["not_checked_because"] == {"no feed covers its ecosystem": 1}
    (file,) = ok(await callers.admin.get(f"/channels/{known}/affected"))["items"]
    assert (file["filename"], file["is_affected"]) == ("demo-1.0-0.conda", True)
    (finding,) = file["findings"]
    assert (finding["advisory"], finding["status"], finding["sureness"]) == ("CVE-1", "reported", "likely")
    assert finding["why"] == "It is pkg:pypi/demo by the name mapping; version 1.0 is in <2.0."
    body = {"advisory": "PYSEC-1", "status": "cleared", "name": "demo", "version": "<2"}
    (made,) = ok(await callers.admin.post("/curations", json=body), 201)["items"]
    assert ok(await callers.admin.get(f"/channels/{known}/affected"))["items"] == []
    shown = ok(await callers.admin.get(f"/channels/{known}/affected?with_harmless=true&advisory=PYSEC-1"))
    assert [one["is_affected"] for one in shown["items"]] == [False]
    ok(await callers.admin.delete(f"/curations/{made['id']}"), 204)
    assert len(ok(await callers.admin.get(f"/channels/{known}/affected?name=demo&least_cvss=9"))["items"]) == 1
    assert ok(await callers.admin.get(f"/channels/{known}/affected?advisory=GHSA-2"))["items"] == []
    assert ok(await callers.admin.get(f"/channels/{known}/affected?subdir=linux-64"))["items"] == []


async def test_many_are_curated_at_once_by_what_they_are(callers: Callers, known: str) -> None:
    body = {"chosen": {"severities": ["critical"]}, "status": "active", "note": "All hands."}
    made = ok(await callers.admin.post("/curations", json=body), 201)["items"]
    assert [(one["advisory"], one["status"], one["author"]) for one in made] == [
        ("CVE-1", "active", "ada (token admin)")
    ]
    for wrong in (
        {"status": "active"},
        {"chosen": {}, "status": "active"},
        {"chosen": {"text": "no such"}, "status": "active"},
    ):
        refused = await callers.admin.post("/curations", json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "curation-invalid")
    vex = ok(await callers.admin.get("/curations/openvex"))
    assert vex["statements"] == []
    assert len(ok(await callers.admin.get("/curations/export"))["curations"]) == 1


async def test_names_are_set_and_shown_with_what_counts(callers: Callers, known: str) -> None:
    shown = ok(await callers.admin.put("/advisory-names/demo", json={"purls": ["pkg:pypi/tool2"]}))
    assert [(one["purl"], one["origin"], one["is_used"]) for one in shown["identities"]] == [
        ("pkg:pypi/demo", "mapping", False), ("pkg:pypi/tool2", "curated", True),
    ]  # fmt: skip
    (file,) = ok(await callers.admin.get(f"/channels/{known}/affected"))["items"]
    assert [(one["advisory"], one["sureness"]) for one in file["findings"]] == [("GHSA-2", "exact")]
    ok(await callers.admin.delete("/advisory-names/demo"), 204)
    refused = await callers.admin.put("/advisory-names/demo", json={"purls": ["pkg:conda/demo"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "purl-invalid")


async def test_feeds_hold_no_secret_and_names_that_cannot_be_meant_are_refused(callers: Callers) -> None:
    body = {"name": "mine", "url": "https://me:secret@feeds.example/all.zip"}
    refused = await callers.admin.post("/advisory-feeds", json=body)
    assert (refused.status_code, refused.json()["code"], "secret" in refused.text) == (422, "url-invalid", False)
    body["url"] = "https://feeds.example/all.zip?a=@b"
    made = await callers.admin.post("/advisory-feeds", json=body)
    assert ok(made, 201)["age_seconds"] is None
    assert (await callers.admin.post("/advisory-feeds", json=body)).json()["code"] == "feed-exists"
    for name, url in (("../x", None), ("ok", "ftp://x/y"), ("ok", "javascript:x")):
        assert (await callers.admin.post("/advisory-feeds", json={"name": name, "url": url})).status_code == 422
    assert (await callers.admin.get("/advisory-feeds/none")).json()["code"] == "feed-unknown"


async def test_import_refuses_nothing_at_all(callers: Callers) -> None:
    refused = await callers.admin.post("/advisories/import", content=b"")
    assert (refused.status_code, refused.json()["code"]) == (422, "feed-invalid")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"package": {"purl": "pkg:conda/demo@1.0"}}, ["CVE-1"]),
        ({"package": {"purl": "pkg:conda/conda-forge/demo@1.0?build=0"}}, ["CVE-1"]),
        ({"package": {"purl": "pkg:conda/demo"}, "version": "1.0"}, ["CVE-1"]),
        ({"package": {"purl": "pkg:conda/demo@2.0"}}, []),
        ({"package": {"purl": "pkg:conda/demo@1.5?build=patched_1"}}, []),
        ({"package": {"purl": "pkg:pypi/demo@1.9"}}, ["CVE-1"]),
        ({"package": {"ecosystem": "PyPI", "name": "Demo"}, "version": "2.0"}, []),
        ({"package": {"purl": "pkg:conda/unheard@1.0"}}, []),
    ],
)
async def test_questions_of_osv_are_answered_down_to_the_build(
    callers: Callers, known: str, question: dict[str, Any], expected: list[str]
) -> None:
    body = {"advisory": "CVE-1", "status": "mitigated", "name": "demo", "build": "patched_*"}
    ok(await callers.admin.post("/curations", json=body), 201)
    answer = ok(await callers.admin.post(f"{OSV}/query", json=question))
    assert [one["id"] for one in answer.get("vulns", [])] == expected
    batch = ok(await callers.admin.post(f"{OSV}/querybatch", json={"queries": [question, question]}))
    assert [[one["id"] for one in result.get("vulns", [])] for result in batch["results"]] == [expected, expected]


async def test_an_advisory_is_given_back_as_osv(callers: Callers, known: str) -> None:
    shown = ok(await callers.admin.get(f"{OSV}/vulns/PYSEC-1"))
    assert (shown["id"], shown["aliases"], shown["severity"]) == ("CVE-1", ["PYSEC-1"], VECTOR)
    assert shown["affected"] == [
        {
            "package": {"ecosystem": "PyPI", "name": "demo", "purl": "pkg:pypi/demo"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
        }
    ]
    assert (await callers.admin.get(f"{OSV}/vulns/CVE-404")).json()["code"] == "advisory-unknown"
    for package_asked in ({}, {"purl": "nonsense"}, {"name": "x"}):
        wrong = {"package": package_asked}
        assert (await callers.admin.post(f"{OSV}/query", json=wrong)).status_code == 422


async def test_upload_remembers_where_a_package_says_it_comes_from(
    callers: Callers, services: Services, hosted: str
) -> None:
    filename, content = package(name="mine", about={"dev_url": "https://github.com/acme/mine"})
    ok(await callers.admin.post(f"/channels/{hosted}/artifacts?filename={filename}", content=content), 201)
    (shown,) = ok(await callers.admin.get("/advisory-names?name=mine"))["items"]
    assert [(one["purl"], one["origin"], one["sureness"]) for one in shown["identities"]] == [
        ("pkg:github/acme/mine", "source-url", "guessed")
    ]
