"""Who asks: a user, with or without a token, or nobody; with every grant that concerns them."""

from dataclasses import dataclass
from datetime import datetime

from headgate.access.grants import Grant, PrincipalKind
from headgate.access.permissions import ScopeAction


@dataclass(frozen=True, slots=True)
class TokenScope:
    """What a token narrows its owner to. None means: no narrowing."""

    id: int
    name: str
    actions: frozenset[ScopeAction] | None
    channels: frozenset[str] | None
    expires_at: datetime | None
    addresses: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """A caller; two are the same only when they are one object, so that decisions can be remembered by it.

    `user_id` is None for nobody in particular; `grants` are those to them and to every group they are in, and `groups`
    are the names of those groups. `must_change_password` concerns whoever comes with it, not those who have a token.
    """

    name: str
    user_id: int | None = None
    is_administrator: bool = False
    token: TokenScope | None = None
    is_disabled: bool = False
    grants: tuple[Grant, ...] = ()
    kind: PrincipalKind = PrincipalKind.USER
    groups: tuple[str, ...] = ()
    must_change_password: bool = False

    @property
    def is_anonymous(self) -> bool:
        """True when the caller gave no credentials."""
        return self.user_id is None

    @property
    def actor(self) -> str:
        """How audit events name the caller."""
        return f"{self.name} (token {self.token.name})" if self.token else self.name
