"""Filters, tried and looked into through the API; what is stored goes through them again without another download."""

import json
from pathlib import Path
from typing import Any

import pytest

from headgate.bootstrap import Services
from headgate.channels import mirrors
from headgate.channels.model import ChannelKind
from headgate.channels.sources import read_published
from headgate.conda.names import ChannelName, Subdir
from headgate.http.client import Outgoing
from headgate.intake.closure import resolve_closure
from headgate.intake.failover import MirrorReader
from headgate.intake.sync import sync_subdir
from headgate.intake.upstream import UpstreamReader
from tests.browser.watching import assert_valid
from tests.http.browsing import browsing
from tests.http.conftest import PASSWORD, Callers

CHANNEL, PATH = "follower", "/channels/follower/mirrors/main"


def record(filename: str, subdir: str, *depends: str, **more: Any) -> dict[str, Any]:
    name, version, build = filename.removesuffix(".conda").rsplit("-", 2)
    return {
        "name": name, "version": version, "build": build, "build_number": 0, "depends": list(depends),
        "subdir": subdir, "sha256": "ab" * 32, "size": 100, "timestamp": 1_700_000_000_000, **more,
    }  # fmt: skip


class Upstream:
    """A folder with an index of two subdirs, and syncs of it."""

    def __init__(self, services: Services, folder: Path) -> None:
        self._services = services
        self._folder = folder
        self._outgoing = Outgoing(file_roots=[folder])

    def write(self, **subdirs: dict[str, dict[str, Any]]) -> None:
        for name, records in subdirs.items():
            folder = self._folder / name.replace("_", "-")
            folder.mkdir(exist_ok=True)
            (folder / "repodata.json").write_text(json.dumps({"info": {}, "packages": {}, "packages.conda": records}))

    async def sync(self) -> None:
        await self._services.snapshots.reload()
        database = self._services.core.database
        scratch = self._services.core.store.folder.scratch
        for subdir in (Subdir("noarch"), Subdir("linux-64")):
            channel = self._services.catalog.get(CHANNEL)
            route = self._services.routes.of(channel.sources[0])
            reader = MirrorReader([UpstreamReader(self._outgoing, route.urls[0], subdir, scratch)], route.keep_base)
            await sync_subdir(database, channel, channel.sources[0], subdir, reader, _ignore)
            await self._services.snapshots.reload()
        channel = self._services.catalog.get(CHANNEL)
        if channel.sources[0].settings.filters.include_dependencies:
            await resolve_closure(database, channel, channel.sources[0], scratch)

    async def published(self, subdir: str = "linux-64") -> set[str]:
        channel = self._services.catalog.get(CHANNEL)
        async with self._services.core.database.read() as connection:
            return set(await read_published(connection, channel.id, subdir, None))


async def _ignore(step: str, done: int, total: int) -> None:
    pass


@pytest.fixture
async def upstream(services: Services, callers: Callers, tmp_path: Path) -> Upstream:
    folder = tmp_path / "upstream"
    folder.mkdir()
    name = ChannelName(CHANNEL)
    await services.core.channels.create("tests", name, ChannelKind.MIRROR)
    await services.core.mirrors.add("tests", name, mirrors.Mirror(None, (folder.as_uri(),)))
    found = Upstream(services, folder)
    found.write(
        noarch={"helper-1.0-0.conda": record("helper-1.0-0.conda", "noarch", license="MIT")},
        linux_64={
            "app-1.0-0.conda": record("app-1.0-0.conda", "linux-64", "lib >=2", "helper", "__glibc >=2.17"),
            "app-2.0-0.conda": record("app-2.0-0.conda", "linux-64", "lib >=9"),
            "lib-1.0-0.conda": record("lib-1.0-0.conda", "linux-64"),
            "lib-2.0-0.conda": record("lib-2.0-0.conda", "linux-64", license="GPL-3.0-only"),
            "lib-2.1-0.conda": record("lib-2.1-0.conda", "linux-64"),
            "other-1.0-0.conda": record("other-1.0-0.conda", "linux-64"),
        },
    )  # fmt: skip
    await found.sync()
    return found


async def patch(callers: Callers, **filters: Any) -> None:
    answer = await callers.admin.patch(PATH, json={"settings": {"filters": filters}})
    assert answer.status_code == 200, answer.text


async def filtered(callers: Callers) -> dict[str, str]:
    answer = await callers.admin.get(f"{PATH}/filtered")
    assert answer.status_code == 200, answer.text
    return {item["filename"]: item["cause"] for item in answer.json()["items"]}


async def test_dry_run_counts_and_changes_nothing(callers: Callers, upstream: Upstream) -> None:
    before = await upstream.published()
    answer = await callers.admin.post(
        f"{PATH}/filters/dry-run", json={"exclude_specs": ["lib"], "date_to": "2030-01-01"}
    )
    assert answer.json() == {
        "records": 7, "size_bytes": 700, "passed_records": 4, "passed_bytes": 400, "dependencies": 0,
        "held_back": [{"cause": "exclude_specs", "records": 3, "size_bytes": 300}], "sentences": [],
    }  # fmt: skip
    assert await upstream.published() == before
    assert await filtered(callers) == {}


async def test_dry_run_of_fewer_subdirs_keeps_noarch(callers: Callers, upstream: Upstream) -> None:
    answer = await callers.admin.post(f"{PATH}/filters/dry-run", json={"subdirs": ["win-64"]})
    assert answer.json()["held_back"] == [{"cause": "subdirs", "records": 6, "size_bytes": 600}]


async def test_changed_filters_need_no_other_download(
    callers: Callers, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await patch(callers, exclude_specs=["lib <2", "other"])
    asked: list[str] = []
    real = UpstreamReader.fetch

    async def fetch(self: UpstreamReader, *before: Any) -> Any:
        found = await real(self, *before)
        asked.append(type(found).__name__)
        return found

    monkeypatch.setattr(UpstreamReader, "fetch", fetch)
    await upstream.sync()
    assert set(asked) == {"Unchanged"}
    assert await upstream.published() == {"app", "lib"}
    assert await filtered(callers) == {"lib-1.0-0.conda": "exclude_specs", "other-1.0-0.conda": "exclude_specs"}
    await patch(callers, exclude_specs=[])
    await upstream.sync()
    assert await upstream.published() == {"app", "lib", "other"}
    assert await filtered(callers) == {}


async def test_dependencies_are_what_the_solver_takes(callers: Callers, upstream: Upstream) -> None:
    draft = {"only_specs": ["app"], "include_dependencies": True}
    tried = (await callers.admin.post(f"{PATH}/filters/dry-run", json=draft)).json()
    assert (tried["passed_records"], tried["dependencies"]) == (4, 2)
    assert len(tried["sentences"]) == 1
    assert "app-2.0-0.conda cannot be installed" in tried["sentences"][0]
    await patch(callers, **draft)
    await upstream.sync()
    assert await upstream.published("noarch") == {"helper"}
    assert await filtered(callers) == {
        "lib-1.0-0.conda": "only_specs", "lib-2.0-0.conda": "only_specs", "other-1.0-0.conda": "only_specs"
    }  # fmt: skip
    await patch(callers, exclude_licenses=["none"])
    tried = (await callers.admin.post(f"{PATH}/filters/dry-run", json={})).json()
    assert tried["passed_records"] == 0, "app itself has no licence"


async def test_filters_follow_what_the_upstream_brings(callers: Callers, upstream: Upstream) -> None:
    await patch(callers, only_specs=["app"], include_dependencies=True)
    await upstream.sync()
    upstream.write(linux_64={
        "app-3.0-0.conda": record("app-3.0-0.conda", "linux-64", "fresh"),
        "fresh-1.0-0.conda": record("fresh-1.0-0.conda", "linux-64"),
        "stale-1.0-0.conda": record("stale-1.0-0.conda", "linux-64"),
    })  # fmt: skip
    await upstream.sync()
    assert await upstream.published() == {"app", "fresh"}
    assert await upstream.published("noarch") == set(), "nothing depends on it any more"


async def test_filters_are_refused_with_a_sentence(callers: Callers, upstream: Upstream) -> None:
    answer = await callers.admin.patch(PATH, json={"settings": {"filters": {"cve_score_threshold": 7.0}}})
    assert (answer.status_code, answer.json()["code"]) == (422, "filter-unsupported")
    answer = await callers.admin.post(f"{PATH}/filters/dry-run", json={"only_specs": ["a"], "exclude_specs": ["b"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "filter-invalid")


async def test_change_of_filters_asks_for_a_sync(callers: Callers, upstream: Upstream, services: Services) -> None:
    before = len(await services.jobs.list_jobs())
    await patch(callers, exclude_specs=["lib"])
    assert len(await services.jobs.list_jobs()) == before + 1


async def test_listing_comes_in_pages(callers: Callers, upstream: Upstream) -> None:
    await patch(callers, only_specs=["nothing"])
    await upstream.sync()
    first = (await callers.admin.get(f"{PATH}/filtered", params={"limit": 2})).json()
    assert [item["filename"] for item in first["items"]] == [
        "app-1.0-0.conda", "app-2.0-0.conda", "lib-1.0-0.conda", "lib-2.0-0.conda", "lib-2.1-0.conda"
    ]  # fmt: skip
    second = (await callers.admin.get(f"{PATH}/filtered", params={"cursor": first["next"]})).json()
    assert [(item["subdir"], item["filename"]) for item in second["items"]] == [
        ("linux-64", "other-1.0-0.conda"), ("noarch", "helper-1.0-0.conda")
    ]  # fmt: skip
    assert second["next"] is None


async def test_schedule_shows_its_next_run(callers: Callers, upstream: Upstream) -> None:
    schedule = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    answer = (await callers.admin.patch(PATH, json={"settings": {"schedule": schedule}})).json()
    assert answer["next_run_at"] is not None
    assert answer["settings"]["schedule"] == schedule | {"jitter_seconds": 60}
    cleared = (await callers.admin.patch(PATH, json={"settings": {"schedule": {"cron": ""}}})).json()
    assert cleared["next_run_at"] is None
    refused = await callers.admin.patch(PATH, json={"settings": {"schedule": {"cron": "never"}}})
    assert (refused.status_code, refused.json()["code"]) == (422, "cron-invalid")


async def test_what_match_specs_name_is_fetched_ahead(services: Services, callers: Callers, upstream: Upstream) -> None:
    for body, files in (
        ({"specs": ["lib >=2", "helper"]}, ["helper-1.0-0.conda", "lib-2.0-0.conda", "lib-2.1-0.conda"]),
        ({"specs": ["lib >2"], "text": "app-1.0-0.conda"}, ["app-1.0-0.conda", "lib-2.1-0.conda"]),
        ({}, None),
    ):
        answer = await callers.admin.post("/channels/follower/fetch", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json()["request"]["files"] == files
    for specs, code in ((["lib >9"], "selection-unmet"), (["lib", "*"], "match-spec-invalid")):
        refused = await callers.admin.post("/channels/follower/fetch", json={"specs": specs})
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        asked = await browser.post(
            "/channels/follower/fetch", csrf_token=await browser.proof(), specs="other\nhelper ==1.0\n", text=""
        )
        job = await services.jobs.get_job(asked.headers["location"].partition("job=")[2])
        assert job.request["files"] == ["helper-1.0-0.conda", "other-1.0-0.conda"]


async def test_the_page_tells_what_is_held_back_and_why(
    services: Services, callers: Callers, upstream: Upstream
) -> None:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        page = f"{PATH}/filtered"
        assert "Nothing is held back" in (await browser.get(page)).text
        await patch(callers, exclude_specs=["lib <2", "other"])
        shown = (await browser.get(page)).text
        assert_valid(shown)
        assert "lib-1.0-0.conda" in shown
        assert "lib &lt;2 is excluded." in shown
        assert "lib-2.0-0.conda" not in shown
        assert "lib-1.0-0.conda" not in (await browser.get(f"{page}?after=linux-64/lib")).text
        assert (await browser.get(f"{page}?after=nowhere")).status_code == 422
