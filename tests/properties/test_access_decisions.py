"""The law: `decide` says what a plain reading of the rules says, whatever grants there are."""

import re
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.access.decisions import decide
from headgate.access.grants import AUTHENTICATED, EVERYONE, Grant, PrincipalKind, Scope
from headgate.access.permissions import Permission
from headgate.access.principals import Principal

CHANNELS = ["team", "team/dev", "team/dev/x", "teamwork", "other"]
PACKAGES = ["numpy", "num", "scipy"]
KINDS = [PrincipalKind.USER, PrincipalKind.SERVICE, PrincipalKind.GROUP, PrincipalKind.PSEUDO]
SCOPES = [
    Scope(),
    *(Scope(channel) for channel in [*CHANNELS, "team/*", "team/dev/*"]),
    *(Scope(channel, package) for channel in CHANNELS for package in ["*", "n*", "nu*", "num", "numpy", "*y"]),
]


@dataclass(frozen=True)
class Question:
    permission: Permission
    channel: str | None
    privacy: str | None
    package: str | None


some_permissions = st.frozensets(st.sampled_from(list(Permission)), min_size=1)
grants = st.builds(
    lambda kind, permissions, scope, is_deny: Grant(1, kind, "x", "role", permissions, scope, is_deny),
    st.sampled_from(KINDS), some_permissions, st.sampled_from(SCOPES), st.booleans(),
)  # fmt: skip
on_channel = st.builds(
    Question,
    st.sampled_from(list(Permission)),
    st.sampled_from(CHANNELS),
    st.sampled_from(["private", "authenticated", "public"]),
    st.none() | st.sampled_from(PACKAGES),
)
on_server = st.builds(Question, st.sampled_from(list(Permission)), st.none(), st.none(), st.none())


def holds(scope: Scope, question: Question) -> bool:
    if scope.channel is None:
        return True
    if question.channel is None:
        return False
    if scope.channel.endswith("/*"):
        return question.channel.startswith(scope.channel.removesuffix("*"))
    return scope.channel == question.channel and (scope.package is None or fits(scope.package, question.package))


def fits(pattern: str, package: str | None) -> bool:
    return package is not None and re.fullmatch(pattern.replace("*", ".*"), package) is not None


def nearness(grant: Grant) -> int:
    if grant.kind in {PrincipalKind.USER, PrincipalKind.SERVICE}:
        return 2
    return 1 if grant.kind is PrincipalKind.GROUP else 0


def narrowness(scope: Scope) -> tuple[int, int]:
    if scope.channel is None:
        return 0, 0
    if scope.channel.endswith("/*"):
        return 1, len(scope.channel)
    if scope.package is None:
        return 2, 0
    return 3, sum(letter != "*" for letter in scope.package)


def reference(grants: list[Grant], question: Question, *, is_anonymous: bool) -> bool:
    """Drop all but the nearest, of those all but the narrowest; what is left must not deny."""
    heard = list(grants)
    reading = frozenset({Permission.CHANNEL_READ, Permission.ARTIFACT_DOWNLOAD, Permission.REQUEST_CREATE})
    if question.privacy == "public":
        heard.append(Grant(0, PrincipalKind.PSEUDO, EVERYONE, "downloader", reading, Scope(question.channel)))
    if question.privacy == "authenticated" and not is_anonymous:
        heard.append(Grant(0, PrincipalKind.PSEUDO, AUTHENTICATED, "downloader", reading, Scope(question.channel)))
    heard = [grant for grant in heard if question.permission in grant.permissions and holds(grant.scope, question)]
    heard = [grant for grant in heard if nearness(grant) == max(map(nearness, heard))]
    heard = [grant for grant in heard if narrowness(grant.scope) == max(narrowness(one.scope) for one in heard)]
    return bool(heard) and not any(grant.is_deny for grant in heard)


@settings(max_examples=600, deadline=None)
@given(st.lists(grants, max_size=8), on_channel | on_server, st.booleans())
def test_decision_is_what_the_rules_say(given_grants: list[Grant], question: Question, is_anonymous: bool) -> None:
    principal = Principal("ann", None if is_anonymous else 1, grants=tuple(given_grants))
    decision = decide(principal, question.permission, question.channel, question.privacy, question.package)
    assert decision.is_allowed is reference(given_grants, question, is_anonymous=is_anonymous)
    if decision.decided_by is not None:
        assert decision.is_allowed is not decision.decided_by.is_deny
        assert all(decision.decided_by.rank >= grant.rank for grant in decision.beaten)


@settings(max_examples=300, deadline=None)
@given(st.lists(grants, max_size=8).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))), on_channel)
def test_order_of_grants_means_nothing(orders: tuple[list[Grant], list[Grant]], question: Question) -> None:
    answers = {
        decide(
            Principal("ann", 1, grants=tuple(order)),
            question.permission, question.channel, question.privacy, question.package,
        ).is_allowed
        for order in orders
    }  # fmt: skip
    assert len(answers) == 1


@settings(max_examples=300, deadline=None)
@given(st.lists(grants, max_size=8), on_channel, st.data())
def test_one_allow_more_takes_nothing_and_one_deny_more_gives_nothing(
    given_grants: list[Grant], question: Question, data: st.DataObject
) -> None:
    def is_allowed(*more: Grant) -> bool:
        principal = Principal("ann", 1, grants=(*given_grants, *more))
        return decide(
            principal, question.permission, question.channel, question.privacy, question.package
        ).is_allowed  # fmt: skip

    one = data.draw(grants)
    weaker, stronger = (is_allowed(one), is_allowed()) if one.is_deny else (is_allowed(), is_allowed(one))
    assert weaker <= stronger
