"""Groups of a person: nested, in circles, by search and by memberOf; and what they mean here."""

from collections.abc import Callable
from typing import Any

import pytest

from headgate.access.ldap.answers import Entry, Refusal
from headgate.access.ldap.client import LdapClient, sealer_of
from headgate.access.ldap.people import ExternalGroup, arrival_of, find_groups, find_person
from headgate.access.ldap.settings import TEMPLATES, LdapDirectory, changed
from tests.slapd import GROUPS, READER_PASSWORD, Slapd, dn_of, group
from tests.unit.access.ldap.conftest import values_of

SECRET = b"0" * 32
Look = Callable[..., Any]


@pytest.fixture
async def client() -> Any:
    client = LdapClient(SECRET, rest_s=0)
    yield client
    client.close()


def made(server: Slapd, **more: Any) -> LdapDirectory:
    settings = changed(TEMPLATES["openldap"], values_of(server, **more))
    return LdapDirectory(1, "corp", 1, settings, sealer_of(SECRET).seal(READER_PASSWORD))


async def paths(client: LdapClient, directory: LdapDirectory, login: str) -> dict[str, tuple[str, ...]]:
    def look(session: Any) -> list[ExternalGroup]:
        person = find_person(session, directory.settings, login)
        assert person is not None
        return find_groups(session, directory.settings, person)

    return {one.name: one.path for one in await client.ask(directory, look)}


async def test_groups_in_groups_are_followed_and_a_circle_ends(corp: Slapd, client: LdapClient) -> None:
    assert await paths(client, made(corp), "ada") == {"engineers": (), "staff": ("engineers",)}
    assert await paths(client, made(corp), "bob") == {"staff": (), "engineers": ("staff",)}
    assert await paths(client, made(corp), "dora") == {}


async def test_groups_in_groups_are_left_alone_when_told_so(corp: Slapd, client: LdapClient) -> None:
    assert await paths(client, made(corp, nested=False), "ada") == {"engineers": ()}


@pytest.mark.parametrize("nested", [True, False])
async def test_member_of_names_the_same_groups(corp: Slapd, client: LdapClient, nested: bool) -> None:
    # The overlay writes memberOf when a group changes; these were there before it looked.
    corp.add(group("crew", "dora") + group("fleet", "group:crew"))
    directory = made(corp, group_base=None, member_of=True, nested=nested)
    expected: dict[str, tuple[str, ...]] = {"crew": (), "fleet": ("crew",)} if nested else {"crew": ()}
    assert await paths(client, directory, "dora") == expected


async def test_long_chain_is_followed_to_its_end(corp: Slapd, client: LdapClient) -> None:
    corp.add(group("link0", "dora") + "".join(group(f"link{n}", f"group:link{n - 1}") for n in range(1, 30)))
    found = await paths(client, made(corp), "dora")
    assert len(found) == 30
    assert len(found["link29"]) == 29


async def test_groups_by_login_hold_no_groups(corp: Slapd, client: LdapClient) -> None:
    directory = made(corp, group_filter="(&(objectClass=groupOfNames)(description={login}))")
    corp.add(group("posix", "ada").rstrip() + "\ndescription: dora\n")
    assert await paths(client, directory, "dora") == {"posix": ()}


async def test_signs_of_filters_in_a_groups_name_mean_nothing(corp: Slapd, client: LdapClient) -> None:
    corp.add(group("R&D (north)*", "dora") + group("all (e)", "group:R&D (north)*"))
    assert await paths(client, made(corp), "dora") == {"R&D (north)*": (), "all (e)": ("R&D (north)*",)}


async def test_matching_rule_may_do_the_comparing(corp: Slapd, client: LdapClient) -> None:
    # As Active Directory's rule for chains is written; slapd has others.
    by_rule = TEMPLATES["active-directory"].group_filter.replace("1.2.840.113556.1.4.1941", "2.5.13.1")
    directory = made(corp, group_filter=by_rule.replace("=group)", "=groupOfNames)"), nested=False)
    assert await paths(client, directory, "ada") == {"engineers": ()}


class _Endless:
    """A directory in which every group is in another."""

    def search(self, base: str, search_filter: str, attributes: list[str]) -> list[Entry]:
        number = int(search_filter.rpartition("cn=g")[2].split(",")[0]) + 1 if "cn=g" in search_filter else 0
        return [Entry(f"cn=g{number},{GROUPS}", {"cn": (b"g%d" % number,)})]

    def read(self, dn: str, attributes: list[str]) -> Entry | None:
        return None


def test_endless_groups_are_refused(corp: Slapd) -> None:
    with pytest.raises(Refusal):
        find_groups(_Endless(), made(corp).settings, Entry(dn_of("ada"), {}))


def test_mapping_names_a_group_by_dn_or_by_name_whatever_the_case(corp: Slapd) -> None:
    mappings = [
        {"external": f"CN=Engineers, {GROUPS.upper()}", "groups": ["A"]},
        {"external": "ENGINEERS", "roles": ["auditor"]},
        {"external": f"cn=engineers,ou=elsewhere,{GROUPS}", "groups": ["B"]},
        {"external": "cooks", "groups": ["C"]},
    ]
    person = Entry(dn_of("ada"), {"uid": (b"ada",), "entryuuid": (b"ID-1",)})
    groups = [ExternalGroup(dn_of("group:engineers"), "engineers")]
    arrival = arrival_of(made(corp, mappings=mappings), person, groups)
    assert (arrival.external_id, arrival.groups, arrival.roles) == ("id-1", ["A"], ["auditor"])
