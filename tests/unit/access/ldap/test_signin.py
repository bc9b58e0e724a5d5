"""Signing in with a directory's password, against a real slapd."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from headgate.access.ldap.client import LdapClient
from headgate.access.ldap.service import UNCHANGED, LdapChange
from headgate.access.users import UserChange
from headgate.bootstrap import Services
from headgate.db import tables
from headgate.kernel.errors import Unavailable
from tests.slapd import PEOPLE, READER_PASSWORD, Slapd, directory, group, person
from tests.unit.access.ldap.conftest import Add, groups_of, refusal, sign_in

LOCAL_PASSWORD = "correct horse battery"
ENGINEERS = {"external": "engineers", "groups": ["Developers"], "roles": ["auditor"]}


@pytest.fixture
def other() -> Iterator[Slapd]:
    """Another directory, with another ada."""
    with directory(person("ada", "other-secret") + person("zoe", "zoe-secret") + group("all", "zoe")) as server:
        yield server


async def test_person_of_the_directory_becomes_a_user_with_what_the_groups_give(
    services: Services, corp: Slapd, add: Add
) -> None:
    await add(corp, mappings=[ENGINEERS])
    principal = await sign_in(services, "ada")
    assert principal.name == "ada"
    assert [(grant.role, str(grant.scope)) for grant in principal.grants] == [("auditor", "everywhere")]
    assert await groups_of(services, "ada") == ("Developers",)
    assert (await sign_in(services, "cleo")).grants == ()


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"),
        ("ada", ""),
        ("ada", "\0ada-secret"),
        ("ada", "ada-secret\0"),
        ("nobody", "nobody-secret"),
        ("", "ada-secret"),
        ("*", "ada-secret"),
        ("*)(uid=*", "ada-secret"),
        ("ada)(objectClass=*", "ada-secret"),
        ("ad*", "ada-secret"),
        ("\\61da)", "ada-secret"),
        ("{login}", "ada-secret"),
        ("ada\udcff", "ada-secret"),
    ],
)
async def test_bad_login_is_refused(services: Services, corp: Slapd, add: Add, name: str, password: str) -> None:
    await add(corp)
    assert await refusal(services, name, password) == "password-wrong"
    assert await services.core.access.users.list_users() == []


async def test_signs_of_filters_in_a_login_are_only_signs(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp, name_attribute="sn")
    corp.add(person("zed", "zed-secret", more="uid: z(e)d*\\\n"))
    assert (await sign_in(services, "z(e)d*\\", "zed-secret")).name == "zed"


async def test_empty_password_never_reaches_the_directory(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp)
    corp.stop()
    assert await refusal(services, "ada", "") == "password-wrong"


async def test_login_that_fits_two_people_is_refused(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp, user_filter="(|(uid={login})(sn={login}))")
    corp.add(person("twin", "twin-secret").replace("sn: twin", "sn: ada"))
    assert await refusal(services, "ada") == "ldap-refused"
    assert (await sign_in(services, "bob")).name == "bob"


async def test_disabled_account_is_refused_even_with_its_password(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp)
    assert await refusal(services, "eve", "wrong") == "password-wrong"
    assert await refusal(services, "eve") == "user-disabled"
    assert await services.core.access.users.list_users() == []


async def test_binary_id_names_a_person_for_good(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp, id_attribute="objectGUID")
    assert await refusal(services, "ada") == "ldap-refused"  # she has none
    corp.add(person("gus", "gus-secret", more="objectGUID:: MyIRAFVEd2aImaq7zN3u/w==\n"))
    await sign_in(services, "gus")
    async with services.core.database.read() as connection:
        found = await connection.execute(select(tables.user.c.provider, tables.user.c.external_id))
        assert found.one() == ("ldap:corp", "00112233-4455-6677-8899-aabbccddeeff")


async def test_renamed_person_stays_the_same_user(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp)
    before = await sign_in(services, "ada")
    corp.modify(f"dn: uid=ada,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=adele\ndeleteoldrdn: 1\n")
    after = await sign_in(services, "adele", "ada-secret")
    assert (after.name, after.user_id) == ("ada", before.user_id)


async def test_local_user_is_never_asked_for_in_a_directory(services: Services, corp: Slapd, add: Add) -> None:
    access = services.core.access
    await access.create_user("test", "ada", LOCAL_PASSWORD, is_administrator=True)
    await access.users.create("test", "bob")
    await add(corp)
    assert (await sign_in(services, "ada", LOCAL_PASSWORD)).is_administrator
    assert await refusal(services, "ada") == "password-wrong"
    assert await refusal(services, "bob") == "password-wrong"


async def test_other_spelling_of_a_local_name_takes_nobodys_place(services: Services, corp: Slapd, add: Add) -> None:
    await services.core.access.create_user("test", "ada", LOCAL_PASSWORD, is_administrator=True)
    await add(corp)
    assert await refusal(services, "ADA", "ada-secret") == "user-name-taken"


async def test_banned_user_stays_out(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp)
    await sign_in(services, "ada")
    await services.core.access.users.change("test", "ada", UserChange(is_disabled=True))
    await services.snapshots.reload()
    assert await refusal(services, "ada") == "user-disabled"


# Several directories.


async def test_of_two_people_with_one_name_the_first_directorys_decides(
    services: Services, corp: Slapd, other: Slapd, add: Add
) -> None:
    await add(corp)
    await add(other, "other")
    assert await refusal(services, "ada", "other-secret") == "password-wrong"
    assert (await sign_in(services, "ada")).name == "ada"
    assert await refusal(services, "ada", "other-secret") == "password-wrong"
    assert (await sign_in(services, "zoe")).name == "zoe"


async def test_user_of_one_directory_is_never_signed_in_by_another(
    services: Services, corp: Slapd, other: Slapd, add: Add
) -> None:
    await add(corp)
    await sign_in(services, "ada")
    await add(other, "other", position=None)
    corp.delete(f"uid=ada,{PEOPLE}")
    assert await refusal(services, "ada", "other-secret") == "password-wrong"
    await services.core.ldap.change("test", "other", LdapChange({}, position=1))
    await services.snapshots.reload()
    assert await refusal(services, "ada", "other-secret") == "user-name-taken"
    await services.core.ldap.remove("test", "corp")
    await services.snapshots.reload()
    assert await refusal(services, "ada", "other-secret") == "password-wrong"


async def test_directory_that_is_down_lets_no_other_see_the_password_of_a_stranger(
    services: Services, corp: Slapd, other: Slapd, add: Add
) -> None:
    await add(corp)
    await add(other, "other")
    await sign_in(services, "zoe")
    corp.stop()
    services.authenticator._elsewhere.forget()  # type: ignore[union-attr]
    assert await refusal(services, "ada", "other-secret") == "ldap-unavailable"
    assert (await sign_in(services, "zoe")).name == "zoe"  # known to come from there


async def test_directory_that_stops_is_told_of_and_comes_back(services: Services, corp: Slapd, add: Add) -> None:
    await services.core.access.create_user("test", "local", LOCAL_PASSWORD, is_administrator=False)
    await add(corp)
    await sign_in(services, "ada")
    corp.stop()
    assert (await sign_in(services, "ada")).name == "ada"  # remembered
    with pytest.raises(Unavailable) as caught:
        await sign_in(services, "bob")
    assert caught.value.code == "ldap-unavailable"
    assert "corp" in caught.value.message
    assert (await sign_in(services, "local", LOCAL_PASSWORD)).name == "local"
    corp.start()
    services.ldap._resting.clear()
    assert (await sign_in(services, "bob")).name == "bob"


async def test_next_server_is_asked_when_one_is_down(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp, urls=["ldaps://127.0.0.1:1", corp.tls_url])
    assert (await sign_in(services, "ada")).name == "ada"


@pytest.mark.parametrize("form", ["url", "tls_url"])
async def test_hanging_directory_delays_no_local_user(services: Services, corp: Slapd, add: Add, form: str) -> None:
    await services.core.access.create_user("test", "local", LOCAL_PASSWORD, is_administrator=False)
    await add(corp, urls=[getattr(corp, form)], connect_timeout_seconds=1, answer_timeout_seconds=1)
    with corp.paused():
        waiting = [asyncio.create_task(refusal(services, f"stranger{number}", "x")) for number in range(20)]
        await asyncio.sleep(0)
        assert (await sign_in(services, "local", LOCAL_PASSWORD)).name == "local"
        assert not any(task.done() for task in waiting)
        assert set(await asyncio.gather(*waiting)) == {"ldap-unavailable"}


# What is remembered.


async def test_good_password_is_remembered_until_access_changes(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp)
    await sign_in(services, "ada")
    corp.modify(f"dn: uid=ada,{PEOPLE}\nchangetype: modify\nreplace: userPassword\nuserPassword: new-secret\n")
    assert (await sign_in(services, "ada")).name == "ada"
    await services.core.access.groups.create("test", "news")
    await services.snapshots.reload()
    assert await refusal(services, "ada") == "password-wrong"
    assert (await sign_in(services, "ada", "new-secret")).name == "ada"


async def test_requests_at_once_ask_the_directory_once(
    services: Services, corp: Slapd, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(corp)
    asked = 0
    ask = LdapClient.ask

    async def counting(self: LdapClient, *arguments: object) -> object:
        nonlocal asked
        asked += 1
        return await ask(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LdapClient, "ask", counting)
    async with asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(sign_in(services, "ada")) for _ in range(50)]
    assert {task.result().name for task in found} == {"ada"}
    assert asked == 1


async def test_token_of_a_person_works_while_the_directory_is_down(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp)
    await sign_in(services, "ada")
    _, text = await services.core.access.create_token("ada", "ada", "laptop", lifetime=timedelta(days=1))
    await services.snapshots.reload()
    corp.stop()
    assert services.authenticator.token(text, "192.0.2.1").name == "ada"


# Secrets.


async def test_no_secret_is_in_the_database_or_in_a_log(
    services: Services, corp: Slapd, add: Add, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await add(corp)
    await sign_in(services, "ada")
    await refusal(services, "bob", "mistyped-secret")
    corp.stop()
    await refusal(services, "dora")
    await services.core.ldap.change("test", "corp", LdapChange({"bind_dn": None}, bind_password=None))
    await services.core.ldap.change("test", "corp", LdapChange({}, bind_password=UNCHANGED))
    rows = []
    async with services.core.database.read() as connection:
        for table in (tables.user, tables.audit_event, tables.ldap_directory):
            rows += [str(row) for row in await connection.execute(select(table))]
    said = capfd.readouterr()
    everything = "\n".join([*rows, said.out, said.err, caplog.text])
    assert "ldap:corp" in everything
    for secret in (READER_PASSWORD, "ada-secret", "mistyped-secret", "dora-secret"):
        assert secret not in everything
