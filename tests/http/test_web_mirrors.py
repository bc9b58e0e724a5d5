"""Pages of one mirror: each form says something of its own section alone; and what is set of a channel."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind, Source
from headgate.conda.names import ChannelName
from headgate.doors.web import unsatisfiable
from headgate.http.masking import HIDDEN
from tests.browser.watching import assert_valid
from tests.certificates import Authority
from tests.http.browsing import Browser, browsing, said, send
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package

MAIN = "/channels/outer/world/mirrors/main"
SECRETS = ("me:secret", "b3arer", "wJalr", "u:p@")


@pytest.fixture
async def ada(services: Services, callers: Callers, hosted: str, mirror: str) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


def source(services: Services) -> Source:
    return services.catalog.get("outer/world").sources[0]


def whole(services: Services) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]:
    """URLs and network settings with their secrets, and the settings as they are shown."""
    found = source(services)
    urls, network = services.routes.settings_of(found)
    return urls, msgspec.to_builtins(network), msgspec.to_builtins(found.settings)


FORMS: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    (
        "limits",
        {"connect_timeout_seconds": "2.5", "stall_timeout_seconds": "", "retries": "0", "kib_per_second": "512"},
        {"connect_timeout_seconds": 2.5, "stall_timeout_seconds": None, "retries": 0, "bytes_per_second": 512 << 10},
    ),
    ("network", {"proxy": "http://u:p@proxy.example:3128", "verify": "on"}, {"proxy": "http://u:p@proxy.example:3128"}),
    (
        "s3",
        {"s3_region": "eu-central-1", "s3_style": "path", "s3_access_key": "AKID", "s3_secret": "wJalr"},
        {"s3_region": "eu-central-1", "s3_path_style": True, "s3_access_key": "AKID", "s3_secret_key": "wJalr"},
    ),
    ("s3", {"s3_region": "", "s3_style": "", "s3_access_key": "AKID", "s3_secret": ""}, {"s3_secret_key": "wJalr"}),
    (
        "s3",
        {"s3_style": "host", "s3_access_key": "", "s3_unsigned": "on"},
        {"s3_secret_key": None, "s3_unsigned": True},
    ),
]


async def test_each_form_leaves_what_the_others_keep(services: Services, ada: Browser) -> None:
    assert (await send(ada, f"{MAIN}/credentials", how="bearer", secret="b3arer")).status_code == 303
    for section, fields, expected in FORMS:
        urls, before, sections = whole(services)
        answer = await send(ada, f"{MAIN}/{section}", **fields)
        assert answer.status_code == 303, (section, said(answer))
        now_urls, now, now_sections = whole(services)
        assert now_urls == urls, section
        assert {key: now[key] for key in expected} == expected, section
        own = {key for key in now if key.startswith("s3_")} if section == "s3" else set(expected)
        assert {key: now[key] for key in now if key not in own} == {
            key: before[key] for key in before if key not in own
        }, section
        assert now_sections | {"network": None} == sections | {"network": None}, section
    shown = await ada.get(MAIN)
    assert_valid(shown.text)
    assert not [one for one in SECRETS if one in shown.text]
    assert "signs in there with a bearer token" in shown.text


async def test_where_it_is_and_what_happens_with_files_is_kept_and_taken_back(services: Services, ada: Browser) -> None:
    await send(ada, f"{MAIN}/credentials", how="none")
    two = "https://near.example/main\nhttps://conda.example/main"
    answer = await send(ada, f"{MAIN}/source", urls=two, subdirs="linux-64, noarch", name="near")
    assert answer.headers["location"] == "/channels/outer/world/mirrors/near"
    assert (source(services).urls, source(services).subdirs) == (tuple(two.split()), ("linux-64", "noarch"))
    path = "/channels/outer/world/mirrors/near"
    assert "Undo" in (await ada.get(path)).text
    answer = await send(ada, f"{path}/files", mode="passive", newest="2", in_use="on")
    assert answer.headers["location"].startswith("/channels/outer/world/mirrors?job=")
    fetch = source(services).settings.fetch
    assert (fetch.mode, fetch.newest, fetch.in_use) == ("passive", 2, True)
    await send(ada, f"{path}/schedule", cron="0 3 * * *", timezone="UTC", jitter_seconds="7")
    assert source(services).settings.schedule.jitter_seconds == 7
    assert source(services).settings.fetch == fetch


async def test_credentials_take_the_place_of_others_and_are_encoded(services: Services, ada: Browser) -> None:
    assert whole(services)[0] == ("https://me:secret@conda.example/main",)
    for how, fields, url, bearer in (
        ("keep", {}, "https://me:secret@conda.example/main", None),
        ("path", {"secret": "to/ken"}, "https://conda.example/t/to%2Fken/main", None),
        ("user", {"user": "a@b", "secret": "p:w/d"}, "https://a%40b:p%3Aw%2Fd@conda.example/main", None),
        ("bearer", {"secret": "b3arer"}, "https://conda.example/main", "b3arer"),
        ("none", {}, "https://conda.example/main", None),
    ):
        answer = await send(ada, f"{MAIN}/credentials", how=how, **fields)
        assert answer.status_code == 303, (how, said(answer))
        urls, network, _ = whole(services)
        assert (urls, network["bearer_token"]) == ((url,), bearer), how


async def test_a_client_certificate_keeps_its_key(services: Services, ada: Browser) -> None:
    certificate, key = Authority("clients").issue("client")
    form = {"client_certificate": certificate, "client_key": key}
    assert (await send(ada, f"{MAIN}/certificate", **form)).status_code == 303
    assert (await send(ada, f"{MAIN}/certificate", client_certificate=certificate, client_key="")).status_code == 303
    assert whole(services)[1]["client_key"].strip() == key.strip()
    shown = (await ada.get(MAIN)).text
    assert "BEGIN CERTIFICATE" in shown
    assert key.splitlines()[1] not in shown
    assert (await send(ada, f"{MAIN}/certificate", client_certificate="", client_key="")).status_code == 303
    assert whole(services)[1]["client_key"] is None


@pytest.mark.parametrize(
    ("section", "fields", "sentence"),
    [
        ("source", {"urls": "ftp://conda.example/main"}, "is not an http, https, s3 or file URL"),
        ("source", {"urls": f"https://{HIDDEN}@else.example/main"}, "none is kept for it"),
        ("source", {"urls": ""}, "needs at least one URL"),
        ("files", {"mode": "sometimes"}, "Choose what happens with files"),
        ("files", {"mode": "passive", "newest": "1.5"}, "a whole number"),
        ("limits", {"retries": "99"}, "network.retries"),
        ("limits", {"kib_per_second": "nan"}, "The speed is a number"),
        ("credentials", {"how": "user", "user": "", "secret": "x"}, "Write the user"),
        ("credentials", {"how": "bearer", "secret": ""}, "Write the password or token"),
        ("certificate", {"client_certificate": "no", "client_key": "no"}, ""),
        ("s3", {"s3_style": "upside"}, "where the bucket stands"),
        ("schedule", {"cron": "0 3 * * *", "jitter_seconds": "soon"}, "The delay is a number"),
    ],
)
async def test_what_is_wrong_is_said_beside_the_form(
    services: Services, ada: Browser, section: str, fields: dict[str, str], sentence: str
) -> None:
    before = whole(services)
    answer = await send(ada, f"{MAIN}/{section}", **fields)
    assert answer.status_code == 422
    assert_valid(answer.text)
    assert said(answer)
    assert sentence in said(answer)
    assert whole(services) == before


async def test_files_are_asked_for_ahead(services: Services, ada: Browser) -> None:
    answer = await send(ada, "/channels/outer/world/fetch", text="https://conda.example/main/noarch/six-1.0-0.conda")
    job = await services.jobs.get_job(answer.headers["location"].partition("job=")[2])
    assert (job.kind, job.request["files"]) == ("fetch-artifacts", ["six-1.0-0.conda"])
    assert_valid((await ada.get(answer.headers["location"])).text)
    refused = await send(ada, "/channels/outer/world/fetch", text="nothing that is a file")
    assert "names no package file" in refused.text
    assert (await send(ada, "/channels/team/fetch")).status_code == 409


async def test_what_a_channel_lists_is_set_and_taken_back(services: Services, ada: Browser) -> None:
    await send(ada, "/channels/team/set", description="What we build", privacy="private")
    assert (await send(ada, "/channels/team/flags", is_hiding_broken="on")).status_code == 303
    settings = services.catalog.get("team").settings
    assert (settings.is_hiding_broken, settings.is_keeping_cached, settings.description) == (
        True, True, "What we build",
    )  # fmt: skip
    shown = await ada.get("/channels/team")
    assert_valid(shown.text)
    assert "Undo" in shown.text
    assert "Keep what upstream deletes" not in shown.text
    assert (await send(ada, "/channels/team/flags")).status_code == 303
    assert not services.catalog.get("team").settings.is_hiding_broken
    unsigned = await send(ada, "/channels/team/flags", is_signing="on")
    assert unsigned.status_code == 409
    assert "sign" in said(unsigned) or "sign" in unsigned.text


async def test_members_are_ordered_added_and_taken_out(services: Services, ada: Browser) -> None:
    members = [ChannelName("team"), ChannelName("outer/world")]
    await services.core.channels.create("test", ChannelName("both"), ChannelKind.VIRTUAL, members=members)
    await services.core.channels.create("test", ChannelName("third"), ChannelKind.HOSTED)
    await services.snapshots.reload()

    def shown() -> list[str | None]:
        return [one.member for one in services.catalog.get("both").sources]

    page = await ada.get("/channels/both")
    assert_valid(page.text)
    assert 'aria-label="Up: outer/world"' in page.text
    assert (await send(ada, "/channels/both/members", members="outer/world team", more="third")).status_code == 303
    assert shown() == ["outer/world", "team", "third"]
    for wrong, sentence in (("", "at least one"), ("team team", "each once"), ("both", "shows this channel itself")):
        refused = await send(ada, "/channels/both/members", members=wrong)
        assert refused.status_code == 422, wrong
        assert sentence in refused.text, wrong
    assert (await send(ada, "/channels/both/members", members="nowhere")).status_code == 404
    assert shown() == ["outer/world", "team", "third"]


async def test_what_cannot_be_installed_is_listed(
    services: Services, callers: Callers, ada: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No policy holds anything back" in (await ada.get("/channels/team/unsatisfiable")).text
    for name, depends in (("lib", []), ("demo", ["lib >=1"])):
        filename, body = package(name, "1.0", depends=depends, noarch="generic")
        sent = await callers.admin.post("/channels/team/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text
    rule = {"kind": "match-spec", "exclude": ["lib"], "action": "block"}
    await callers.admin.post("/policies", json={"document": {"name": "no-lib", "rule": [rule]}})
    await callers.admin.post("/policies/no-lib/attachments", json={"channel": "team"})
    await services.snapshots.reload()
    shown = await ada.get("/channels/team/unsatisfiable")
    assert_valid(shown.text)
    assert "demo-1.0-0.conda" in shown.text
    assert "lib &gt;=1" in shown.text
    assert (await ada.get("/channels/team/unsatisfiable?platform=..")).status_code == 422
    monkeypatch.setattr(unsatisfiable, "_FEW", 0)
    asked = await ada.get("/channels/team/unsatisfiable")
    assert_valid(asked.text)
    assert "takes some seconds" in asked.text
    assert "demo-1.0-0.conda" not in asked.text
    assert "demo-1.0-0.conda" in (await ada.get("/channels/team/unsatisfiable?platform=noarch")).text


async def test_who_may_only_read_is_refused(services: Services, callers: Callers, ada: Browser) -> None:
    for name in ("team", "outer/world"):
        await send(ada, f"/channels/{name}/set", privacy="authenticated")
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        for section in ("source", "files", "limits", "credentials", "certificate", "s3"):
            assert (await send(bob, f"{MAIN}/{section}", how="none", urls="https://x.example")).status_code == 403
        for path in ("outer/world/fetch", "team/flags", "team/members"):
            assert (await send(bob, f"/channels/{path}")).status_code == 403
        for path in (f"{MAIN}/filtered", "/channels/team/unsatisfiable", "/channels/outer/world/mirrors"):
            shown = await bob.get(path)
            assert shown.status_code == 200, path
            assert "Fetch files ahead" not in shown.text
