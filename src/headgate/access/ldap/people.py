"""Finding a person and their groups in a directory, and saying what these mean here. Blocks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from headgate.access.arrivals import Arrival
from headgate.access.ldap.answers import STATE_ATTRIBUTES, Entry, Refusal, identity_of, name_of
from headgate.access.ldap.filters import everybody_filter, first_value, group_filter, same_name, user_filter
from headgate.access.ldap.settings import LdapDirectory, LdapSettings

_MOST_GROUPS = 1_000
_MEMBER_OF = "memberOf"


class Searching(Protocol):
    """The part of a session that looks things up."""

    def search(self, base: str, search_filter: str, attributes: list[str]) -> list[Entry]:
        """The entries below `base`."""

    def read(self, dn: str, attributes: list[str]) -> Entry | None:
        """One entry, or None."""


@dataclass(frozen=True, slots=True)
class ExternalGroup:
    """A group of the directory, and the names of the groups through which the person is in it, nearest first."""

    dn: str
    name: str
    path: tuple[str, ...] = ()


def person_attributes(settings: LdapSettings) -> list[str]:
    """What is asked of a person."""
    known = [settings.name_attribute, settings.id_attribute, *STATE_ATTRIBUTES]
    return known + ([_MEMBER_OF] if settings.member_of else [])


def find_person(session: Searching, settings: LdapSettings, login: str) -> Entry | None:
    """The one entry that the login names. Raises Refusal when it names several."""
    wanted = user_filter(settings.user_filter, login)
    found = session.search(settings.user_base, wanted, person_attributes(settings))
    if len(found) > 1:
        raise Refusal(f"{len(found)} entries fit {wanted}; a login must name one person.")
    return found[0] if found else None


def find_everybody(session: Searching, settings: LdapSettings) -> dict[str, Entry]:
    """Everybody who may sign in, by identity. Raises Refusal when two are the same."""
    wanted = everybody_filter(settings.user_filter)
    people: dict[str, Entry] = {}
    for entry in session.search(settings.user_base, wanted, person_attributes(settings)):
        identity = identity_of(entry, settings)
        if identity in people:
            raise Refusal(f"{entry.dn} and {people[identity].dn} have the same {settings.id_attribute}.")
        if not entry.is_disabled:
            people[identity] = entry
    return people


def find_groups(session: Searching, settings: LdapSettings, person: Entry) -> list[ExternalGroup]:
    """The groups that a person is in, and those that these are in; each once, so that a circle ends.

    Raises Refusal for more than a thousand.
    """
    found: dict[str, ExternalGroup] = {}
    waiting: list[tuple[Entry, str | None, tuple[str, ...]]] = [(person, person.text(settings.name_attribute), ())]
    while waiting:
        entry, login, path = waiting.pop(0)
        for group in _direct(session, settings, entry, login):
            key = same_name(group.dn)
            if key in found:
                continue
            name = group.text(settings.group_name_attribute) or first_value(group.dn)
            found[key] = ExternalGroup(group.dn, name, path)
            if len(found) > _MOST_GROUPS:
                raise Refusal(f"{person.dn} is in more than {_MOST_GROUPS} groups.")
            if settings.nested:
                waiting.append((group, None, (*path, name)))
    return list(found.values())


def _direct(session: Searching, settings: LdapSettings, entry: Entry, login: str | None) -> Iterator[Entry]:
    attributes = [settings.group_name_attribute, *([_MEMBER_OF] if settings.member_of else [])]
    wanted = group_filter(settings.group_filter, entry.dn, login) if settings.group_base else None
    if wanted is not None:
        yield from session.search(settings.group_base or "", wanted, attributes)
    for dn in entry.texts(_MEMBER_OF) if settings.member_of else ():
        yield (session.read(dn, attributes) if settings.nested else None) or Entry(dn, {})


def arrival_of(directory: LdapDirectory, person: Entry, groups: list[ExternalGroup]) -> Arrival:
    """The person as the house knows people. Raises Refusal when the entry lacks name or identity."""
    settings = directory.settings
    given, roles = _mapped(settings, groups)
    return Arrival(directory.provider, identity_of(person, settings), name_of(person, settings), given, roles)


def _mapped(settings: LdapSettings, groups: list[ExternalGroup]) -> tuple[list[str], list[str]]:
    names = {same_name(group.dn) for group in groups} | {group.name.casefold() for group in groups}
    chosen = [one for one in settings.mappings if {same_name(one.external), one.external.casefold()} & names]
    unique: tuple[Mapping[str, None], Mapping[str, None]] = (
        dict.fromkeys(name for one in chosen for name in one.groups),
        dict.fromkeys(name for one in chosen for name in one.roles),
    )
    return sorted(unique[0]), sorted(unique[1])
