"""The queue of everything that waits: what each kind says, who sees it, and how many questions it costs."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from headgate.channels.exempting import Wish
from headgate.channels.gating import Note, save_notes
from headgate.conda.names import Subdir
from headgate.db import tables
from headgate.kernel import clock
from headgate.policy.exemptions import ExemptionKind
from tests.http.browsing import browsing
from tests.http.conftest import PASSWORD, Callers
from tests.http.test_pages import counted
from tests.packages import package


@pytest.fixture(autouse=True)
async def full(callers: Callers, services: Services) -> None:
    """Of each kind something waits in `inside`."""
    for name in ("outside", "inside"):
        assert (await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})).status_code == 201
    for channel, name in (("outside", "app"), ("inside", "lib")):
        filename, body = package(name, "1.0", subdir="linux-64")
        sent = await callers.admin.post(f"/channels/{channel}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text
    await services.core.access.grants.add_grant("root", PrincipalKind.USER, "bob", "downloader", Scope("inside"))
    await callers.admin.put("/channels/inside/request-rules", json={"sources": ["outside"]})
    now = clock.now()
    for days, target in ((3, "numpy"), (90, "scipy")):
        wish = Wish(
            kind=ExemptionKind.SPEC, target=target, reason="why", owner="ada", channel="inside",
            expires_at=now + timedelta(days=days),
        )  # fmt: skip
        await services.core.exemptions.add("root", wish)
    rule = {"kind": "minimum-age", "days": 7, "action": "hold"}
    document = {"name": "cooldown", "rule": [rule]}
    await services.core.policies.apply("root", document)
    await services.snapshots.reload()
    place = services.catalog.get("inside").subdirs[Subdir("linux-64")].id
    async with services.core.database.write() as connection:
        notes = {
            "new": Note({"cooldown/minimum-age": 2}, now + timedelta(days=2)),
            "later": Note({"cooldown/minimum-age": 2}, now + timedelta(days=30)),
            "evil": Note({"built-in/malicious": 3}),
            "torn": Note({"consistency/unsatisfiable": 1}),
            "other": Note({"no-old/match-spec": 1}),
        }
        await save_notes(connection, place, None, notes)
        await connection.execute(update(tables.artifact).where(tables.artifact.c.package == "lib").values(
            ends_at=now + timedelta(days=5)
        ))  # fmt: skip
    wish_body = {"wants": ["app"], "target": "inside", "platforms": ["linux-64"]}
    assert (await callers.member.post("/requests", json=wish_body)).status_code == 201


async def test_everything_that_waits_has_its_number_and_its_page(callers: Callers) -> None:
    said = (await callers.admin.get("/waiting")).json()
    assert {one["kind"]: (one["number"], one["is_more"]) for one in said["counts"]} == dict.fromkeys(
        ("request", "cooldown", "exemption", "approval", "malware", "broken"), (1, False)
    )
    rows = {one["kind"]: one for one in said["items"]}
    assert {kind: one["title"] for kind, one in rows.items()} == {
        "request": "app", "cooldown": "new", "exemption": "numpy", "approval": "lib-1.0-0.conda", "malware": "evil",
        "broken": "torn",
    }  # fmt: skip
    assert rows["cooldown"]["sentence"] == "inside/linux-64: 2 files too new; judged again then."
    assert rows["malware"]["path"] == "/packages/inside/evil"
    assert rows["approval"]["path"] == "/requests/new?want=linux-64/lib-1.0-0.conda&target=inside"
    only = (await callers.admin.get("/waiting", params={"kind": "malware"})).json()
    assert [one["title"] for one in only["items"]] == ["evil"]


async def test_who_looks_after_nothing_sees_nothing_of_it(callers: Callers) -> None:
    said = (await callers.member.get("/waiting")).json()
    assert ({one["number"] for one in said["counts"]}, said["items"]) == ({0}, [])


async def test_the_pages_have_tabs_with_numbers_and_cost_few_questions(services: Services, callers: Callers) -> None:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        await browser.get("/requests/waiting")  # the first look at what is held is everybody's
        for path in ("/requests/waiting", "/requests"):
            with counted(services.core.database) as statements:
                page = await browser.get(path)
            assert page.status_code == 200, page.text
            for tab in ("Requests 1", "Cooldowns 1", "Exemptions ending 1", "Approvals ending 1", "Malware 1"):
                assert tab in page.text, (path, tab)
            questions = [one for one in statements if one != "BEGIN"]
            assert len(questions) <= 12, questions
        page = await browser.get("/requests/waiting?kind=broken")
        assert ("torn" in page.text, "evil" in page.text) == (True, False)
