"""Directories through the API, and their people at both doors."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.doors.api.app import build_api
from tests.http.conftest import Callers
from tests.packages import package
from tests.slapd import GROUPS, PEOPLE, READER, READER_PASSWORD, Authority, Slapd, directory, group, person

ENGINEERS = {"external": f"cn=engineers,{GROUPS}", "groups": ["Developers"], "roles": []}
SHOWN = "•••"


@pytest.fixture(scope="module")
def corp() -> Iterator[Slapd]:
    people = person("ada.l", "ada-secret") + person("bob.m", "bob-secret")
    with directory(people + group("engineers", "group:staff") + group("staff", "ada.l", "group:engineers")) as server:
        yield server


def body(server: Slapd, **more: Any) -> dict[str, Any]:
    return {
        "name": "corp",
        "template": "openldap",
        "urls": [server.tls_url],
        "ca": server.ca,
        "bind_dn": READER,
        "bind_password": READER_PASSWORD,
        "user_base": PEOPLE,
        "group_base": GROUPS,
        "mappings": [ENGINEERS],
    } | more


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


async def test_directory_is_added_shown_changed_and_removed(callers: Callers, corp: Slapd) -> None:
    made = await callers.admin.post("/ldap-directories", json=body(corp))
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["bind_password"], shown["position"], shown["warnings"]) == (SHOWN, 1, [])
    assert shown["user_filter"] == "(&(objectClass=inetOrgPerson)(uid={login}))"
    again = await callers.admin.post("/ldap-directories", json=body(corp))
    assert (again.status_code, again.json()["code"]) == (409, "ldap-directory-exists")

    plain = {"urls": [corp.url], "starttls": False}
    refused = await callers.admin.patch("/ldap-directories/corp", json=plain)
    assert (refused.status_code, refused.json()["code"]) == (422, "ldap-setting-invalid")
    changed = await callers.admin.patch("/ldap-directories/corp", json=plain | {"insecure": True})
    assert "unencrypted" in changed.json()["warnings"][0]

    back = {key: value for key, value in shown.items() if key in body(corp) and key not in {"name", "template"}}
    replaced = await callers.admin.put("/ldap-directories/corp", json=back)
    assert replaced.status_code == 200, replaced.text
    assert {key: replaced.json()[key] for key in ("urls", "insecure", "bind_password", "mappings")} == {
        "urls": [corp.tls_url],
        "insecure": False,
        "bind_password": SHOWN,
        "mappings": [ENGINEERS],
    }
    assert (await callers.admin.post("/ldap-directories/corp/test", json={"login": "ada.l"})).json()["is_ok"]

    listed = (await callers.admin.get("/ldap-directories")).json()["items"]
    assert [one["name"] for one in listed] == ["corp"]
    assert READER_PASSWORD not in made.text + changed.text + replaced.text + str(listed)
    assert (await callers.admin.delete("/ldap-directories/corp")).status_code == 204
    gone = await callers.admin.get("/ldap-directories/corp")
    assert (gone.status_code, gone.json()["code"]) == (404, "ldap-directory-unknown")


async def test_lists_come_in_pages(callers: Callers, corp: Slapd) -> None:
    for name in ("one", "two", "three"):
        await callers.admin.post("/ldap-directories", json=body(corp, name=name))
    first = (await callers.admin.get("/ldap-directories", params={"limit": 2})).json()
    rest = (await callers.admin.get("/ldap-directories", params={"limit": 2, "cursor": first["next"]})).json()
    assert [one["name"] for one in first["items"] + rest["items"]] == ["one", "two", "three"]
    assert rest["next"] is None


async def test_test_tells_each_step(callers: Callers, corp: Slapd) -> None:
    await callers.admin.post("/ldap-directories", json=body(corp, urls=[corp.url]))
    wish = {"login": "ada.l", "password": "ada-secret"}
    answer = await callers.admin.post("/ldap-directories/corp/test", json=wish)
    told = answer.json()
    steps = {step["name"]: step for step in told["steps"]}
    assert told["is_ok"]
    assert list(steps) == ["resolve", "connect", "tls", "bind", "search", "groups", "password", "account"]
    assert steps["tls"]["facts"]["issuer"] == "commonName=Corp test CA"
    assert steps["tls"]["facts"]["expires"].endswith("GMT")
    assert steps["search"]["facts"]["filter"] == "(&(objectClass=inetOrgPerson)(uid=ada.l))"
    assert steps["search"]["facts"]["dn"] == f"uid=ada.l,{PEOPLE}"
    assert [(one["name"], one["path"]) for one in steps["groups"]["facts"]["groups"]] == [
        ("staff", []),
        ("engineers", ["staff"]),
    ]
    assert steps["account"]["facts"] == {"user": "ada.l", "groups": ["Developers"], "roles": []}
    assert not {"ada-secret", READER_PASSWORD} & set(answer.text.split('"'))
    assert [user["name"] for user in (await callers.admin.get("/users")).json()["items"]] == ["ada", "bob"]


@pytest.mark.parametrize(
    ("wrong", "step", "word"),
    [
        ({"urls": ["ldaps://nowhere.invalid"]}, "resolve", "nowhere.invalid"),
        ({"urls": ["ldaps://127.0.0.1:1"]}, "connect", "refused"),
        ({"ca": None}, "tls", "certificate"),
        ({"ca": Authority().pem}, "tls", "certificate"),
        ({"bind_password": "wrong"}, "bind", "invalidCredentials"),
        ({"user_base": "ou=nothing,dc=corp,dc=example"}, "search", "nothing at"),
        ({"user_filter": "(&(objectClass=inetOrgPerson)(mail={login}))"}, "search", "Nobody fits"),
        ({"id_attribute": "objectGUID"}, "search", "objectGUID"),
        ({"group_base": "ou=nothing,dc=corp,dc=example"}, "groups", "nothing at"),
    ],
)
async def test_failing_step_says_what_to_do(
    callers: Callers, corp: Slapd, wrong: dict[str, Any], step: str, word: str
) -> None:
    made = await callers.admin.post("/ldap-directories", json=body(corp, **wrong))
    assert made.status_code == 201, made.text
    told = (await callers.admin.post("/ldap-directories/corp/test", json={"login": "ada.l"})).json()
    last = told["steps"][-1]
    assert (told["is_ok"], last["name"], last["is_ok"]) == (False, step, False)
    assert word in last["text"]
    assert last["advice"].endswith(".")
    assert all(one["is_ok"] for one in told["steps"][:-1])


async def test_wrong_password_and_a_taken_name_are_told(callers: Callers, corp: Slapd, services: Services) -> None:
    await callers.admin.post("/ldap-directories", json=body(corp))
    await services.core.access.users.create("test", "ada.l")
    for password, step in (("wrong", "password"), ("", "password"), ("ada-secret", "account")):
        wish = {"login": "ada.l", "password": password}
        told = (await callers.admin.post("/ldap-directories/corp/test", json=wish)).json()
        assert (told["is_ok"], told["steps"][-1]["name"]) == (False, step), password


async def test_member_of_a_group_downloads_from_a_private_channel(
    callers: Callers, services: Services, corp: Slapd, hosted: str
) -> None:
    filename, content = package()
    await callers.admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=content)
    await callers.admin.post("/ldap-directories", json=body(corp))
    await callers.admin.post("/groups", json={"name": "Developers"})
    grant = {"kind": "group", "principal": "Developers", "role": "downloader", "channel": hosted}
    assert (await callers.admin.post("/grants", json=grant)).status_code == 201

    transport = httpx.ASGITransport(cast(Any, Application(services)))
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test") as client:

        async def ask(headers: dict[str, str]) -> httpx.Response:
            return await client.get(f"/conda/{hosted}/noarch/repodata_shards.msgpack.zst", headers=headers)

        assert (await ask(basic("ada.l", "ada-secret"))).status_code == 200
        assert (await ask(basic("ada.l", "wrong"))).status_code == 401
        assert (await ask(basic("ada.l", ""))).status_code == 401
        refused = await ask(basic("bob.m", "bob-secret"))
        assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")


async def test_directory_that_is_down_is_a_503_with_a_sentence(callers: Callers, corp: Slapd) -> None:
    await callers.admin.post("/ldap-directories", json=body(corp, urls=["ldaps://127.0.0.1:1"]))
    answer = await callers.anonymous.get("/me", headers=basic("ada.l", "ada-secret"))
    assert (answer.status_code, answer.json()["code"]) == (503, "ldap-unavailable")
    assert "corp" in answer.json()["detail"]
    assert "retry-after" in answer.headers
    local = await callers.anonymous.get("/me", headers=basic("ada", "correct horse battery"))
    assert local.status_code == 200


async def test_without_the_library_everything_else_works(
    callers: Callers, services: Services, corp: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("headgate.access.ldap.client.import_module", absent)
    await callers.admin.post("/ldap-directories", json=body(corp))
    answer = await callers.admin.post("/ldap-directories/corp/test", json={"login": "ada.l"})
    assert (answer.status_code, answer.json()["code"]) == (503, "ldap-missing")
    assert "pip install 'headgate[ldap]'" in answer.json()["detail"]
    assert (await callers.admin.get("/me")).status_code == 200
    assert build_api(services) is not None
