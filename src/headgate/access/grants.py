"""Grants: principal x role x scope, allow or deny; and which of several decides.

The first difference counts: a grant to the user himself (or service account) beats one to a group, which beats one to
Everyone and the like; a narrower scope beats a wider one; a deny beats an allow.
"""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from headgate.access.permissions import Permission
from headgate.conda.names import ChannelName


class PrincipalKind(StrEnum):
    """To whom a grant may be given. Stored."""

    USER = "user"
    SERVICE = "service"
    GROUP = "group"
    PSEUDO = "pseudo"


EVERYONE = "everyone"
AUTHENTICATED = "authenticated"
ANONYMOUS = "anonymous"
PSEUDO_GROUPS = (EVERYONE, AUTHENTICATED, ANONYMOUS)

_KIND_RANK = {PrincipalKind.PSEUDO: 0, PrincipalKind.GROUP: 1, PrincipalKind.SERVICE: 2, PrincipalKind.USER: 2}


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a grant holds. `channel`: None everywhere, `team/*` below a prefix, else one channel; `package`: a pattern."""

    channel: str | None = None
    package: str | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """Narrower is greater: package pattern, channel, longer prefix, shorter prefix, everything."""
        if self.channel is None:
            return (0, 0)
        if self.package is not None:
            return (3, len(self.package.replace("*", "")))
        return (1, len(self.channel)) if self.channel.endswith("/*") else (2, 0)

    def covers(self, channel: str | None, package: str | None) -> bool:
        """True when the scope holds the channel (None: the server itself) and, where it names packages, the package."""
        if self.channel is not None and (channel is None or not covers_channel(self.channel, channel)):
            return False
        return self.package is None or (package is not None and fnmatchcase(package, self.package))

    def __str__(self) -> str:
        if self.channel is None:
            return "everywhere"
        return f"{self.channel}, packages {self.package}" if self.package else self.channel


def covers_channel(pattern: str, channel: str) -> bool:
    """True when a channel's name, or `team/*` for all below it, holds the channel, or the other pattern."""
    return channel.startswith(pattern[:-1]) if pattern.endswith("/*") else channel == pattern


def parse_channel_pattern(text: str) -> str:
    """A channel's name, or one with `/*` behind it. Raises Invalid `channel-name-invalid`."""
    ChannelName.parse(text.removesuffix("/*"))
    return text


@dataclass(frozen=True, slots=True)
class Grant:
    """A role given to (or, `is_deny`, withheld from) a principal within a scope."""

    id: int
    kind: PrincipalKind
    principal: str
    role: str
    permissions: frozenset[Permission]
    scope: Scope
    is_deny: bool = False

    @property
    def rank(self) -> tuple[int, tuple[int, int], bool]:
        """Greater decides."""
        return (_KIND_RANK[self.kind], self.scope.rank, self.is_deny)

    def concerns(self, permission: Permission, channel: str | None, package: str | None) -> bool:
        """True when the grant speaks of this permission there."""
        return permission in self.permissions and self.scope.covers(channel, package)

    def __str__(self) -> str:
        verb = "denied" if self.is_deny else "granted"
        whom = self.principal if self.kind is PrincipalKind.PSEUDO else f"{self.kind} {self.principal}"
        where = f"on {self.scope}" if self.scope.channel else "everywhere"
        return f"{self.role} {verb} to {whom} {where}"
