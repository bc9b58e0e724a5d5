"""May this principal do that? One pure function; the doors only show its answer."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from headgate.access.grants import AUTHENTICATED, EVERYONE, Grant, PrincipalKind, Scope
from headgate.access.permissions import ACTION_OF, Permission, ScopeAction
from headgate.access.principals import Principal
from headgate.access.roles import BUILT_IN


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, the sentence that says why, and the grants it was decided by.

    `needs_credentials`: signing in could change a no. `decided_by` is None where no grant spoke; `beaten` are the grants
    that spoke too, the strongest first.
    """

    is_allowed: bool
    reason: str
    needs_credentials: bool = False
    decided_by: Grant | None = None
    beaten: tuple[Grant, ...] = ()


@lru_cache(maxsize=65_536)
def decide(
    principal: Principal,
    permission: Permission,
    channel: str | None,
    privacy: str | None,
    package: str | None = None,
) -> Decision:
    """Deny by default: a token's scope narrows, then administrators may all, then the strongest grant decides.

    A channel's privacy counts as a grant of the role downloader on that channel: to everyone when it is public, to
    whoever signs in when it is authenticated. `channel` and `privacy` are None for what belongs to no channel.

    Remembered: whoever changes users, groups or grants makes new principals, and so asks anew.
    """
    narrowed = _narrowed_by_token(principal, permission, channel)
    if narrowed is not None:
        return Decision(False, narrowed)
    if principal.is_administrator:
        return Decision(True, f"{principal.name} is an administrator.")
    grants = (*principal.grants, *_implied(principal, channel, privacy))
    speaking = sorted(
        (grant for grant in grants if grant.concerns(permission, channel, package)),
        key=lambda grant: grant.rank,
        reverse=True,
    )
    if speaking:
        strongest, beaten = speaking[0], tuple(speaking[1:])
        if not strongest.is_deny:
            return Decision(True, f"Decided by: {strongest}.", decided_by=strongest, beaten=beaten)
        if not principal.is_anonymous:
            return Decision(False, f"Decided by: {strongest}.", decided_by=strongest, beaten=beaten)
    else:
        strongest, beaten = None, ()
    if principal.is_anonymous:
        # The same words for a channel that is not there: nobody learns names by asking for them.
        unseen = f"Channel {channel} does not exist, or needs credentials." if channel else "This needs credentials."
        return Decision(False, unseen, needs_credentials=True, decided_by=strongest, beaten=beaten)
    return Decision(False, f"{principal.name} lacks {permission} on {_place(channel)}.")


def _implied(principal: Principal, channel: str | None, privacy: str | None) -> tuple[Grant, ...]:
    if channel is None or privacy not in {"public", "authenticated"}:
        return ()
    if privacy == "authenticated" and principal.is_anonymous:
        return ()
    group = EVERYONE if privacy == "public" else AUTHENTICATED
    return (Grant(0, PrincipalKind.PSEUDO, group, "downloader", BUILT_IN["downloader"], Scope(channel)),)


def _narrowed_by_token(principal: Principal, permission: Permission, channel: str | None) -> str | None:
    scope = principal.token
    if scope is None:
        return None
    if scope.actions is not None and ACTION_OF[permission] not in scope.actions:
        return (
            f"Token {scope.name} is limited to {', '.join(sorted(scope.actions))}; this needs {ACTION_OF[permission]}."
        )
    if scope.channels is not None and channel not in scope.channels:
        return f"Token {scope.name} is limited to {', '.join(sorted(scope.channels))}; this concerns {_place(channel)}."
    return None


def _place(channel: str | None) -> str:
    return f"channel {channel}" if channel else "this server"


def decide_token(
    principal: Principal,
    actions: Collection[ScopeAction] | None,
    channels: Collection[str] | None,
    expires_at: datetime | None,
) -> Decision:
    """May the principal make a token of that scope? One made with a token allows no more, and lasts no longer."""
    own = principal.token
    if own is None:
        return Decision(True, f"{principal.name} signed in without a token.")
    for what, mine, asked in (("actions", own.actions, actions), ("channels", own.channels, channels)):
        if mine is not None and (asked is None or not mine.issuperset(asked)):
            return Decision(
                False, f"Token {own.name} is limited to {what} {', '.join(sorted(mine))}; name some of them."
            )
    if own.expires_at is not None and (expires_at is None or expires_at > own.expires_at):
        return Decision(
            False, f"Token {own.name} ends at {own.expires_at:%Y-%m-%d %H:%M} UTC; ask for one that ends before."
        )
    return Decision(True, f"Token {own.name} allows that much itself.")
