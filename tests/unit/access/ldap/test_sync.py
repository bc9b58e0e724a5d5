"""Following a directory: who came, changed, left and came back."""

import pytest
from sqlalchemy import select

from headgate.access.ldap.store import get_directory
from headgate.access.ldap.sync import LdapSync
from headgate.access.users import UserChange
from headgate.bootstrap import Services
from headgate.db import tables
from headgate.kernel.errors import Conflict, NotFound, Unavailable
from tests.slapd import GROUPS, PEOPLE, Slapd, dn_of, person
from tests.unit.access.ldap.conftest import Add, groups_of, is_disabled, refusal, sign_in

MAPPINGS = [
    {"external": f"cn=engineers,{GROUPS}", "groups": ["Developers"]},
    {"external": "cooks", "groups": ["Kitchen"]},
]


async def arrive(services: Services, *names: str) -> None:
    for name in names:
        await sign_in(services, name)


async def failure_of(services: Services) -> str | None:
    async with services.core.database.read() as connection:
        return (await get_directory(connection, "corp")).failure


async def events_since(services: Services, number: int) -> list[str]:
    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        rows = await connection.execute(select(columns.action).order_by(columns.id))
        return list(rows.scalars())[number:]


async def test_leaver_is_disabled_and_let_in_again_on_coming_back(
    services: Services, corp: Slapd, add: Add, following: LdapSync
) -> None:
    await add(corp)
    await arrive(services, "ada", "bob", "cleo")
    corp.delete(f"uid=bob,{PEOPLE}")
    outcome = await following.sync("corp")
    assert (outcome.people, outcome.known, outcome.disabled, outcome.failures) == (3, 3, ["bob"], [])
    assert await is_disabled(services, "bob")
    corp.modify(f"dn: uid=cleo,{PEOPLE}\nchangetype: modify\nadd: userAccountControl\nuserAccountControl: 514\n")
    assert (await following.sync("corp")).disabled == ["cleo"]
    corp.modify(f"dn: uid=cleo,{PEOPLE}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n")
    assert (await following.sync("corp")).disabled == []
    assert not await is_disabled(services, "cleo")
    await services.snapshots.reload()
    assert (await sign_in(services, "cleo")).name == "cleo"


async def test_memberships_follow_and_nobody_new_is_made(
    services: Services, corp: Slapd, add: Add, following: LdapSync
) -> None:
    await add(corp, mappings=MAPPINGS)
    await arrive(services, "ada", "cleo")
    await services.core.access.groups.add("test", "Developers", user="cleo")
    corp.modify(
        f"dn: {dn_of('group:engineers')}\nchangetype: modify\ndelete: member\nmember: {dn_of('ada')}\n\n"
        f"dn: {dn_of('group:cooks')}\nchangetype: modify\nadd: member\nmember: {dn_of('ada')}\n"
    )
    await following.sync("corp")
    assert await groups_of(services, "ada") == ("Kitchen",)
    assert await groups_of(services, "cleo") == ("Developers", "Kitchen")
    assert {user.name for user in await services.core.access.users.list_users()} == {"ada", "cleo"}


async def test_sync_without_news_changes_nothing(
    services: Services, corp: Slapd, add: Add, following: LdapSync
) -> None:
    await add(corp, mappings=MAPPINGS)
    await arrive(services, "ada", "bob")
    before = await events_since(services, 0)
    await following.sync("corp")
    assert await events_since(services, len(before)) == []


async def test_shrunken_list_disables_nobody_unless_forced(
    services: Services, corp: Slapd, add: Add, following: LdapSync
) -> None:
    await add(corp)
    await arrive(services, "ada", "bob", "cleo")
    corp.delete(f"uid=ada,{PEOPLE}", f"uid=bob,{PEOPLE}")
    with pytest.raises(Conflict) as caught:
        await following.sync("corp")
    assert caught.value.code == "ldap-sync-doubtful"
    assert "2 of 3" in (await failure_of(services) or "")
    assert not await is_disabled(services, "ada")
    assert sorted((await following.sync("corp", is_forced=True)).disabled) == ["ada", "bob"]
    assert await failure_of(services) is None


async def test_empty_list_disables_nobody(services: Services, corp: Slapd, add: Add, following: LdapSync) -> None:
    await add(corp)
    await arrive(services, "ada")
    corp.delete(*(dn_of(uid) for uid in ("ada", "bob", "cleo", "dora", "eve")))
    with pytest.raises(Conflict):
        await following.sync("corp")
    assert not await is_disabled(services, "ada")


async def test_error_of_the_directory_changes_nothing(
    services: Services, corp: Slapd, add: Add, following: LdapSync
) -> None:
    await add(corp)
    await arrive(services, "ada", "bob", "cleo")
    before = await events_since(services, 0)
    corp.stop()
    with pytest.raises(Unavailable) as caught:
        await following.sync("corp")
    assert caught.value.code == "ldap-unavailable"
    assert await events_since(services, len(before)) == []
    assert await failure_of(services) == caught.value.message


async def test_ban_of_an_administrator_outlives_every_sync(
    services: Services, corp: Slapd, add: Add, following: LdapSync
) -> None:
    await add(corp)
    await arrive(services, "ada", "bob")
    await services.core.access.users.change("test", "ada", UserChange(is_disabled=True))
    outcome = await following.sync("corp")
    assert outcome.failures == []
    assert await is_disabled(services, "ada")


async def test_local_users_are_no_business_of_a_sync(
    services: Services, corp: Slapd, add: Add, following: LdapSync
) -> None:
    await services.core.access.create_user("test", "local", "correct horse battery", is_administrator=False)
    await add(corp)
    await arrive(services, "ada")
    await following.sync("corp", is_forced=True)
    assert not await is_disabled(services, "local")


async def test_more_people_than_a_page_or_the_servers_limit_are_all_found(
    services: Services, corp: Slapd, add: Add, following: LdapSync
) -> None:
    corp.add("".join(person(f"many{number}", "x") for number in range(40)))
    await add(corp, page_size=7)
    await arrive(services, "ada")
    assert (await following.sync("corp")).people == 44


async def test_removing_a_directory_disables_its_people(services: Services, corp: Slapd, add: Add) -> None:
    await add(corp)
    await arrive(services, "ada")
    assert await services.core.ldap.remove("test", "corp") == ["ada"]
    await services.snapshots.reload()
    assert await is_disabled(services, "ada")
    assert await refusal(services, "ada") == "password-wrong"


async def test_unknown_directory(services: Services, following: LdapSync) -> None:
    with pytest.raises(NotFound):
        await following.sync("corp")
