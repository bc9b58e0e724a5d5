"""Policies written, tried, saved, attached and taken back, through the pages alone; exemptions added and revoked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.watching import PHONE, Visit
from tests.live import LiveServer
from tests.packages import package

Opens = Callable[..., Visit]


@pytest.fixture(scope="module")
def team(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A channel with two versions of a package."""
    folder: Path = tmp_path_factory.mktemp("packages")
    live.json("channel", "create", "team", "--kind", "hosted")
    for version in ("1.0", "2.0"):
        filename, body = package("demo", version)
        (folder / filename).write_bytes(body)
        assert live.run("upload", "team", folder / filename).returncode == 0
    return "team"


def held(live: LiveServer) -> list[str]:
    found = live.json("why", "team", "demo")
    return [one["filename"] for one in found if not one["is_passing"]]


NO_TWO = 'name = "no-two"\n[[rule]]\nkind = "match-spec"\nexclude = ["demo >=2"]\naction = "block"\n'


def test_policy_is_written_as_a_form_and_as_text_tried_and_saved(visit: Opens, live: LiveServer, team: str) -> None:
    window = visit()
    page = window.go("/policies")
    window.assert_good()
    page.get_by_role("link", name="New policy").click()
    effect = page.locator("#effect")
    effect.get_by_text("would disappear").first.wait_for()
    page.get_by_label("In channel").select_option(team)
    page.get_by_label("Kind of another rule").select_option("match-spec")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator(".rule", has_text="Blocks name <2.").wait_for()
    text = page.get_by_label("The same as text")
    assert "match-spec" in text.input_value(), "form and text are the same"
    window.assert_good()
    text.fill(NO_TWO)
    page.locator(".rule", has_text="Blocks demo >=2.").wait_for()
    effect.locator("li", has_text="demo-2.0-0.conda").wait_for()
    assert "next that passes: 1.0" in effect.inner_text()
    page.get_by_label("Action of rule 1").select_option("hold")
    page.locator(".rule", has_text="Holds back demo >=2.").wait_for()
    assert 'action = "hold"' in text.input_value()
    window.picture("policy-edit")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/policies/no-two")
    assert held(live) == [], "it holds nowhere yet"


def test_policy_is_attached_watched_enforced_and_taken_back(visit: Opens, live: LiveServer, team: str) -> None:
    live.json("policy", "apply", written(live, NO_TWO.replace("no-two", "strict")))
    window = visit()
    page = window.go("/policies/strict")
    page.get_by_label("Let it hold in").fill(team)
    page.get_by_role("button", name="Attach").click()
    page.locator("[data-toast]", has_text="holds in team").wait_for()
    assert held(live) == ["demo-2.0-0.conda"]
    page.get_by_role("button", name="Audit only").click()
    toast = page.locator("[data-toast]", has_text="in audit")
    toast.wait_for()
    assert held(live) == []
    toast.get_by_role("button", name="Undo").click()
    page.locator("[data-toast]", has_text="enforced").wait_for()
    assert held(live) == ["demo-2.0-0.conda"]
    page.get_by_role("link", name="What it changed").nth(1).click()
    page.locator(".difference .added", has_text="audit").wait_for()
    window.assert_good()
    window.picture("policy")
    page.get_by_role("button", name="Detach from team").click()
    page.locator("[data-toast]", has_text="holds no more").wait_for()
    assert held(live) == []


def written(live: LiveServer, text: str) -> Path:
    path = live.data.with_name("policy.toml")
    path.write_text(text, encoding="utf-8")
    return path


def test_mistakes_are_told_where_they_are_and_nothing_is_saved(visit: Opens, team: str) -> None:
    window = visit()
    page = window.go("/policies/new")
    page.get_by_label("The same as text").fill('name = "bad"\n[[rule]]\nkind = "size"\naction = "block"\n')
    page.locator("#draft-wrong", has_text="it needs `most_bytes` or `least_bytes`").wait_for()
    window.tolerated.add("422")
    page.get_by_role("button", name="Save").click()
    page.locator("#draft-wrong", has_text="It cannot be saved yet").wait_for()
    assert page.get_by_label("The same as text").input_value().startswith('name = "bad"'), "what was written stays"


def test_pages_of_policies_work_without_a_script(visit: Opens, team: str) -> None:
    page = visit(java_script_enabled=False).go("/policies/new")
    page.get_by_label("Kind of another rule").select_option("latest-patch")
    page.get_by_role("button", name="Add", exact=True).click()
    assert page.locator(".rule", has_text="later patch release").count() == 1
    assert "would disappear" in page.locator("#effect").inner_text()


def test_exemption_is_added_and_revoked_and_back(visit: Opens, live: LiveServer, team: str) -> None:
    window = visit()
    page = window.go("/exemptions")
    window.assert_good()
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("What", exact=True).fill("demo 2.0")
    page.get_by_label("Why", exact=True).fill("Nobody reaches it.")
    page.get_by_role("button", name="Let it pass").click()
    row = page.locator("tr[data-row]", has_text="demo 2.0")
    row.get_by_text("Nobody reaches it.").wait_for()
    window.assert_good()
    window.picture("exemptions")
    row.get_by_role("button", name="Revoke").click()
    page.locator("[data-toast]", has_text="has ended").get_by_role("button", name="Undo").click()
    row.get_by_text("admin").wait_for()
    assert [one["target"] for one in live.json("exemption", "list")] == ["demo 2.0"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_policies_fit_a_phone_in_light_and_dark(visit: Opens, scheme: str, team: str) -> None:
    window = visit(color_scheme=scheme, **PHONE)
    for path in ("/policies", "/policies/new", "/exemptions"):
        page = window.go(path)
        if path == "/policies/new":
            page.locator("#effect").get_by_text("would disappear").first.wait_for()
        window.assert_accessible()
        window.assert_fits()
        window.picture(f"phone-{scheme}{path.replace('/', '-')}")
