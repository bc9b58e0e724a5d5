"""What a directory answers, without a word of the client library."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from headgate.access.ldap.settings import ID_IS_DN, LdapSettings

_ACCOUNT_DISABLED = 2
# Who is locked out by the directory's administrator: Active Directory's way, and that of 389 and FreeIPA.
STATE_ATTRIBUTES = ("userAccountControl", "nsAccountLock")


class Unreachable(Exception):
    """No answer, or none that can be trusted; another server of the directory may do better."""


class Refusal(Exception):
    """The directory understood, and said no."""


class WrongPassword(Refusal):
    """The name and the password do not belong together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: its distinguished name, and its values by attribute in lower case."""

    dn: str
    values: Mapping[str, tuple[bytes, ...]]

    def texts(self, attribute: str) -> list[str]:
        """The values of an attribute that are text."""
        return [one.decode("utf-8", "replace") for one in self.values.get(attribute.lower(), ())]

    def text(self, attribute: str) -> str | None:
        """The first of them."""
        return next(iter(self.texts(attribute)), None)

    @property
    def is_disabled(self) -> bool:
        """True when the directory lets this person in nowhere."""
        control = self.text("userAccountControl") or "0"
        is_off = control.lstrip("-").isdigit() and bool(int(control) & _ACCOUNT_DISABLED)
        return is_off or (self.text("nsAccountLock") or "").lower() == "true"


def identity_of(entry: Entry, settings: LdapSettings) -> str:
    """What names the entry for good. Raises Refusal when it lacks the attribute."""
    if settings.id_attribute.lower() == ID_IS_DN:
        return entry.dn.casefold()
    found = entry.values.get(settings.id_attribute.lower(), ())
    if len(found) != 1 or not found[0]:
        raise Refusal(f"{entry.dn} has {len(found)} values of {settings.id_attribute}, which should name it for good.")
    if settings.id_attribute.lower() == "objectguid":
        if len(found[0]) != 16:
            raise Refusal(f"The objectGUID of {entry.dn} is not 16 bytes long.")
        return str(UUID(bytes_le=found[0]))
    return found[0].decode("utf-8", "replace").casefold()


def name_of(entry: Entry, settings: LdapSettings) -> str:
    """What the person is called here. Raises Refusal when the entry lacks the attribute."""
    name = entry.text(settings.name_attribute)
    if not name:
        raise Refusal(f"{entry.dn} has no {settings.name_attribute}, which should be the person's name.")
    return name
