"""Who may do what: the classic cases, one table each."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from headgate.access.decisions import Decision, decide, decide_for_some, decide_token, decide_tokens_of
from headgate.access.grants import ANONYMOUS, EVERYONE, Grant, PrincipalKind, Scope
from headgate.access.permissions import Permission, ScopeAction
from headgate.access.principals import Principal, TokenScope
from headgate.access.roles import BUILT_IN

P = Permission
USER, SERVICE, GROUP, PSEUDO = PrincipalKind.USER, PrincipalKind.SERVICE, PrincipalKind.GROUP, PrincipalKind.PSEUDO
SOON = datetime(2027, 1, 1, tzinfo=UTC)


def given(
    kind: PrincipalKind,
    role: str,
    channel: str | None = None,
    package: str | None = None,
    *,
    to: str = "x",
    is_deny: bool = False,
    number: int = 1,
) -> Grant:
    return Grant(number, kind, to, role, BUILT_IN[role], Scope(channel, package), is_deny)


def denied(
    kind: PrincipalKind, role: str, channel: str | None = None, package: str | None = None, *, to: str = "x"
) -> Grant:
    return given(kind, role, channel, package, to=to, is_deny=True)


def user(*grants: Grant, token: TokenScope | None = None, is_administrator: bool = False) -> Principal:
    return Principal("ann", 1, is_administrator, token, grants=grants)


def token(
    *, actions: set[ScopeAction] | None = None, channels: set[str] | None = None, expires_at: datetime | None = None
) -> TokenScope:
    scope = None if actions is None else frozenset(actions)
    return TokenScope(1, "ci", scope, None if channels is None else frozenset(channels), expires_at)


def asked(
    who: Principal, permission: P, channel: str | None = "team", privacy: str = "private", package: str | None = None
) -> Decision:
    return decide(who, permission, channel, None if channel is None else privacy, package)


ENGINEER = user(
    given(GROUP, "approver", "unapproved-conda", to="Network Engineers"),
    given(GROUP, "approver", "approved-conda", to="Network Engineers"),
)
DEVELOPER = user(given(GROUP, "downloader", "approved-conda", to="Developers"))


@pytest.mark.parametrize(
    ("who", "permission", "channel", "expected"),
    [
        (ENGINEER, P.PROMOTION_OUT, "unapproved-conda", True),
        (ENGINEER, P.PROMOTION_INTO, "approved-conda", True),
        (ENGINEER, P.PROMOTION_APPROVE, "approved-conda", True),
        (ENGINEER, P.CHANNEL_READ, "unapproved-conda", True),
        (ENGINEER, P.ARTIFACT_UPLOAD, "approved-conda", False),
        (ENGINEER, P.PROMOTION_OUT, "other", False),
        (DEVELOPER, P.CHANNEL_READ, "approved-conda", True),
        (DEVELOPER, P.ARTIFACT_DOWNLOAD, "approved-conda", True),
        (DEVELOPER, P.CHANNEL_READ, "unapproved-conda", False),
        (DEVELOPER, P.ARTIFACT_DOWNLOAD, "unapproved-conda", False),
        (DEVELOPER, P.PROMOTION_INTO, "approved-conda", False),
        (DEVELOPER, P.ACCESS_READ, None, False),
    ],
)
def test_two_feeds(who: Principal, permission: P, channel: str | None, expected: bool) -> None:
    assert asked(who, permission, channel, package="numpy").is_allowed is expected


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        ([], False),
        ([given(GROUP, "downloader")], True),
        ([given(GROUP, "downloader"), denied(GROUP, "downloader", "team")], False),
        ([given(GROUP, "downloader", "team"), denied(GROUP, "downloader")], True),
        ([given(GROUP, "downloader", "team"), denied(GROUP, "downloader", "team")], False),
        ([denied(GROUP, "downloader", "team"), given(USER, "downloader")], True),
        ([denied(USER, "downloader"), given(GROUP, "downloader", "team", "num*")], False),
        ([denied(PSEUDO, "downloader", "team", to=EVERYONE), given(GROUP, "downloader")], True),
        ([given(SERVICE, "downloader"), denied(GROUP, "downloader", "team")], True),
        ([given(GROUP, "downloader", "team", "num*")], True),
        ([given(GROUP, "downloader", "team", "scipy")], False),
        ([given(GROUP, "downloader", "team"), denied(GROUP, "downloader", "team", "numpy")], False),
        ([given(GROUP, "downloader", "team", "numpy"), denied(GROUP, "downloader", "team", "num*")], True),
        ([given(GROUP, "downloader", "team/*")], False),
        ([denied(GROUP, "publisher", "team"), given(GROUP, "downloader")], False),
    ],
)
def test_strongest_grant_decides(grants: list[Grant], expected: bool) -> None:
    for order in (grants, grants[::-1]):
        assert asked(user(*order), P.ARTIFACT_DOWNLOAD, package="numpy").is_allowed is expected


def test_longer_prefix_beats_shorter() -> None:
    who = user(given(GROUP, "downloader", "team/*"), denied(GROUP, "downloader", "team/secret/*"))
    assert asked(who, P.CHANNEL_READ, "team/dev").is_allowed
    assert not asked(who, P.CHANNEL_READ, "team/secret/plans").is_allowed


@pytest.mark.parametrize(
    ("privacy", "may_anybody", "may_signed_in"),
    [("public", True, True), ("authenticated", False, True), ("private", False, False)],
)
def test_privacy_is_the_weakest_grant(privacy: str, may_anybody: bool, may_signed_in: bool) -> None:
    nobody = Principal(ANONYMOUS)
    assert asked(nobody, P.CHANNEL_READ, privacy=privacy).is_allowed is may_anybody
    assert asked(user(), P.CHANNEL_READ, privacy=privacy).is_allowed is may_signed_in
    assert not asked(user(), P.ARTIFACT_UPLOAD, privacy=privacy).is_allowed
    assert not asked(user(denied(GROUP, "downloader")), P.CHANNEL_READ, privacy=privacy).is_allowed


def test_decision_names_its_grants() -> None:
    weak, strong = given(GROUP, "publisher", number=4), denied(USER, "downloader", "team")
    decision = asked(user(weak, strong), P.CHANNEL_READ)
    assert (decision.is_allowed, decision.decided_by, decision.beaten) == (False, strong, (weak,))
    assert decision.reason == "Decided by: downloader denied to user x on team."


def test_nobody_learns_names_by_asking() -> None:
    nobody = Principal(ANONYMOUS, grants=(denied(PSEUDO, "downloader", "team", to=ANONYMOUS),))
    told = [asked(nobody, P.CHANNEL_READ, channel).reason.replace(channel, "") for channel in ("team", "nothing")]
    assert told[0] == told[1]
    assert asked(nobody, P.CHANNEL_READ).needs_credentials


def test_disabled_administrator_may_nothing() -> None:
    gone = replace(user(is_administrator=True), is_disabled=True)
    assert not any(asked(gone, permission, privacy="public").is_allowed for permission in P)


@pytest.mark.parametrize(
    ("scope", "channel", "expected"),
    [
        (token(), "team", True),
        (token(actions={ScopeAction.VIEW}), "team", True),
        (token(actions={ScopeAction.ADD}), "team", False),
        (token(channels={"team"}), "team", True),
        (token(channels={"team"}), "team/dev", False),
        (token(channels={"team/*"}), "team/dev", True),
        (token(channels={"team/*"}), "team", False),
        (token(channels={"team/*"}), "teamwork", False),
        (token(channels={"other", "team"}), "team", True),
    ],
)
def test_token_narrows(scope: TokenScope, channel: str, expected: bool) -> None:
    for owner in (user(given(USER, "downloader"), token=scope), user(is_administrator=True, token=scope)):
        assert asked(owner, P.CHANNEL_READ, channel).is_allowed is expected


def test_token_allows_no_more_than_its_owner() -> None:
    assert not asked(user(token=token()), P.CHANNEL_READ).is_allowed
    assert not asked(user(given(USER, "downloader"), token=token()), P.ARTIFACT_UPLOAD).is_allowed


def test_token_of_channels_opens_nothing_of_the_server() -> None:
    who = user(is_administrator=True, token=token(channels={"team/*"}))
    assert not asked(who, P.ACCESS_READ, None).is_allowed


@pytest.mark.parametrize(
    ("mine", "asked_for", "expected"),
    [
        ({"team/*"}, ["team/dev"], True),
        ({"team/*"}, ["team/*", "team/dev/*"], True),
        ({"team/*"}, ["team"], False),
        ({"team/*"}, ["team/dev", "other"], False),
        ({"team"}, ["team/*"], False),
        ({"team"}, None, False),
    ],
)
def test_token_makes_no_wider_token(mine: set[str], asked_for: list[str] | None, expected: bool) -> None:
    assert decide_token(user(token=token(channels=mine)), None, asked_for, SOON).is_allowed is expected


def test_only_administrators_make_tokens_that_never_end() -> None:
    assert not decide_token(user(), None, None, None).is_allowed
    assert decide_token(user(), None, None, SOON).is_allowed
    assert decide_token(user(is_administrator=True), None, None, None).is_allowed


def test_whose_tokens_one_manages() -> None:
    ann, ben, root = user(), Principal("ben", 2), Principal("root", 3, is_administrator=True)
    manager = user(given(USER, "administrator"))
    assert decide_tokens_of(ann, ann).is_allowed
    assert not decide_tokens_of(user(token=token(actions={ScopeAction.VIEW})), ann).is_allowed
    assert not decide_tokens_of(ann, ben).is_allowed
    assert not decide_tokens_of(ann, None).is_allowed
    assert decide_tokens_of(manager, ben).is_allowed
    assert not decide_tokens_of(manager, root).is_allowed
    assert decide_tokens_of(root, ben).is_allowed
    assert decide_tokens_of(Principal(ANONYMOUS), Principal(ANONYMOUS)).needs_credentials


def test_before_the_package_is_known_a_pattern_is_as_good_as_a_yes() -> None:
    who = user(given(USER, "publisher", "team", "num*"))
    assert not asked(who, P.ARTIFACT_UPLOAD).is_allowed
    assert decide_for_some(who, P.ARTIFACT_UPLOAD, "team", "private").is_allowed
    assert not decide_for_some(who, P.ARTIFACT_UPLOAD, "other", "private").is_allowed
    assert not decide_for_some(who, P.ARTIFACT_DELETE, "team", "private").is_allowed
    narrowed = user(*who.grants, token=token(actions={ScopeAction.VIEW}))
    assert not decide_for_some(narrowed, P.ARTIFACT_UPLOAD, "team", "private").is_allowed
