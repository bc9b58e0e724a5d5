"""Who comes from an identity provider, on both databases."""

import pytest
from sqlalchemy import select

from headgate.access.arrivals import Arrival, ArrivalService
from headgate.access.grants import PrincipalKind, Scope
from headgate.access.users import UserChange
from headgate.bootstrap import Services
from headgate.db import tables
from headgate.kernel.errors import Conflict, Invalid, Refused

CORP = "ldap:corp"


@pytest.fixture
def arrivals(services: Services) -> ArrivalService:
    return ArrivalService(services.core.database)


async def events(services: Services) -> list[tuple[str, str, str | None]]:
    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        rows = await connection.execute(select(columns.action, columns.actor, columns.subject).order_by(columns.id))
        return [(row.action, row.actor, row.subject) for row in rows]


async def groups_of(services: Services, name: str) -> tuple[str, ...]:
    return (await services.core.access.users.get_user(name)).groups


async def test_the_first_arrival_makes_a_user_with_groups_and_roles(
    services: Services, arrivals: ArrivalService
) -> None:
    assert await arrivals.welcome(Arrival(CORP, "id-1", "ada", ["engineers"], ["downloader"])) == "ada"
    assert await groups_of(services, "ada") == ("engineers",)
    (grant,) = await services.core.access.grants.list_grants()
    assert (grant.kind, grant.principal, grant.role, str(grant.scope)) == (
        PrincipalKind.USER,
        "ada",
        "downloader",
        "everywhere",
    )
    assert await events(services) == [
        ("user:create", CORP, "ada"),
        ("group:create", CORP, "engineers"),
        ("group:add-member", CORP, "engineers"),
        ("grant:add", CORP, str(grant.id)),
    ]


async def test_an_arrival_without_news_changes_nothing(services: Services, arrivals: ArrivalService) -> None:
    arrival = Arrival(CORP, "id-1", "ada", ["engineers"], ["downloader"])
    await arrivals.welcome(arrival)
    before = await events(services)
    await arrivals.welcome(arrival)
    assert await events(services) == before


async def test_what_the_provider_no_longer_gives_goes_and_what_was_given_by_hand_stays(
    services: Services, arrivals: ArrivalService
) -> None:
    access = services.core.access
    await arrivals.welcome(Arrival(CORP, "id-1", "ada", ["engineers", "staff"], ["downloader", "auditor"]))
    await access.groups.create("root", "guests")
    await access.groups.add("root", "guests", user="ada")
    await access.grants.add_grant("root", PrincipalKind.USER, "ada", "publisher", Scope("lab"))
    await arrivals.welcome(Arrival(CORP, "id-1", "ada", ["staff"], ["auditor"]))
    assert await groups_of(services, "ada") == ("guests", "staff")
    assert {grant.role for grant in await access.grants.list_grants()} == {"auditor", "publisher"}


async def test_a_name_that_another_bears_is_refused(services: Services, arrivals: ArrivalService) -> None:
    await services.core.access.users.create("root", "ada", "a long enough password")
    with pytest.raises(Conflict) as taken:
        await arrivals.welcome(Arrival(CORP, "id-1", "ada"))
    assert taken.value.code == "user-name-taken"
    await arrivals.welcome(Arrival(CORP, "id-2", "bob"))
    with pytest.raises(Conflict):  # the same name and even the same id, said by somebody else
        await arrivals.welcome(Arrival("oidc:other", "id-2", "bob"))


async def test_a_name_or_group_that_cannot_be_is_refused_and_nothing_is_kept(
    services: Services, arrivals: ArrivalService
) -> None:
    for arrival in (Arrival(CORP, "id-1", "a/b"), Arrival(CORP, "id-1", "ada", ["a/b"])):
        with pytest.raises(Invalid):
            await arrivals.welcome(arrival)
    assert await events(services) == []
    assert list(await services.core.access.users.list_users()) == []


async def test_leavers_are_disabled_and_may_come_back(services: Services, arrivals: ArrivalService) -> None:
    await arrivals.welcome(Arrival(CORP, "id-1", "ada"))
    await arrivals.welcome(Arrival(CORP, "id-2", "bob"))
    await services.core.access.users.create("root", "local", "a long enough password")
    assert await arrivals.dismiss(CORP, {"id-2"}) == ["ada"]
    assert {user.name for user in await services.core.access.users.list_users() if user.is_disabled} == {"ada"}
    assert await arrivals.welcome(Arrival(CORP, "id-1", "ada")) == "ada"
    assert not (await services.core.access.users.get_user("ada")).is_disabled


async def test_a_ban_by_an_administrator_outlives_an_arrival(services: Services, arrivals: ArrivalService) -> None:
    await arrivals.welcome(Arrival(CORP, "id-1", "ada"))
    await services.core.access.users.change("root", "ada", UserChange(is_disabled=True))
    await arrivals.dismiss(CORP, set())
    with pytest.raises(Refused) as caught:
        await arrivals.welcome(Arrival(CORP, "id-1", "ada"))
    assert caught.value.code == "user-disabled"


async def test_a_user_whom_the_provider_disabled_is_enabled_by_hand_for_good(
    services: Services, arrivals: ArrivalService
) -> None:
    await arrivals.welcome(Arrival(CORP, "id-1", "ada"))
    await arrivals.dismiss(CORP, set())
    await services.core.access.users.change("root", "ada", UserChange(is_disabled=False))
    await services.core.access.users.change("root", "ada", UserChange(is_disabled=True))
    with pytest.raises(Refused):
        await arrivals.welcome(Arrival(CORP, "id-1", "ada"))


async def test_a_role_that_does_not_exist_gives_nothing(services: Services, arrivals: ArrivalService) -> None:
    await arrivals.welcome(Arrival(CORP, "id-1", "ada", roles=["gone"]))
    assert list(await services.core.access.grants.list_grants()) == []
