"""Law: nothing is applied without the approvals that its channel demands, of people who did not ask, on the facts that hold."""

import contextlib

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headgate.approvals.states import RequestState, Standing, Terms
from headgate.kernel.errors import Conflict, Refused

NAMES = st.sampled_from(["ada", "bob", "eve", "joe", "kim"])
FACTS = st.sampled_from(["1" * 64, "2" * 64])
GROUPS = st.sets(st.sampled_from(["security", "network"]))
OPEN = {RequestState.REQUESTED, RequestState.CHANGES_WANTED}
ENDED = {RequestState.REJECTED, RequestState.EXPIRED, RequestState.WITHDRAWN, RequestState.APPLIED}


class Requests(RuleBasedStateMachine):
    """One request, and whatever people try with it; a witness keeps its own books."""

    @initialize(asker=NAMES, approvals=st.integers(1, 3), groups=GROUPS, facts=FACTS)
    def begin(self, asker: str, approvals: int, groups: set[str], facts: str) -> None:
        self.terms = Terms(approvals, frozenset(groups))
        self.standing = Standing(RequestState.DRAFT, frozenset({asker}))
        self.facts = facts
        self.is_by_rule = False
        # The witness: who approved which facts since the request was last put forward, in a group that counts.
        self.approvals: dict[str, str] = {}
        self.applied_with: frozenset[str] | None = None

    @precondition(lambda self: self.standing.state is RequestState.APPROVED)
    @rule(facts=FACTS)
    def go_on_with_what_was_left_out(self, facts: str) -> None:
        """The approval was of a part: from here on it is about the rest, of which nobody has approved anything."""
        before = self.standing
        self.standing = before.rest()
        assert self.standing.requesters == before.requesters
        assert not self.standing.counted(facts)
        self.facts, self.approvals, self.is_by_rule, self.applied_with = facts, {}, False, None

    @precondition(lambda self: self.standing.state is not RequestState.APPROVED)
    @rule()
    def only_what_is_approved_leaves_a_rest(self) -> None:
        with pytest.raises(Conflict, match="cannot be divided"):
            self.standing.rest()

    @rule(name=NAMES)
    def join(self, name: str) -> None:
        with contextlib.suppress(Conflict):
            self.standing = self.standing.join(name)
            self.approvals.pop(name, None)

    @rule(name=NAMES)
    def submit(self, name: str) -> None:
        with contextlib.suppress(Conflict, Refused):
            self.standing = self.standing.submit(name)
            self.approvals = {}

    @rule(facts=FACTS)
    def facts_change(self, facts: str) -> None:
        self.facts = facts

    @rule(name=NAMES, groups=GROUPS, seen=FACTS)
    def approve(self, name: str, groups: set[str], seen: str) -> None:
        before = self.standing
        with contextlib.suppress(Conflict, Refused):
            self.standing = before.approve(name, groups, seen, self.facts, self.terms)
            assert name not in before.requesters
            assert seen == self.facts
            assert not self.terms.groups or self.terms.groups & groups
            self.approvals[name] = seen
            counted = {one for one, digest in self.approvals.items() if digest == self.facts}
            assert (self.standing.state is RequestState.APPROVED) == (len(counted) >= self.terms.approvals)

    @rule(name=NAMES, groups=GROUPS)
    def approve_twice_at_once(self, name: str, groups: set[str]) -> None:
        """Two clicks of one person, each on the standing before: the second finds the first."""
        with contextlib.suppress(Conflict, Refused):
            once = self.standing.approve(name, groups, self.facts, self.facts, self.terms)
            self.approvals[name] = self.facts
            self.standing = once
            self.standing = once.approve(name, groups, self.facts, self.facts, self.terms)
            assert self.standing.counted(self.facts) == once.counted(self.facts)

    @precondition(lambda self: self.terms.approvals == 1)
    @rule()
    def approve_by_rule(self) -> None:
        with contextlib.suppress(Conflict):
            self.standing = self.standing.approve_by_rule()
            self.is_by_rule = True

    @rule(name=NAMES)
    def reject(self, name: str) -> None:
        with contextlib.suppress(Conflict, Refused):
            after = self.standing.reject(name)
            assert name not in self.standing.requesters
            self.standing = after

    @rule(name=NAMES)
    def ask_changes(self, name: str) -> None:
        with contextlib.suppress(Conflict, Refused):
            self.standing = self.standing.ask_changes(name)
            self.approvals = {}

    @rule(name=NAMES)
    def withdraw(self, name: str) -> None:
        with contextlib.suppress(Conflict, Refused):
            after = self.standing.withdraw(name)
            assert name in self.standing.requesters
            assert (after.state is RequestState.WITHDRAWN) == (self.standing.requesters == {name})
            self.standing = after

    @rule()
    def expire(self) -> None:
        with contextlib.suppress(Conflict):
            assert self.standing.expire().state is RequestState.EXPIRED
            assert self.standing.state in OPEN
            self.standing = self.standing.expire()

    @rule()
    def promote(self) -> None:
        with contextlib.suppress(Conflict):
            self.standing = self.standing.applied()
            self.applied_with = frozenset(self.approvals) - self.standing.requesters

    @rule()
    def fail(self) -> None:
        with contextlib.suppress(Conflict):
            self.standing = self.standing.failed()
            self.approvals, self.is_by_rule = {}, False

    @invariant()
    def nobody_approves_their_own(self) -> None:
        if hasattr(self, "standing"):
            assert not self.standing.counted(self.facts) & self.standing.requesters

    @invariant()
    def nothing_is_applied_without_approvals(self) -> None:
        if hasattr(self, "standing") and self.standing.state is RequestState.APPLIED and not self.is_by_rule:
            assert self.applied_with is not None
            assert len(self.applied_with) >= self.terms.approvals

    @precondition(lambda self: self.standing.state in ENDED)
    @rule(name=NAMES)
    def what_has_ended_stays(self, name: str) -> None:
        for act in (
            lambda: self.standing.submit(name), lambda: self.standing.join(name), lambda: self.standing.withdraw(name),
            lambda: self.standing.approve(name, [], self.facts, self.facts, Terms()),
            self.standing.approve_by_rule, self.standing.applied, self.standing.failed, self.standing.expire,
        ):  # fmt: skip
            with pytest.raises(Conflict, match="The request is"):
                act()


TestRequests = Requests.TestCase
