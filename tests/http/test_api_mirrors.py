"""Mirrors through the API: added, changed, removed; and what is kept when something else is changed."""

from typing import Any

import msgspec
import pytest

from headgate.bootstrap import Services
from headgate.channels.mirror_service import find_mirror
from headgate.channels.mirrors import MirrorSettings
from headgate.doors.api.models_mirrors import MirrorSettingsBody, NetworkBody
from headgate.http.network import NetworkSettings
from tests.http.conftest import Callers

URL, SHOWN_URL = "https://me:s3cret@conda.example/t/tok3n/main", "https://•••@conda.example/t/•••/main"
PROXY, SHOWN_PROXY = "http://ada:pr0xy@proxy.example:3128", "http://•••@proxy.example:3128"
BODY: dict[str, Any] = {
    "name": "outer",
    "urls": [URL, "https://second.example/main"],
    "subdirs": ["noarch", "linux-64"],
    "settings": {"network": {"proxy": PROXY, "no_proxy": [".corp"], "bearer_token": "b3arer"}},
}


@pytest.fixture
async def path(callers: Callers) -> str:
    """The path of a mirror with every kind of secret."""
    created = await callers.admin.post("/channels", json={"name": "science", "kind": "mirror", "mirrors": [BODY]})
    assert created.status_code == 201, created.text
    return "/channels/science/mirrors/outer"


def whole(services: Services, name: str = "outer") -> tuple[tuple[str, ...], NetworkSettings]:
    """What the server itself works with."""
    return services.routes.settings_of(find_mirror(services.catalog.get("science"), name))


def assert_kept(services: Services, name: str = "outer") -> None:
    urls, network = whole(services, name)
    assert urls == (URL, "https://second.example/main")
    assert (network.proxy, network.bearer_token, network.no_proxy) == (PROXY, "b3arer", (".corp",))


def fields(struct: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(struct)}


def test_every_setting_of_a_mirror_can_be_set() -> None:
    assert set(MirrorSettingsBody.model_fields) == fields(MirrorSettings)
    assert set(NetworkBody.model_fields) == fields(NetworkSettings)


async def test_secrets_of_a_mirror_are_never_shown(callers: Callers, path: str) -> None:
    for answer in (await callers.admin.get(path), await callers.admin.get("/channels/science")):
        assert not [secret for secret in ("s3cret", "tok3n", "pr0xy", "b3arer") if secret in answer.text]
    shown = (await callers.admin.get(path)).json()
    assert shown["urls"] == [SHOWN_URL, "https://second.example/main"]
    network = shown["settings"]["network"]
    assert (network["proxy"], network["bearer_token"], network["client_key"]) == (SHOWN_PROXY, "•••", None)


async def test_putting_a_mirror_as_it_was_shown_changes_nothing(
    callers: Callers, services: Services, path: str
) -> None:
    shown = (await callers.admin.get(path)).json()
    put = await callers.admin.put(path, json=shown)
    assert put.status_code == 200, put.text
    assert put.json() == shown
    assert_kept(services)


@pytest.mark.parametrize(
    "change",
    [
        {"subdirs": ["noarch"]},
        {"subdirs": None},
        {"name": "inner"},
        {"urls": ["https://second.example/main", SHOWN_URL]},
        {"settings": {"network": {"retries": 5}}},
        {"settings": {"network": {}}},
        {"settings": {}},
    ],
)
async def test_changing_anything_keeps_proxy_and_secrets(
    callers: Callers, services: Services, path: str, change: dict[str, Any]
) -> None:
    patched = await callers.admin.patch(path, json=change)
    assert patched.status_code == 200, patched.text
    now = patched.json()
    path = path.replace("outer", now["name"])
    put = await callers.admin.put(path, json={key: now[key] for key in ("urls", "subdirs")})
    assert put.status_code == 200, put.text
    assert put.json() == now
    urls, network = whole(services, now["name"])
    assert set(urls) == {URL, "https://second.example/main"}
    assert (network.proxy, network.bearer_token) == (PROXY, "b3arer")


async def test_null_takes_a_setting_back(callers: Callers, services: Services, path: str) -> None:
    patched = await callers.admin.patch(path, json={"settings": {"network": {"proxy": None, "bearer_token": None}}})
    assert patched.status_code == 200, patched.text
    _, network = whole(services)
    assert (network.proxy, network.bearer_token, network.no_proxy) == (None, None, (".corp",))


@pytest.mark.parametrize(
    "change",
    [
        {"urls": ["https://•••@elsewhere.example/main"]},
        {"urls": ["https://•••@second.example/main"]},
        {"settings": {"network": {"proxy": "http://•••@other.example:3128"}}},
        {"settings": {"network": {"client_key": "•••"}}},
    ],
)
async def test_a_secret_goes_nowhere_else(
    callers: Callers, services: Services, path: str, change: dict[str, Any]
) -> None:
    refused = await callers.admin.patch(path, json=change)
    assert (refused.status_code, refused.json()["code"]) == (422, "secret-hidden"), refused.text
    assert_kept(services)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"urls": []}, 422, "request-invalid"),
        ({"urls": ["ftp://x/y"]}, 422, "url-invalid"),
        ({"name": "No Such"}, 422, "mirror-name-invalid"),
        ({"name": "other"}, 409, "mirror-exists"),
        ({"urls": ["https://second.example/main", "https://conda.example/x"], "name": "other"}, 409, "mirror-exists"),
        (
            {"urls": ["https://third.example/main"], "settings": {"network": {"bearer_token": None}}},
            409,
            "mirror-exists",
        ),
        ({"urls": ["https://third.example/main"]}, 422, "secret-hidden"),
        ({"subdirs": ["../x"]}, 422, "subdir-invalid"),
        ({"settings": {"colour": {}}}, 422, "request-invalid"),
        ({"settings": {"network": {"retries": 99}}}, 422, "request-invalid"),
    ],
)
async def test_change_that_cannot_be(
    callers: Callers, path: str, change: dict[str, Any], status: int, code: str
) -> None:
    other = {"name": "other", "urls": ["https://third.example/main"]}
    assert (await callers.admin.post("/channels/science/mirrors", json=other)).status_code == 201
    refused = await callers.admin.patch(path, json=change)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text


async def test_mirrors_are_named_added_and_removed(callers: Callers, mirror: str, hosted: str) -> None:
    path = f"/channels/{mirror}/mirrors"
    names = []
    for host in ("one", "two"):
        added = await callers.admin.post(path, json={"urls": [f"https://{host}.example/x"]})
        assert added.status_code == 201, added.text
        names.append(added.json()["name"])
    assert names == ["main-2", "main-3"]
    again = await callers.admin.post(path, json={"urls": ["https://one.example/x"]})
    assert (again.status_code, again.json()["code"]) == (409, "mirror-exists")
    assert (await callers.admin.delete(f"{path}/main-2")).status_code == 204
    gone = await callers.admin.delete(f"{path}/main-2")
    assert (gone.status_code, gone.json()["code"]) == (404, "mirror-unknown")
    assert [one["name"] for one in (await callers.admin.get(path)).json()["items"]] == ["main", "main-3"]
    unfit = await callers.admin.post(f"/channels/{hosted}/mirrors", json={"urls": ["https://one.example/x"]})
    assert (unfit.status_code, unfit.json()["code"]) == (409, "kind-unfit")


async def test_one_mirror_of_several_is_synced(callers: Callers, path: str) -> None:
    asked = await callers.admin.post("/channels/science/sync", json={"mirror": "outer"})
    assert asked.status_code == 202, asked.text
    assert asked.json()["request"] == {"channel": "science", "subdirs": None, "mirror": "outer"}
    unknown = await callers.admin.post("/channels/science/sync", json={"mirror": "none"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "mirror-unknown")
