"""Pages of channels: whom they let do what, and what they make of what a form should not hold."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from headgate.channels.mirrors import Mirror
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName
from headgate.db import tables
from headgate.kernel import clock
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing

PASSWORD = "correct horse battery"
TEAM, OUTER = "/channels/team", "/channels/outer/world"
CHANGES = [
    (f"{TEAM}/freeze", {}),
    (f"{TEAM}/unfreeze", {}),
    (f"{TEAM}/set", {"privacy": "public"}),
    (f"{TEAM}/delete", {"typed": "team"}),
    (f"{TEAM}/rollback", {"to": "noarch=0"}),
    (f"{OUTER}/sync", {}),
    (f"{OUTER}/mirrors/main/filters", {"exclude_specs": "numpy"}),
    (f"{OUTER}/mirrors/main/network", {"proxy": "direct"}),
    (f"{OUTER}/mirrors/main/schedule", {"cron": "0 3 * * *"}),
    (f"{OUTER}/mirrors/main/test", {}),
    ("/new-channel", {"how": "hosted", "name": "new"}),
]
LOOKS = [f"{TEAM}/retention", f"{TEAM}/rollback?to=noarch%3D0", f"{OUTER}/mirrors/main", f"{OUTER}/mirrors/main/counts"]


@pytest.fixture
async def browser(services: Services) -> AsyncIterator[Browser]:
    core = services.core
    for name, is_administrator in (("ada", True), ("bob", False)):
        await core.access.create_user("test", name, PASSWORD, is_administrator=is_administrator)
    await core.channels.create("test", ChannelName("team"), ChannelKind.HOSTED)
    mirror = Mirror(None, ("http://127.0.0.1:1/main",))
    await core.channels.create("test", ChannelName("outer/world"), ChannelKind.MIRROR, mirrors=[mirror])
    for channel in ("team", "outer/world"):
        await core.access.grants.add_grant("test", PrincipalKind.USER, "bob", "downloader", Scope(channel))
    await services.snapshots.reload()
    async with browsing(services) as browser:
        yield browser


async def channels(services: Services) -> str:
    await services.snapshots.reload()
    return repr([one.as_json() for one in services.catalog.all()])


async def test_who_may_only_read_changes_nothing_and_is_offered_nothing(services: Services, browser: Browser) -> None:
    await browser.sign_in("bob", PASSWORD)
    before, proof = await channels(services), await browser.proof()
    for path, fields in CHANGES:
        answer = await browser.post(path, csrf_token=proof, **fields)
        assert answer.status_code == 403, path
    for path in LOOKS:
        assert (await browser.get(path)).status_code == 403, path
    assert await channels(services) == before
    for path in ("/channels", TEAM, f"{TEAM}/revisions", f"{OUTER}/mirrors"):
        shown = await browser.get(path)
        assert shown.status_code == 200, path
        assert set(re.findall(r'<form[^>]* method="post"[^>]* action="([^"]+)"', shown.text)) <= {"/sign-out"}, path


async def test_a_form_without_proof_changes_nothing(services: Services, browser: Browser) -> None:
    await browser.sign_in("ada", PASSWORD)
    before = await channels(services)
    for path, fields in CHANGES:
        assert (await browser.post(path, **fields)).status_code == 403, path
    assert await channels(services) == before


async def test_nobody_sees_what_is_private(browser: Browser) -> None:
    assert "team" not in (await browser.get("/channels")).text
    for path in (TEAM, "/channels/nothing"):
        answer = await browser.get(path)
        assert answer.status_code in {303, 401, 403}, path


async def test_what_stands_in_a_description_is_text(services: Services, browser: Browser) -> None:
    await browser.sign_in("ada", PASSWORD)
    proof = await browser.proof()
    hostile = "<script>alert(1)</script>\"' onload=x"
    await browser.post(f"{TEAM}/set", csrf_token=proof, privacy="private", description=hostile)
    for path in ("/channels", TEAM):
        assert "<script>alert" not in (await browser.get(path)).text


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        (f"{TEAM}/rollback", {"to": "noarch=x"}, "rollback-aimless"),
        (f"{TEAM}/rollback", {"to": "noarch=99"}, "revision-unknown"),
        (f"{TEAM}/delete", {"typed": "other"}, "name-not-typed"),
        (f"{TEAM}/unfreeze", {}, "channel-thawed"),
        (f"{OUTER}/mirrors/main/filters", {"date_from": "soon"}, "filter-invalid"),
        (f"{OUTER}/mirrors/main/schedule", {"cron": "never"}, "cron-invalid"),
        (f"{OUTER}/mirrors/none/test", {}, "mirror-unknown"),
    ],
)
async def test_forms_that_make_no_sense_are_refused(
    services: Services, browser: Browser, path: str, fields: dict[str, str], code: str
) -> None:
    await browser.sign_in("ada", PASSWORD)
    before = await channels(services)
    answer = await browser.post(path, csrf_token=await browser.proof(), **fields)
    assert answer.status_code in {404, 409, 422}
    assert code in answer.text
    assert await channels(services) == before


async def test_what_a_clean_up_would_remove_is_shown_before_it_does(services: Services, browser: Browser) -> None:
    await browser.sign_in("ada", PASSWORD)
    assert "Nothing would go" in (await browser.get(f"{TEAM}/retention")).text
    sha256, size_bytes = await services.core.store.render(lambda writer: writer.write(b"deleted"))
    moment = clock.now() - services.core.retention.ages.blob - timedelta(hours=1)
    subdir = services.catalog.get("team").subdirs["noarch"].id
    async with services.core.database.write() as connection:
        await connection.execute(tables.blob.insert().values(sha256=sha256, size_bytes=size_bytes, created_at=moment))
        await connection.execute(
            tables.artifact.insert().values(
                subdir_id=subdir, filename="gone-1.0-0.conda", package="gone", status="deleted", origin="upload",
                sha256=sha256, size_bytes=size_bytes, record=b"{}", created_at=moment, created_by="test",
            )
        )  # fmt: skip
    for path in (f"{TEAM}/retention", "/admin/storage?foresee=yes"):
        shown = await browser.get(path)
        assert_valid(shown.text)
        assert "gone-1.0-0.conda" in shown.text, path
    assert "gone-1.0-0.conda" not in (await browser.get("/admin/storage")).text
