"""What auditors and administrators read: events, requests, reports; as JSON and as CSV."""

import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.advisories.curating import new_claim
from headgate.advisories.findings import AdvisoryStatus
from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind, Privacy
from headgate.conda.names import ChannelName
from headgate.db.turns import Turns
from headgate.jobs.advisory_days import AdvisoryDays
from headgate.kernel import clock
from headgate.kernel.errors import Invalid
from headgate.reports.downloads import Span
from headgate.reports.evidence import verify_pack
from tests.browser.watching import assert_valid
from tests.http.browsing import browsing
from tests.packages import package
from tests.unit.advisories.making import osv

ACTOR = "tests"
PASSWORD = "a long enough password"
_CRITICAL = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
OLD, NEW, OTHER = package("demo", "1.0"), package("demo", "2.0"), package("other", "1.0")


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A channel with three files; ada took two of them, bob one."""
    core = services.core
    for name in ("open", "empty"):
        await core.channels.create(ACTOR, ChannelName(name), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await core.access.create_user(ACTOR, "root", PASSWORD, is_administrator=True)
    for name in ("ada", "bob"):
        await core.access.create_user(ACTOR, name, PASSWORD, is_administrator=False)
    await services.snapshots.reload()
    for filename, body in (OLD, NEW, OTHER):

        async def pieces(body: bytes = body) -> AsyncIterator[bytes]:
            yield body

        await services.uploads.take(ACTOR, services.catalog.get("open"), filename, pieces())
    await services.snapshots.reload()
    application: Any = Application(services)
    transport = httpx.ASGITransport(application)
    auth = httpx.BasicAuth("root", PASSWORD)
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test", auth=auth) as client:
        for user, (filename, _) in (("ada", OLD), ("ada", NEW), ("ada", NEW), ("bob", NEW)):
            await client.get(
                f"/conda/open/noarch/{filename}", auth=(user, PASSWORD), headers={"user-agent": "pixi/1.0"}
            )
        await services.audit.log.flush()
        yield client


async def items(client: httpx.AsyncClient, path: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_downloads_are_counted_by_whatever_is_asked(client: httpx.AsyncClient, services: Services) -> None:
    for _ in range(2):  # before a fold, and after it
        (row,) = await items(client, "reports/downloads")
        assert (row["package"], row["downloads"], row["refused"]) == ("demo", 4, 0)
        by_user = await items(client, "reports/downloads", by=["channel", "user"])
        assert [(one["channel"], one["user"], one["downloads"]) for one in by_user] == [
            ("open", "ada", 3),
            ("open", "bob", 1),
        ]
        today = clock.now()
        (month,) = await items(client, "reports/downloads", by="month", user="bob")
        assert (month["month"], month["bytes"]) == (f"{today:%Y-%m}", len(NEW[1]))
        assert await items(client, "reports/downloads", since=(today + timedelta(days=2)).isoformat()) == []
        await services.audit.store.fold()


async def test_a_report_is_csv_when_asked_by_header_or_query(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get("/api/v1/reports/downloads?by=file&format=csv"),
        await client.get("/api/v1/reports/downloads?by=file", headers={"accept": "text/csv"}),
    ):
        assert answer.headers["content-type"].startswith("text/csv")
        assert "downloads.csv" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [(row["filename"], row["downloads"]) for row in rows] == [(NEW[0], "3"), (OLD[0], "1")]


@pytest.mark.parametrize("is_gone", [False, True])
async def test_blast_radius_says_who_took_what_even_of_files_that_are_gone(
    client: httpx.AsyncClient, *, is_gone: bool
) -> None:
    if is_gone:
        assert (await client.delete(f"/api/v1/channels/open/artifacts/noarch/{NEW[0]}")).status_code == 204
    rows = await items(client, "reports/affected", target="demo >=2")
    assert [(one["filename"], one["listed"], one["user"], one["downloads"], one["client"]) for one in rows] == [
        (NEW[0], not is_gone, "ada", 2, "pixi"),
        (NEW[0], not is_gone, "bob", 1, "pixi"),
    ]
    assert rows[0]["first_at"] <= rows[0]["last_at"]
    same = await items(client, "reports/affected", target=rows[0]["sha256"])
    assert [one["user"] for one in same] == ["ada", "bob"]
    nobody = await items(client, "reports/affected", target="other")
    assert [(one["filename"], one["user"], one["downloads"]) for one in nobody] == [(OTHER[0], None, 0)]
    assert await items(client, "reports/affected", target="CVE-2026-9999") == []


async def test_what_channels_hold_is_reported(client: httpx.AsyncClient) -> None:
    (licence,) = await items(client, "reports/licences", channel="open")
    assert (licence["packages"], licence["files"]) == (2, 3)
    storage = await items(client, "reports/storage")
    held = sum(len(body) for _, body in (OLD, NEW, OTHER))
    assert [(one["channel"], one["files"], one["bytes"], one["bytes_only_here"]) for one in storage] == [
        ("open", 3, held, held),
        ("empty", 0, 0, 0),
    ]
    stale = await items(client, "reports/stale", channel="open", days=0)
    assert {one["filename"]: one["last_download_at"] is not None for one in stale} == {
        OLD[0]: True, NEW[0]: True, OTHER[0]: False,
    }  # fmt: skip
    assert await items(client, "reports/stale", channel="open", days=30) == []


async def test_advisories_are_open_until_they_are_judged_harmless(
    client: httpx.AsyncClient, services: Services, tmp_path: Path
) -> None:
    feed = tmp_path / "feed"
    for document in ({"demo": ["demo"]}, [osv("CVE-1", severity=_CRITICAL), osv("CVE-2", severity=_CRITICAL)]):
        feed.write_text(json.dumps(document))
        await services.advisories.feeds.take(ACTOR, "pypi", feed)
    await services.snapshots.reload()
    (row,) = await items(client, "reports/advisories")
    assert [row[key] for key in ("channel", "severity", "open", "closed", "open_files")] == [
        "open",
        "critical",
        2,
        0,
        2,
    ]
    await services.advisories.curations.curate(ACTOR, [new_claim("CVE-1", AdvisoryStatus.CLEARED)])
    await services.snapshots.reload()
    (row,) = await items(client, "reports/advisories", channel="open")
    assert [row[key] for key in ("open", "closed", "open_files", "closed_files")] == [1, 1, 1, 1]
    assert await items(client, "reports/advisories", channel="empty") == []


async def test_advisories_are_counted_once_a_day(
    client: httpx.AsyncClient, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, book = services.core.database, services.advisories.book
    days = AdvisoryDays(database, services.snapshots, book, Turns(database, tmp_path))
    feed = tmp_path / "feed"
    for document in ({"demo": ["demo"]}, [osv("CVE-1", severity=_CRITICAL), osv("CVE-2")]):
        feed.write_text(json.dumps(document))
        await services.advisories.feeds.take(ACTOR, "pypi", feed)
    await services.snapshots.reload()
    now = clock.now()
    await days.look(timedelta(days=2))
    await services.advisories.curations.curate(ACTOR, [new_claim("CVE-1", AdvisoryStatus.CLEARED)])
    await services.snapshots.reload()
    await days.look(timedelta(days=2))  # counted already
    first = {"open": 1, "closed": 0}
    assert await _standing(client) == {(f"{now:%Y-%m-%d}", "critical"): first, (f"{now:%Y-%m-%d}", "unknown"): first}
    later = now + timedelta(days=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    await days.look(timedelta(days=2))
    assert await _standing(client, channel="open") == await _standing(client)
    assert (await _standing(client))[f"{later:%Y-%m-%d}", "critical"] == {"open": 0, "closed": 1}
    assert await _standing(client, channel="empty") == {}
    assert len(await items(client, "reports/advisory-days", channel="empty")) == 12
    assert len(await items(client, "reports/advisory-days", since=later.isoformat())) == 6
    later += timedelta(days=1)
    await days.look(timedelta(days=2))
    assert {day for day, _ in await _standing(client)} == {f"{now + timedelta(days=one):%Y-%m-%d}" for one in (2, 3)}
    async with browsing(services) as root:
        await root.sign_in("root", PASSWORD)
        shown = await root.get("/reports?days=30")
        assert_valid(shown.text)
        assert "on 2 days of 30 days" in shown.text


async def _standing(client: httpx.AsyncClient, **chosen: Any) -> dict[tuple[str, str], dict[str, int]]:
    """The rows that say anything."""
    rows = await items(client, "reports/advisory-days", **chosen)
    found = {(one["day"], one["severity"]): {key: one[key] for key in ("open", "closed")} for one in rows}
    return {key: one for key, one in found.items() if any(one.values())}


async def test_syncs_are_listed_with_their_lengths(client: httpx.AsyncClient, services: Services) -> None:
    stopped = await services.jobs.sync("ada", "outer")
    await services.jobs.stop("ada", stopped)
    await services.jobs.sync("ada", "inner", mirror="main")
    rows = await items(client, "reports/syncs")
    assert {(one["channel"], one["mirror"], one["state"], one["seconds"]) for one in rows} == {
        ("outer", None, "stopped", None), ("inner", "main", "queued", None),
    }  # fmt: skip
    assert [one["job"] for one in await items(client, "reports/syncs", channel="outer")] == [stopped]
    tomorrow = clock.now() + timedelta(days=1)
    assert await items(client, "reports/syncs", since=tomorrow.isoformat()) == []


async def test_the_page_draws_what_the_reports_say_to_those_who_may_read_them(
    services: Services, client: httpx.AsyncClient
) -> None:
    await services.core.access.grants.add_grant(ACTOR, PrincipalKind.USER, "ada", "auditor", Scope("open"))
    await services.snapshots.reload()
    async with browsing(services) as ada, browsing(services) as bob:
        await ada.sign_in("ada", PASSWORD)
        await bob.sign_in("bob", PASSWORD)
        shown = await ada.get("/reports?days=30")
        assert shown.status_code == 200
        assert_valid(shown.text)
        assert "4 downloads of whole files over 30 days" in shown.text
        assert "empty" not in shown.text, "a channel whose audit ada may not read"
        address = unescape(shown.text.partition('href="/api/v1/reports/downloads?')[2].partition('"')[0])
        rows = csv.DictReader(io.StringIO((await ada.get(f"/api/v1/reports/downloads?{address}")).text))
        assert [(row["channel"], row["downloads"]) for row in rows] == [("open", "4")]
        assert (await ada.get("/reports?channel=empty")).status_code == 403
        assert (await bob.get("/reports")).status_code == 403


async def test_the_page_of_a_file_says_who_took_it_to_those_who_may_know(
    services: Services, client: httpx.AsyncClient
) -> None:
    await services.core.access.grants.add_grant(ACTOR, PrincipalKind.USER, "ada", "auditor", Scope("open"))
    await services.snapshots.reload()
    found = await services.reports.downloads.takers("open", "noarch", NEW[0])
    assert [(one.user, one.client, one.downloads) for one in found.last] == [("bob", "pixi", 1), ("ada", "pixi", 2)]
    assert [(one.days, one.downloads, one.people) for one in found.spans] == [
        (days, 3, 2) for days in (7, 30, 90, 365, None)
    ]
    assert (await services.reports.downloads.takers("open", "noarch", OTHER[0])).spans[-1] == Span(None, 0, 0)
    rows = await items(client, "reports/downloads", by="user", filename=OLD[0])
    assert [(one["user"], one["downloads"]) for one in rows] == [("ada", 1)]
    path = f"/files/open/noarch/{NEW[0]}?part=downloads"
    async with browsing(services) as ada, browsing(services) as bob, browsing(services) as root:
        for browser, name in ((ada, "ada"), (bob, "bob"), (root, "root")):
            await browser.sign_in(name, PASSWORD)
        assert "<td>bob</td>" in (await ada.get(path)).text
        assert "audit/requests" not in (await ada.get(path)).text, "the access log of all channels is not for ada"
        assert "<td>ada</td>" not in (await bob.get(path)).text
        assert "3 downloads in 90 days" in (await bob.get(path)).text
        address = unescape((await root.get(path)).text.partition('href="/audit/requests?')[2].partition('"')[0])
        log = (await root.get(f"/audit/requests?{address}")).text
        assert NEW[0] in log
        assert OLD[0] not in log


async def test_approvals_are_those_of_people_who_let_something_pass(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/exemptions", json={"kind": "spec", "target": "demo", "reason": "=ours"})
    (row,) = await items(client, "reports/approvals")
    assert (row["actor"], row["action"], row["reason"]) == ("root", "exemption:add", "=ours")
    text = (await client.get("/api/v1/reports/approvals?format=csv")).text
    assert ",'=ours," in text


async def test_the_access_log_is_listed_in_pages_by_what_is_sought(client: httpx.AsyncClient) -> None:
    first = (await client.get("/api/v1/audit/requests", params={"user": "ada", "limit": 1})).json()
    (newest,) = first["items"]
    assert (newest["filename"], newest["status"], newest["verdict"]) == (NEW[0], 200, "allow")
    rest = await items(client, "audit/requests", user="ada", cursor=first["next"])
    assert sum(one["times"] for one in [newest, *rest]) == 3
    assert await items(client, "audit/requests", is_refused=True) == []


async def test_events_are_listed_shown_exported_and_proved(client: httpx.AsyncClient) -> None:
    page = (await client.get("/api/v1/audit/events", params={"limit": 2})).json()
    newest = page["items"][0]
    rest = await items(client, "audit/events", cursor=page["next"], limit=1000)
    assert [one["number"] for one in rest] == list(range(newest["number"] - 2, 0, -1))
    assert (await client.get(f"/api/v1/audit/events/{newest['number']}")).json() == newest
    created = await items(client, "audit/events", action="channel:create")
    assert [one["channel"] for one in created] == ["empty", "open"]
    proof = (await client.get("/api/v1/audit/verify")).json()
    assert (proof["is_whole"], proof["last"], proof["head"]) == (True, newest["number"], newest["hash"])
    exported = (await client.get("/api/v1/audit/export", params={"format": "csv"})).text
    assert len(list(csv.DictReader(io.StringIO(exported)))) == newest["number"]


async def test_who_may_read_the_audit_of_one_channel_reads_that_one_only(
    services: Services, client: httpx.AsyncClient
) -> None:
    await services.core.access.grants.add_grant(ACTOR, PrincipalKind.USER, "ada", "auditor", Scope("open"))
    await services.snapshots.reload()
    for path, status in (
        ("reports/downloads?channel=open", 200),
        ("reports/downloads", 403),
        ("reports/downloads?channel=empty", 403),
        ("audit/requests?channel=open", 200),
        ("audit/requests", 403),
        ("audit/events", 403),
        ("reports/affected?target=demo", 403),
        ("reports/storage", 403),
        ("reports/stale?channel=open", 200),
    ):
        assert (await client.get(f"/api/v1/{path}", auth=("ada", PASSWORD))).status_code == status, path


async def test_an_evidence_pack_is_whole_and_a_forged_one_is_not(client: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = await client.get("/api/v1/audit/evidence")
    assert answer.headers["content-type"] == "application/zip"
    pack = tmp_path / "evidence.zip"
    pack.write_bytes(answer.content)
    found = verify_pack(pack)
    proof = (await client.get("/api/v1/audit/verify")).json()
    assert (found.complaints, found.events, found.public_key) == ((), proof["last"], proof["public_key"])
    with zipfile.ZipFile(pack) as members:
        contents = {name: members.read(name) for name in members.namelist()}
    assert b",ada," in contents["downloads.csv"]
    forged = contents["events.jsonl"].replace(b'"actor": "tests"', b'"actor": "someone"', 1)
    assert forged != contents["events.jsonl"]
    with zipfile.ZipFile(pack, "w") as members:
        for name, content in (contents | {"events.jsonl": forged}).items():
            members.writestr(name, content)
    assert [one.split(" ")[0] for one in verify_pack(pack).complaints] == ["events.jsonl", "Event"]
    pack.write_bytes(b"no zip")
    with pytest.raises(Invalid) as refused:
        verify_pack(pack)
    assert refused.value.code == "pack-invalid"


async def test_a_pack_of_a_later_period_still_hangs_on_the_chain(client: httpx.AsyncClient, tmp_path: Path) -> None:
    events = await items(client, "audit/events", limit=1)
    since = events[0]["at"]
    await client.post("/api/v1/exemptions", json={"kind": "spec", "target": "demo", "reason": "ours"})
    pack = tmp_path / "evidence.zip"
    pack.write_bytes((await client.get("/api/v1/audit/evidence", params={"since": since})).content)
    found = verify_pack(pack)
    assert found.complaints == ()
    assert 2 <= found.events < events[0]["number"]


async def test_streams_are_made_listed_and_removed(client: httpx.AsyncClient) -> None:
    made = await client.post("/api/v1/audit/streams", json={"name": "hook", "url": "https://hooks.example/x"})
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]
    assert len(secret) > 30
    listed = await client.get("/api/v1/audit/streams")
    assert [one["name"] for one in listed.json()] == ["hook"]
    assert secret not in listed.text
    assert (await client.delete("/api/v1/audit/streams/hook")).status_code == 204
    assert (await client.get("/api/v1/audit/streams")).json() == []
