"""Audit, advisories and incidents through the pages alone."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.browser.watching import PHONE, Visit
from tests.live import LiveServer
from tests.packages import package
from tests.unit.advisories.making import osv
from tests.waiting import eventually

Opens = Callable[..., Visit]
OSV = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2026-4242"],
    "summary": "Demo <script>alert(1)</script> reads what it should not",
    "details": "A long story.\n\n<img src=x onerror=alert(1)>",
    "modified": "2026-11-01T00:00:00Z",
    "published": "2026-10-01T00:00:00Z",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "demo"}, "versions": ["1.0"]}],
    "references": [{"type": "WEB", "url": "https://example.org/x"}, {"type": "WEB", "url": "javascript:alert(1)"}],
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
}


@pytest.fixture(scope="module")
def filled(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> LiveServer:
    """A channel whose file somebody took, and an advisory that affects it."""
    folder = tmp_path_factory.mktemp("files")
    filename, body = package("demo", "1.0")
    (folder / filename).write_bytes(body)
    (folder / "osv.json").write_text(json.dumps(OSV))
    for words in (
        ("channel", "create", "team", "--kind", "hosted"),
        ("upload", "team", folder / filename),
        ("advisory", "names", "set", "demo", "pkg:pypi/demo"),
        ("advisory", "import", folder / "osv.json", "--feed", "tests"),
    ):
        done = live.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    headers = {"Authorization": f"Bearer {live.token}", "User-Agent": "pixi/0.40.0"}
    urlopen(Request(f"{live.url}/conda/team/noarch/{filename}", headers=headers)).read()
    return live


@pytest.mark.usefixtures("filled")
def test_events_are_filtered_shown_and_taken_away(visit: Opens) -> None:
    window = visit()
    page = window.go("/audit")
    page.get_by_text("channel:create").first.wait_for()
    window.assert_good()
    window.picture("audit-light")
    page.locator("[data-filter]").fill("action:advisory")
    page.get_by_text("advisory:import").first.wait_for()
    page.get_by_text("channel:create").first.wait_for(state="detached")
    assert "q=action%3Aadvisory" in page.url
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert "advisory:import" in Path(download.value.path()).read_text()
    page.locator("tr[data-row] a").first.click()
    page.get_by_role("heading", name="All that it says").wait_for()
    window.assert_good()


@pytest.mark.usefixtures("filled")
def test_the_chain_is_checked_and_a_stream_is_made_and_removed(visit: Opens) -> None:
    window = visit()
    page = window.go("/audit/proof")
    page.get_by_role("link", name="Check the chain").click()
    page.get_by_text("The chain is whole").wait_for()
    page.get_by_label("Name").fill("siem")
    page.get_by_label("URL").fill("https://hooks.example/x")
    page.get_by_role("button", name="Add the stream").click()
    page.get_by_text("which is not shown again").wait_for()
    window.assert_accessible()
    window.picture("audit-proof")
    page.get_by_role("button", name="Remove").click()
    page.get_by_label("Type siem to confirm").fill("siem")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.locator("[data-toast]", has_text="Nothing is sent to siem").wait_for()


@pytest.mark.usefixtures("filled")
def test_downloads_are_plotted_and_found(visit: Opens) -> None:
    window = visit()
    page = window.go("/audit/requests")
    page.get_by_role("cell", name="team/noarch/demo-1.0").first.wait_for()
    page.get_by_role("img", name="Downloads of the last 30 days").locator("svg").wait_for()
    window.assert_accessible()
    window.picture("audit-requests")
    page.locator("[data-filter]").fill("user:nobody-here")
    page.get_by_text("No request fits").wait_for()


@pytest.mark.usefixtures("filled")
def test_reports_are_drawn_in_both_colours_with_their_tables(visit: Opens) -> None:
    window = visit(**PHONE)
    page = window.go("/reports")
    drawn = page.get_by_role("img", name="of whole files over 90 days").locator("svg")
    drawn.wait_for()
    light = drawn.inner_html()
    page.locator("summary", has_text="Show as table").first.click()
    page.get_by_role("rowheader").last.wait_for()
    window.assert_fits()
    window.picture("reports-phone-light")
    page.get_by_label("Switch between").click()
    eventually(lambda: drawn.inner_html() != light)
    page.get_by_label("Period").select_option("365")
    page.get_by_role("img", name="over a year, by month").locator("svg").wait_for()
    window.assert_good()
    window.picture("reports-phone-dark")


def test_an_advisory_is_found_judged_and_that_is_taken_back(visit: Opens, filled: LiveServer) -> None:
    window = visit()
    page = window.page
    eventually(lambda: _found(window))
    window.assert_good()
    window.picture("advisories")
    page.get_by_role("link", name="CVE-2026-4242").click()
    page.get_by_role("cell", name="noarch/demo-1.0").wait_for()
    assert page.get_by_role("link", name="javascript:").count() == 0
    window.assert_good()
    page.get_by_label("Status").select_option("cleared")
    page.get_by_label("Note").fill("We never call it.")
    page.get_by_role("button", name="Say so").click()
    page.locator("[data-toast]", has_text="CVE-2026-4242 is cleared here").wait_for()
    page.get_by_role("cell", name="We never call it.").wait_for()
    window.picture("advisory")
    page.locator("[data-toast]").get_by_role("button", name="Undo").click()
    page.locator("[data-toast]", has_text="The curation is ended").wait_for()
    page.goto("/advisories/feeds")
    page.get_by_role("columnheader", name="Statements").wait_for()
    window.assert_good()
    page.goto("/advisories/all?q=CVE-2026")
    page.get_by_role("link", name="CVE-2026-4242").wait_for()
    window.assert_good()


def test_a_file_is_imported_and_what_it_says_is_judged_together(
    visit: Opens, filled: LiveServer, tmp_path: Path
) -> None:
    file = tmp_path / "ours.json"
    file.write_text(json.dumps([osv(f"OURS-{number}", "nothing-here") for number in (1, 2, 3)]))
    window = visit()
    page = window.go("/advisories/import")
    window.assert_good()
    window.picture("advisory-import")
    page.get_by_label("Feed").first.fill("ours")
    page.locator("[type=file][name=file]").set_input_files(file)
    page.get_by_role("button", name="Import the file").click()
    page.get_by_text("Statements read").wait_for(timeout=20_000)
    window.picture("advisory-imported")
    page = window.go("/advisories/all?q=OURS")
    page.get_by_label("OURS-1").check()
    page.get_by_label("Which").select_option("all that fit the filter")
    page.get_by_label("Status").select_option("cleared")
    page.get_by_label("Justification").select_option("component not present")
    window.picture("advisories-to-judge")
    page.get_by_role("button", name="See what it would say").click()
    page.get_by_role("heading", name="Cleared: 3 advisories").wait_for()
    window.assert_accessible()
    window.picture("advisories-looked-at")
    page.get_by_role("button", name="Say so of all 3").click()
    page.locator("[data-toast]", has_text="3 advisories are cleared here").get_by_role("button", name="Undo").click()
    page.locator("[data-toast]", has_text="3 curations are ended").wait_for()


@pytest.mark.usefixtures("filled")
def test_what_was_judged_names_and_imports_fit_a_phone(visit: Opens) -> None:
    window = visit(color_scheme="dark", **PHONE)
    for part in ("", "/all", "/judged", "/names", "/feeds", "/import"):
        window.go(f"/advisories{part}")
        window.assert_accessible()
        window.assert_fits()
        window.picture(f"phone-dark-advisories{part.replace('/', '-')}")


def _found(window: Visit) -> bool:
    return window.go("/advisories").get_by_role("link", name="CVE-2026-4242").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_incident_is_declared_and_undone_from_a_phone(visit: Opens, filled: LiveServer, scheme: str) -> None:
    window = visit(color_scheme=scheme, **PHONE)
    page = window.go("/incidents")
    page.get_by_label("Advisory, package or sha256").fill("demo")
    page.get_by_role("button", name="Look").click()
    page.get_by_role("cell", name="admin", exact=True).first.wait_for()
    window.assert_fits()
    page.get_by_label("Reason").fill("A stealer.")
    window.picture(f"incident-phone-{scheme}")
    page.get_by_role("button", name="Block everywhere now").click()
    page.locator("[data-toast]", has_text="demo is blocked in every channel").wait_for()
    page.get_by_text("Blocked everywhere").first.wait_for()
    window.assert_accessible()
    assert filled.run("why", "team", "demo").stdout.count("incident") > 0
    page.locator("[data-toast]").get_by_role("button", name="Undo").click()
    page.locator("[data-toast]", has_text="is blocked no longer").wait_for()
    window.assert_good()
    for path in ("/audit", "/audit/requests", "/audit/proof", "/advisories"):
        window.go(path)
        window.assert_fits()
        window.picture(f"phone-{scheme}{path.replace('/', '-')}")
