"""Channels in the browser: made, looked at, frozen, taken back; mirrors followed as they sync."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.watching import PHONE, Visit
from tests.live import PASSWORD, LiveServer, headgate
from tests.packages import archive, package
from tests.upstreams import FolderServer, record_of, write_repodata

Opens = Callable[..., Visit]
NAMES = 12_000
MANY = 60_000
"""So many that a sync takes long enough to be watched."""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderServer]:
    with serving(tmp_path_factory.mktemp("upstream"), NAMES) as server:
        yield server


@contextmanager
def serving(root: Path, names: int) -> Iterator[FolderServer]:
    """An upstream with so many names, of which the first has its file."""
    filename, body = package("p0")
    (root / "noarch").mkdir()
    (root / "noarch" / filename).write_bytes(body)
    records: dict[str, dict[str, Any]] = {filename: record_of("noarch", filename, body)}
    for number in range(1, names):
        name = f"p{number}-1.0-0.conda"
        records[name] = record_of("noarch", name, name.encode(), license="MIT" if number % 3 else "GPL-3.0-only")
    write_repodata(root / "noarch", records)
    with FolderServer(root) as server:
        yield server


@pytest.fixture(scope="module")
def team(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A hosted channel with two versions of a package."""
    live.json("channel", "create", "team", "--kind", "hosted", "--description", "What we build")
    folder = tmp_path_factory.mktemp("packages")
    for version in ("1.0", "2.0"):
        filename, body = package("demo", version)
        (folder / filename).write_bytes(body)
        live.json("upload", "team", folder / filename)
    return "team"


def listed(live: LiveServer, channel: str) -> list[str]:
    """The file names that the channel holds and lists."""
    return [one["filename"] for one in live.json("artifact", "list", channel) if one["status"] == "active"]


def test_two_feeds_are_made_in_one_form(visit: Opens, live: LiveServer) -> None:
    window = visit()
    page = window.go("/channels")
    page.get_by_role("link", name="New channel").click()
    window.assert_good()
    page.get_by_role("link", name="Two feeds").click()
    window.assert_good()
    page.get_by_label("Unapproved feed").fill("outer")
    page.get_by_label("Approved feed", exact=True).fill("inner")
    page.get_by_role("button", name="Make both").click()
    page.wait_for_url("**/channels/inner")
    page.locator("dd", has_text="outer → inner").wait_for()
    window.assert_good()
    made = {one["name"]: one["kind"] for one in live.json("channel", "list")}
    assert (made["outer"], made["inner"]) == ("mirror", "hosted")
    assert live.json("pipeline", "show", "inner")["stages"] == ["outer", "inner"]


def test_what_is_wrong_with_a_form_is_said_beside_it_and_nothing_typed_is_lost(visit: Opens, team: str) -> None:
    window = visit()
    window.tolerated.add("422")
    page = window.go("/new-channel?how=hosted")
    page.get_by_label("Name", exact=True).fill(team)
    page.get_by_label("Description").fill("once more")
    page.get_by_role("button", name="Make the channel").click()
    assert "already a channel team" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Description").input_value() == "once more"
    window.assert_accessible()


def test_a_channel_is_found_while_one_types(visit: Opens, team: str) -> None:
    window = visit()
    page = window.go("/channels")
    page.locator("[data-filter]").fill("kind:hosted build")
    page.wait_for_url("**/channels?q=*")
    assert page.locator("[data-row]").count() == 1
    page.keyboard.press("Escape")
    page.locator("[data-row] a").click()
    page.wait_for_url(f"**/channels/{team}")
    assert "What we build" in page.locator("main").inner_text()
    window.assert_good()
    window.picture("channel")


def test_a_rollback_is_looked_at_then_done_and_taken_back(visit: Opens, live: LiveServer, team: str) -> None:
    window = visit()
    page = window.go(f"/channels/{team}/revisions")
    window.assert_good()
    window.picture("revisions")
    page.get_by_role("link", name="Go back to revision 2 of noarch").click()
    assert "disappears" in page.get_by_role("row", name="demo-2.0-0.conda").inner_text()
    window.assert_good()
    window.picture("rollback")
    assert len(listed(live, team)) == 2
    page.get_by_label("Why").fill("2.0 breaks the forecasts")
    page.get_by_role("button", name="Go back").click()
    toast = page.locator("[data-toast]", has_text="as it was at revision 2")
    assert listed(live, team) == ["demo-1.0-0.conda"]
    toast.get_by_role("button", name="Undo").click()
    page.locator("[data-toast]", has_text="as it was at revision 3").wait_for()
    assert len(listed(live, team)) == 2


def test_files_are_uploaded_one_after_the_other(visit: Opens, live: LiveServer, tmp_path: Path) -> None:
    live.json("channel", "create", "taking", "--kind", "hosted")
    files = [*[package("big", str(number), content=os.urandom(1 << 20)) for number in range(2)], ("no-1-0.conda", b"x")]
    for filename, body in files:
        (tmp_path / filename).write_bytes(body)
    window = visit()
    window.tolerated.add("422")
    page = window.go("/channels/taking/upload")
    window.assert_good()
    page.get_by_label("Package files").set_input_files([tmp_path / filename for filename, _ in files])
    page.get_by_role("button", name="Upload").click()
    page.locator("#outcomes li", has_text="refused").wait_for()
    assert page.locator("#outcomes .badge").all_inner_texts() == ["taken", "taken", "refused"]
    assert len(listed(live, "taking")) == 2
    window.assert_accessible()
    window.picture("uploaded")
    plain = visit(java_script_enabled=False)
    plain.tolerated.add("422")
    (tmp_path / "refused").write_bytes(bytes(4 << 20))
    page = plain.go("/channels/taking/upload")
    page.get_by_label("Package files").set_input_files([tmp_path / "refused", tmp_path / files[0][0]])
    page.get_by_role("button", name="Upload").click()
    assert page.locator("#outcomes .badge").all_inner_texts() == ["refused", "there already"]


def test_a_patch_is_seen_as_it_is_typed_put_in_force_and_undone(visit: Opens, live: LiveServer, team: str) -> None:
    window = visit()
    page = window.go(f"/channels/{team}/patches")
    page.get_by_role("link", name="noarch", exact=True).click()
    text = page.get_by_label("patch_instructions.json")
    text.fill('{"packages.conda": {"demo-1.0-0.conda": {"depends": ["lib <2"]')
    page.locator("#preview [role=alert]").wait_for()
    text.fill('{"packages.conda": {"demo-1.0-0.conda": {"depends": ["lib <2"]}}}')
    page.get_by_role("heading", name="1 record would be another").wait_for()
    assert page.locator("#preview ins").inner_text() == "+ lib <2"
    window.assert_good()
    window.picture("patch")
    page.get_by_label("Why").fill("1.0 needs an old lib")
    page.get_by_role("heading", name="1 record would be another").wait_for()
    page.get_by_role("button", name="Put it in force").click()
    toast = page.locator("[data-toast]", has_text="is in force")
    assert len(live.json("patch", "list", team)) == 1
    window.picture("patches")
    toast.get_by_role("button", name="Undo").click()
    page.locator("[data-toast]", has_text="is undone").wait_for()
    assert len(live.json("patch", "list", team)) == 2
    window.assert_good()
    filename, body = archive("our-patches", {"noarch/patch_instructions.json": b'{"revoke": ["demo-1.0-0.conda"]}'})
    page.get_by_label("Package", exact=True).set_input_files({"name": filename, "mimeType": "", "buffer": body})
    page.get_by_role("button", name="See what it would change").click()
    page.get_by_role("heading", name="1 record would be another").wait_for()
    page.get_by_role("button", name="Put it in force").click()
    page.locator("[data-toast]", has_text="The patches of our-patches").get_by_role("button", name="Undo").click()
    page.locator("[data-toast]", has_text="is undone").wait_for()
    assert [one["origin"] for one in live.json("patch", "list", team)][:2] == [None, filename]


def test_packages_are_promoted_after_a_look(visit: Opens, live: LiveServer, team: str) -> None:
    live.json("channel", "create", "promoted", "--kind", "hosted")
    window = visit()
    page = window.go("/promotions")
    page.get_by_role("link", name="Promote", exact=True).click()
    window.assert_good()
    page.get_by_label("What", exact=True).fill("demo >=2")
    page.get_by_label("From", exact=True).select_option(team)
    page.get_by_label("Into", exact=True).select_option("promoted")
    page.get_by_label("Platforms").fill("linux-64")
    page.get_by_role("button", name="See what would pass").click()
    page.get_by_role("heading", name=f"{team} → promoted").wait_for()
    window.assert_accessible()
    window.assert_quiet()
    window.picture("promote")
    page.set_viewport_size({"width": 390, "height": 844})
    window.assert_fits()
    window.picture("promote-narrow")
    page.get_by_label("Why").fill("It was tested")
    page.get_by_role("button", name="Promote 1 file").click()
    page.locator("dd .badge", has_text="applied").wait_for(timeout=30_000)
    assert listed(live, "promoted") == ["demo-2.0-0.conda"]
    window.assert_good()


def test_a_channel_is_frozen_with_a_reason_and_moves_again(visit: Opens, live: LiveServer, team: str) -> None:
    window = visit()
    page = window.go(f"/channels/{team}")
    page.get_by_label("Why freeze it").fill("a release is tested")
    page.get_by_role("button", name="Freeze").click()
    page.get_by_text("a release is tested").wait_for()
    window.assert_good()
    window.picture("frozen")
    assert live.json("channel", "show", team)["frozen"]["why"] == "a release is tested"
    page.get_by_role("button", name="Unfreeze").click()
    page.locator("[data-toast]", has_text="moves again").wait_for()
    assert live.json("channel", "show", team)["frozen"] is None


def test_deleting_a_channel_asks_for_its_name(visit: Opens, live: LiveServer) -> None:
    live.json("channel", "create", "gone", "--kind", "hosted")
    page = visit().go("/channels/gone")
    page.get_by_role("button", name="Delete the channel").click()
    dialog = page.get_by_role("dialog", name="Delete the channel")
    dialog.get_by_role("textbox").fill("gone")
    dialog.get_by_role("button", name="Delete the channel").click()
    page.wait_for_url("**/channels")
    assert "gone" not in {one["name"] for one in live.json("channel", "list")}


WATCH = """new MutationObserver((found) => {
    const seen = JSON.parse(sessionStorage.getItem("seen") ?? "[]");
    const values = found.map((one) => one.target).filter((one) => one.matches("progress")).map((one) => one.value);
    sessionStorage.setItem("seen", JSON.stringify(seen.concat(values)));
}).observe(document, {subtree: true, attributes: true, attributeFilter: ["value"]})"""
"""Writes down where the bar is, whenever it moves; the page is loaded anew at the end."""


def test_a_sync_is_seen_to_move(visit: Opens, live: LiveServer, tmp_path: Path) -> None:
    # How often the bar is drawn is the browser's business: on a busy machine a sync may be over between two strokes.
    with serving(tmp_path, MANY) as upstream:
        assert any(is_seen_to_move(visit(), live, upstream, f"mirrored-{number}") for number in range(4))


def is_seen_to_move(window: Visit, live: LiveServer, upstream: FolderServer, channel: str) -> bool:
    """Whether the bar stood somewhere between nothing and all, during a sync that went well."""
    live.json("channel", "create", channel, "--kind", "mirror", "--upstream", upstream.url, "--subdir", "noarch")
    window.page.add_init_script(WATCH)
    page = window.go(f"/channels/{channel}/mirrors")
    page.evaluate("() => sessionStorage.clear()")
    window.assert_good()
    page.get_by_role("button", name="Sync all now").click()
    page.get_by_text("The sync is done").wait_for(timeout=60_000)
    seen: list[float] = page.evaluate('() => JSON.parse(sessionStorage.getItem("seen") ?? "[]")')
    assert seen == sorted(seen)
    assert "60,000" in page.get_by_role("row", name="noarch").inner_text()
    window.assert_good()
    window.picture("mirrors")
    return any(0 < one < MANY for one in seen)


def test_filters_are_counted_while_one_types(visit: Opens, live: LiveServer, upstream: FolderServer) -> None:
    live.json("channel", "create", "filtered", "--kind", "mirror", "--upstream", upstream.url, "--subdir", "noarch")
    live.json("mirror", "sync", "filtered", "--wait")
    window = visit()
    page = window.go("/channels/filtered/mirrors/main")
    passing, unwanted = page.locator("[data-passing]"), page.get_by_label("Not these", exact=True)
    passing.filter(has_text="12,000").wait_for()
    page.get_by_label("Not these licences").fill("GPL-3.0-only")
    passing.filter(has_text="8,001").wait_for()
    unwanted.fill("p1 ==")
    page.locator("#counts [role=alert]").wait_for()
    unwanted.fill("p1")
    passing.filter(has_text="8,000").wait_for()
    window.assert_good()
    window.picture("filters")
    page.get_by_role("button", name="Keep and sync").click()
    page.get_by_text("The sync is done").wait_for(timeout=60_000)
    filters = live.json("mirror", "show", "filtered", "main")["settings"]["filters"]
    assert (filters["exclude_specs"], filters["exclude_licenses"]) == (["p1"], ["GPL-3.0-only"])


def test_the_way_to_a_mirror_is_told_step_by_step(visit: Opens, live: LiveServer, upstream: FolderServer) -> None:
    live.json("channel", "create", "tried", "--kind", "mirror", "--upstream", upstream.url, "--subdir", "noarch")
    window = visit()
    page = window.go("/channels/tried/mirrors/main")
    page.get_by_role("button", name="Test the way").click()
    page.get_by_text("can be reached, read and fetched from").wait_for()
    assert "p0-1.0-0.conda can be fetched" in page.locator("#trial").inner_text()
    window.assert_good()
    page.get_by_label("Proxy").fill("http://127.0.0.1:1")
    page.get_by_role("button", name="Keep", exact=True).first.click()
    page.locator("[data-toast]", has_text="The way there is kept").wait_for()
    page.get_by_role("button", name="Test the way").click()
    page.locator("#trial [data-state=failed]", has_text="proxy").wait_for()
    window.picture("trial")
    page.get_by_label("When").fill("30 2 * * *")
    page.get_by_role("button", name="Keep", exact=True).last.click()
    page.get_by_text("The next sync begins").wait_for()
    assert live.json("mirror", "show", "tried", "main")["settings"]["schedule"]["cron"] == "30 2 * * *"


def test_a_mirror_is_set_section_by_section(visit: Opens, live: LiveServer, upstream: FolderServer) -> None:
    live.json("channel", "create", "settled", "--kind", "mirror", "--upstream", upstream.url, "--subdir", "noarch")
    window = visit()
    page = window.go("/channels/settled/mirrors/main")
    page.get_by_label("Sign in with").select_option("bearer")
    page.get_by_label("Password or token").fill("b3arer")
    page.get_by_role("button", name="Keep the credentials").click()
    page.get_by_text("signs in there with a bearer token").wait_for()
    page.get_by_label("Tries after a passing failure").fill("0")
    page.get_by_role("button", name="Keep the limits").click()
    page.locator("[data-toast]", has_text="The limits are kept").wait_for()
    page.get_by_label("Redirect", exact=True).check()
    page.get_by_role("button", name="Keep the mode").click()
    page.locator("dd", has_text="clients are sent there").wait_for()
    page.locator("[data-toast]").get_by_role("button", name="Undo").click()
    page.locator("dd", has_text="come when they are asked for").wait_for()
    window.go("/channels/settled/mirrors/main")
    window.assert_good()
    window.picture("mirror")
    settings = live.json("mirror", "show", "settled", "main")["settings"]
    assert (settings["network"]["bearer_token"], settings["network"]["retries"], settings["fetch"]["mode"]) == (
        "•••", 0, "passive",
    )  # fmt: skip


def test_members_of_a_virtual_channel_change_places(visit: Opens, live: LiveServer, team: str) -> None:
    live.json("channel", "create", "spare", "--kind", "hosted")
    live.json("channel", "create", "both", "--kind", "virtual", "--member", team, "--member", "spare")
    window = visit()
    page = window.go("/channels/both")
    window.assert_good()
    window.picture("members")
    page.get_by_role("button", name="Up: spare").click()
    page.locator("[data-toast]", has_text=f"both shows spare, then {team}").wait_for()
    assert live.json("channel", "show", "both")["members"] == ["spare", team]
    page.get_by_role("link", name="Not installable").click()
    page.get_by_text("No policy holds anything back here").wait_for()
    window.assert_good()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_channels_fit_a_phone(visit: Opens, live: LiveServer, team: str, scheme: str) -> None:
    window = visit(color_scheme=scheme, **PHONE)
    paths = (
        "/channels",
        "/new-channel",
        "/new-channel?how=two-feeds",
        f"/channels/{team}",
        f"/channels/{team}/revisions",
        f"/channels/{team}/upload",
        f"/channels/{team}/patches",
        f"/channels/{team}/patches/noarch",
        "/promotions/new",
    )
    for number, path in enumerate(paths):
        window.go(path)
        window.assert_accessible()
        window.assert_fits()
        window.picture(f"phone-{scheme}-channels-{number}")


def test_who_may_not_manage_sees_no_way_to(visit: Opens, live: LiveServer, team: str) -> None:
    live.json("channel", "set", team, "--privacy", "authenticated")
    live.json("user", "create", "reader", "--password", PASSWORD)
    window = visit("reader")
    page = window.go(f"/channels/{team}")
    assert page.get_by_role("button", name="Freeze").count() == 0
    assert page.get_by_role("button", name="Delete the channel").count() == 0
    window.tolerated.add("403")
    refused = page.goto(f"/channels/{team}/rollback?to=noarch%3D1")
    assert refused is not None
    assert refused.status == 403


def apply_mild(live: LiveServer, path: Path) -> None:
    """A policy that lets pass all that is there."""
    rule = {"kind": "match-spec", "exclude": ["nothing-here"], "action": "block"}
    path.write_text(json.dumps({"name": "mild", "mode": "off", "rule": [rule]}))
    live.json("policy", "apply", path)


def send_in(page: Page, key: Path, bundle: Path) -> None:
    """Through the form of a new channel."""
    page.get_by_label("Channel", exact=True).fill("carried")
    page.get_by_label("Public key").fill(key.read_text())
    page.get_by_label("Bundle", exact=True).set_input_files(bundle)
    page.get_by_role("button", name="Send and take in").click()


def test_a_bundle_goes_out_is_signed_and_comes_in(visit: Opens, live: LiveServer, team: str, tmp_path: Path) -> None:
    key = tmp_path / "K"
    headgate("bundle", "keygen", "--out", key)
    apply_mild(live, tmp_path / "mild.json")
    window = visit()
    page = window.go(f"/channels/{team}/bundles")
    window.assert_good()
    page.get_by_label("What match specs name").check()
    page.get_by_label("Match specs", exact=True).fill("demo")
    page.get_by_label("Policy").select_option("mild")
    page.get_by_role("button", name="Prepare it").click()
    with page.expect_download() as manifest:
        page.get_by_role("link", name="Manifest").click(timeout=30_000)
    manifest.value.save_as(tmp_path / "manifest.json")
    window.assert_good()
    window.picture("bundles")
    signed = headgate("bundle", "sign", tmp_path / "manifest.json", "--key", key)
    page.get_by_label("Signature").fill(signed.stdout.strip())
    with page.expect_download() as bundle:
        page.get_by_role("button", name="Bundle", exact=True).click()
    bundle.value.save_as(tmp_path / "bundle")
    page = window.go("/new-channel?how=bundle")
    window.assert_good()
    send_in(page, key.with_suffix(".pub"), tmp_path / "bundle")
    page.get_by_text("It holds what policy mild (version 1)").wait_for(timeout=30_000)
    assert "Channel carried stands at bundle 0" in page.content()
    window.assert_good()
    window.picture("bundle-import")
    assert live.json("channel", "show", "carried")["kind"] == "bundle"
    window.go("/admin/bundles")
    window.assert_good()
