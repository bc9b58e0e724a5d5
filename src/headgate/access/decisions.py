"""May this principal do that? One pure function; the doors only show its answer."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial

from headgate.access.addresses import are_within
from headgate.access.grants import AUTHENTICATED, EVERYONE, Grant, PrincipalKind, Scope, covers_channel
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
    barred = _barred(principal, permission, channel)
    if barred is not None:
        return Decision(False, barred)
    if principal.is_administrator:
        return Decision(True, f"{principal.name} is an administrator.")
    speaking = _speaking(principal, permission, channel, privacy, package)
    strongest = speaking[0] if speaking else None
    outcome = partial(Decision, decided_by=strongest, beaten=tuple(speaking[1:]))
    if strongest is not None and not strongest.is_deny:
        return outcome(True, f"Decided by: {strongest}.")
    if principal.is_anonymous:
        # The same words for a channel that is not there: nobody learns names by asking for them.
        unseen = f"Channel {channel} does not exist, or needs credentials." if channel else "This needs credentials."
        return outcome(False, unseen, needs_credentials=True)
    if strongest is not None:
        return outcome(False, f"Decided by: {strongest}.")
    return outcome(False, f"{principal.name} lacks {permission} on {_place(channel)}.")


def decide_for_some(principal: Principal, permission: Permission, channel: str, privacy: str) -> Decision:
    """The same while the package is not known yet: yes when there is a name for which it could be yes."""
    decision = decide(principal, permission, channel, privacy)
    if decision.is_allowed:
        return decision
    patterns = {grant.scope.package for grant in principal.grants if grant.scope.package is not None}
    # A pattern fits itself, so it stands for a name that it fits.
    tried = (decide(principal, permission, channel, privacy, pattern) for pattern in patterns)
    return next((one for one in tried if one.is_allowed), decision)


def _barred(principal: Principal, permission: Permission, channel: str | None) -> str | None:
    if principal.is_disabled:
        return f"{principal.name} is disabled."
    return _narrowed_by_token(principal, permission, channel)


def _speaking(
    principal: Principal, permission: Permission, channel: str | None, privacy: str | None, package: str | None
) -> list[Grant]:
    """The grants that say something of it, the strongest first."""
    grants = (*principal.grants, *_implied(principal, channel, privacy))
    concerned = (grant for grant in grants if grant.concerns(permission, channel, package))
    return sorted(concerned, key=lambda grant: grant.rank, reverse=True)


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
    if scope.channels is not None and not (channel and _is_within(channel, scope.channels)):
        return f"Token {scope.name} is limited to {', '.join(sorted(scope.channels))}; this concerns {_place(channel)}."
    return None


def _is_within(channel: str, patterns: Collection[str]) -> bool:
    return any(covers_channel(pattern, channel) for pattern in patterns)


def _place(channel: str | None) -> str:
    return f"channel {channel}" if channel else "this server"


def decide_token(
    principal: Principal,
    actions: Collection[ScopeAction] | None,
    channels: Collection[str] | None,
    expires_at: datetime | None,
    addresses: Collection[str] | None = None,
) -> Decision:
    """May the principal make a token of that scope? One made with a token allows no more, and lasts no longer.

    `actions`, `channels` and `addresses` None: whatever the owner may, from anywhere. `expires_at` None: it never ends,
    for administrators alone.
    """
    if expires_at is None and not principal.is_administrator:
        return Decision(False, "Only an administrator makes tokens that never end.")
    own = principal.token
    if own is None:
        return Decision(True, f"{principal.name} signed in without a token.")
    for what, mine, has_less in (
        ("actions", own.actions, actions is not None and set(actions) <= (own.actions or set())),
        ("channels", own.channels, _are_within(channels, own.channels)),
        ("addresses", own.addresses, addresses is not None and are_within(addresses, own.addresses or ())),
    ):
        if mine is not None and not has_less:
            return Decision(
                False, f"Token {own.name} is limited to {what} {', '.join(sorted(mine))}; name some of them."
            )
    if own.expires_at is not None and (expires_at is None or expires_at > own.expires_at):
        return Decision(
            False, f"Token {own.name} ends at {own.expires_at:%Y-%m-%d %H:%M} UTC; ask for one that ends before."
        )
    return Decision(True, f"Token {own.name} allows that much itself.")


def _are_within(channels: Collection[str] | None, patterns: Collection[str] | None) -> bool:
    return channels is not None and patterns is not None and all(_is_within(one, patterns) for one in channels)


def decide_tokens_of(principal: Principal, owner: Principal | None) -> Decision:
    """May the principal list, make and revoke the owner's tokens? Their own without a permission.

    A token in use narrows that as it narrows `token:manage`: one that only reads ends no other. `owner` None: somebody
    else's, who may not exist.
    """
    if owner is not None and owner.name == principal.name and not principal.is_anonymous:
        narrowed = _narrowed_by_token(principal, Permission.TOKEN_MANAGE, None)
        return Decision(narrowed is None, narrowed or "These are their own tokens.")
    decision = decide(principal, Permission.TOKEN_MANAGE, None, None)
    if decision.is_allowed and owner is not None and owner.is_administrator and not principal.is_administrator:
        return Decision(False, f"{owner.name} is an administrator, whose tokens only administrators manage.")
    return decision
