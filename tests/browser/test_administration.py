"""The administration: people, what they may do and why, tokens, providers, jobs, storage, health, settings."""

from collections.abc import Callable

import pytest

from headgate.doors.web import admin
from tests.browser.watching import PHONE, Visit
from tests.live import LiveServer

Opens = Callable[..., Visit]
PARTS = [path.removeprefix("/admin/") for _, path, _ in admin.PARTS]
NEW = "a long enough password of hers"


def test_every_part_is_good_for_everybody(visit: Opens, live: LiveServer) -> None:
    assert live.run("group", "create", "readers").returncode == 0
    window = visit()
    for part in PARTS:
        window.go(f"/admin/{part}")
        window.assert_good()
        window.picture(f"admin-{part}")
    window.go("/admin/users/admin")
    window.assert_good()
    window.go("/admin/explain?user=admin&permission=channel:read")
    window.assert_good()
    window.picture("admin-explained")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_parts_fit_a_phone(visit: Opens, scheme: str) -> None:
    window = visit(color_scheme=scheme, **PHONE)
    for part in PARTS:
        window.go(f"/admin/{part}")
        window.assert_accessible()
        window.assert_fits()
        window.picture(f"phone-{scheme}-admin-{part}")


def test_a_user_is_made_let_in_explained_and_put_out(visit: Opens, live: LiveServer) -> None:
    live.json("channel", "create", "secret-lab", "--kind", "hosted")
    window = visit()
    page = window.go("/admin/users")
    page.get_by_text("Add a user").click()
    page.get_by_label("Name").fill("grace")
    page.get_by_label("First password").fill(NEW)
    page.get_by_role("button", name="Add the user").click()
    page.locator("[data-toast]", has_text="grace is here").wait_for()
    page.get_by_role("link", name="What may they do?").click()
    page.get_by_label("May do").select_option("channel:read")
    page.get_by_label("On channel").fill("secret-lab")
    page.get_by_role("button", name="Explain").click()
    page.get_by_role("heading", name="grace may not channel:read").wait_for()
    page = window.go("/admin/grants")
    page.get_by_label("To", exact=True).select_option("user:grace")
    page.get_by_label("Role", exact=True).select_option("downloader")
    page.get_by_label("On channel").fill("secret-lab")
    page.get_by_role("button", name="Grant", exact=True).click()
    page.locator("[data-toast]", has_text="downloader granted to user grace on secret-lab").wait_for()
    page = window.go("/admin/explain?user=grace&permission=channel:read&channel=secret-lab")
    page.get_by_role("heading", name="grace may channel:read").wait_for()
    assert "downloader granted to user grace" in page.locator("dl.facts").inner_text()


def test_a_user_is_disabled_enabled_again_and_deleted(visit: Opens, live: LiveServer) -> None:
    live.json("user", "create", "edsger")
    page = visit().go("/admin/users/edsger")
    page.get_by_role("button", name="Disable").click()
    toast = page.locator("[data-toast]", has_text="can no longer sign in")
    toast.get_by_role("button", name="Undo").click()
    page.locator("[data-toast]", has_text="can sign in again").wait_for()
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_label("Type edsger to confirm").fill("edsger")
    page.locator("dialog[open]").get_by_role("button", name="Delete").click()
    page.locator("[data-toast]", has_text="edsger is deleted").wait_for()
    assert page.url.endswith("/admin/users")


def test_grants_are_filtered_and_a_removed_one_comes_back(visit: Opens, live: LiveServer) -> None:
    live.json("channel", "create", "shop", "--kind", "hosted")
    page = visit().go("/admin/grants")
    page.get_by_label("To", exact=True).select_option("pseudo:authenticated")
    page.get_by_label("Role", exact=True).select_option("downloader")
    page.get_by_label("On channel").fill("shop")
    page.get_by_role("button", name="Grant", exact=True).click()
    page.locator("[data-filter]").fill("on:shop")
    page.wait_for_url("**/admin/grants?q=on%3Ashop")
    page.get_by_role("button", name="Remove downloader granted to authenticated on shop").click()
    page.locator("[data-toast]", has_text="No longer").get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Remove downloader granted to authenticated on shop").wait_for()


def test_cleaning_up_is_a_job_that_is_seen_to_end(visit: Opens) -> None:
    page = visit().go("/admin/storage")
    page.get_by_role("button", name="Clean up now").click()
    page.wait_for_url("**/admin/jobs/*")
    page.get_by_text("done", exact=True).wait_for(timeout=30_000)
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("link", name="collect-garbage").first.wait_for()


def test_backing_up_is_a_job_that_is_seen_to_end_and_what_it_made_is_listed(visit: Opens) -> None:
    window = visit()
    page = window.go("/admin/backups")
    page.get_by_role("button", name="Back up now").click()
    page.wait_for_url("**/admin/jobs/*")
    page.get_by_text("done", exact=True).wait_for(timeout=30_000)
    page.get_by_role("link", name="Backups", exact=True).click()
    row = page.get_by_role("region", name="Backups").locator("tbody tr").first
    assert row.locator("td").nth(1).inner_text() == "admin"
    window.assert_good()
    window.picture("backups-made")
    phone = visit(**PHONE)
    phone.go("/admin/backups")
    phone.assert_fits()
    phone.picture("phone-backups-made")


def test_an_identity_provider_that_does_not_answer_is_told_so_when_tested(visit: Opens) -> None:
    page = visit().go("/admin/providers")
    page.get_by_text("Add a provider").click()
    page.get_by_label("Name").fill("sso")
    page.get_by_label("Issuer").fill("https://127.0.0.1:9/realms/none")
    page.get_by_label("Client id").fill("headgate")
    page.get_by_role("button", name="Add the provider").click()
    page.get_by_role("button", name="Test sso").click()
    page.get_by_text("failed", exact=True).wait_for()


def test_a_directory_is_added_by_hand(visit: Opens, live: LiveServer) -> None:
    window = visit()
    page = window.go("/admin/directories")
    page.get_by_role("link", name="OpenLDAP").click()
    page.get_by_label("Name", exact=True).fill("corp")
    page.get_by_label("URLs").fill("ldaps://127.0.0.1:9")
    page.get_by_label("Bind DN").fill("cn=reader,dc=corp,dc=example")
    page.get_by_label("Bind password").fill("what the directory knows")
    page.get_by_label("Where people are").fill("ou=people,dc=corp,dc=example")
    page.locator("[name=groups]").fill("cn=staff -> Developers")
    window.assert_good()
    window.picture("directory-new")
    page.get_by_role("button", name="Add the directory").click()
    page.locator("[data-toast]", has_text="corp is known").wait_for()
    window.picture("directories")
    page.get_by_role("link", name="Settings of corp").click()
    assert page.get_by_label("Bind password").input_value() == "•••"
    window.assert_good()
    window.picture("directory")
    phone = visit(color_scheme="dark", **PHONE)
    phone.go("/admin/directories/corp/settings")
    phone.assert_accessible()
    phone.assert_fits()
    phone.picture("phone-dark-directory")
    assert live.run("ldap", "remove", "corp").returncode == 0


def test_a_token_of_a_service_account_is_made_by_hand(visit: Opens, live: LiveServer) -> None:
    live.json("user", "create", "farm", "--service")
    window = visit()
    page = window.go("/admin/users/farm")
    page.get_by_role("link", name="Make a token for farm").click()
    page.get_by_label("Name", exact=True).fill("ci")
    window.picture("token-new")
    page.get_by_role("button", name="Make the token").click()
    page.get_by_text("Copy its text now").wait_for()
    window.assert_accessible()
    window.picture("token-made")
    phone = visit(color_scheme="dark", **PHONE)
    for path in ("tokens", "tokens/1"):
        phone.go(f"/admin/{path}")
        phone.assert_accessible()
        phone.assert_fits()
        phone.picture(f"phone-dark-{path.replace('/', '-')}")
