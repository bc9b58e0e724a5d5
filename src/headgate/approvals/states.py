r"""The states of a request, and what each person may do in them. Pure: values in, values out.

    draft --submit--> requested --ask-changes--> changes-wanted --submit--> requested
                          |
                          |--approve, until enough approvals are of the same facts--> approved --applied--> applied
                          |                                                              \---failed---> requested
    approved, but for some of the wants: those go on as a request of their own, which is requested
    draft, requested, changes-wanted --withdraw, by the last who asks--> withdrawn
           requested, changes-wanted --reject--> rejected
           requested, changes-wanted --expire--> expired

An approval counts for the facts it was given on, and no longer once they have changed. Whoever asks approves nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from headgate.kernel.errors import Conflict, Refused


class RequestState(StrEnum):
    """Where a request stands. Stored."""

    DRAFT = "draft"
    REQUESTED = "requested"
    CHANGES_WANTED = "changes-wanted"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    APPLIED = "applied"

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something."""
        return self in {RequestState.REQUESTED, RequestState.CHANGES_WANTED}


_UNDECIDED = frozenset({RequestState.DRAFT, RequestState.REQUESTED, RequestState.CHANGES_WANTED})


@dataclass(frozen=True, slots=True)
class Terms:
    """What a channel asks of approvals: how many, and (unless empty) of which groups."""

    approvals: int = 1
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """A request as decisions see it: who asks, and who approved on which facts (their digest)."""

    state: RequestState
    requesters: frozenset[str]
    votes: Mapping[str, str] = field(default_factory=dict)

    def counted(self, facts: str) -> frozenset[str]:
        """Whose approvals hold for these facts."""
        return frozenset(name for name, digest in self.votes.items() if digest == facts and name not in self.requesters)

    def join(self, name: str) -> "Standing":
        """One more who asks; an approval that they gave is void. Raises Conflict `request-state`."""
        self._demand("joined", {RequestState.REQUESTED, RequestState.CHANGES_WANTED})
        votes = {voter: digest for voter, digest in self.votes.items() if voter != name}
        return replace(self, requesters=self.requesters | {name}, votes=votes)

    def submit(self, name: str) -> "Standing":
        """Ask, or ask again; approvals of before are void. Raises Conflict `request-state`, Refused `request-others`."""
        self._demand("submitted", {RequestState.DRAFT, RequestState.CHANGES_WANTED})
        self._demand_requester(name)
        return replace(self, state=RequestState.REQUESTED, votes={})

    def approve(self, name: str, groups: Collection[str], seen: str, facts: str, terms: Terms) -> "Standing":
        """Approve on the facts `seen`, while `facts` are what is so. Approved once enough have.

        Raises Conflict `request-state` or `request-outdated`, Refused `request-own` or `request-approver`.
        """
        self._demand("approved", {RequestState.REQUESTED})
        self._refuse_own(name)
        if terms.groups and terms.groups.isdisjoint(groups):
            wanted = ", ".join(sorted(terms.groups))
            raise Refused("request-approver", f"Requests into this channel are approved by members of {wanted}.")
        if seen != facts:
            raise Conflict(
                "request-outdated", "Records, verdicts or advisories changed since you looked. Look and decide again."
            )
        voted = replace(self, votes={**self.votes, name: seen})
        if len(voted.counted(facts)) < terms.approvals:
            return voted
        return replace(voted, state=RequestState.APPROVED)

    def approve_by_rule(self) -> "Standing":
        """Approve because a rule of the channel says so. Raises Conflict `request-state`."""
        self._demand("approved", {RequestState.REQUESTED})
        return replace(self, state=RequestState.APPROVED)

    def rest(self) -> "Standing":
        """How what this approval left out goes on: asked for by the same people, approved by nobody.

        Raises Conflict `request-state`.
        """
        self._demand("divided", {RequestState.APPROVED})
        return Standing(RequestState.REQUESTED, self.requesters)

    def reject(self, name: str) -> "Standing":
        """Say no. Raises Conflict `request-state`, Refused `request-own`."""
        self._demand("rejected", {RequestState.REQUESTED, RequestState.CHANGES_WANTED})
        self._refuse_own(name)
        return replace(self, state=RequestState.REJECTED, votes={})

    def ask_changes(self, name: str) -> "Standing":
        """Send it back; approvals are void. Raises Conflict `request-state`, Refused `request-own`."""
        self._demand("sent back", {RequestState.REQUESTED})
        self._refuse_own(name)
        return replace(self, state=RequestState.CHANGES_WANTED, votes={})

    def withdraw(self, name: str) -> "Standing":
        """Ask no longer; withdrawn when nobody else asks. Raises Conflict `request-state`, Refused `request-others`."""
        self._demand("withdrawn", _UNDECIDED)
        self._demand_requester(name)
        left = self.requesters - {name}
        if left:
            return replace(self, requesters=left)
        return replace(self, state=RequestState.WITHDRAWN, votes={})

    def expire(self) -> "Standing":
        """Time is over. Raises Conflict `request-state`."""
        self._demand("expired", {RequestState.REQUESTED, RequestState.CHANGES_WANTED})
        return replace(self, state=RequestState.EXPIRED, votes={})

    def applied(self) -> "Standing":
        """The target has it. Raises Conflict `request-state`."""
        self._demand("applied", {RequestState.APPROVED})
        return replace(self, state=RequestState.APPLIED)

    def failed(self) -> "Standing":
        """It could not be brought; it has to be decided again. Raises Conflict `request-state`."""
        self._demand("given back", {RequestState.APPROVED})
        return replace(self, state=RequestState.REQUESTED, votes={})

    def _demand(self, done: str, states: Collection[RequestState]) -> None:
        if self.state not in states:
            raise Conflict("request-state", f"The request is {self.state}; it cannot be {done}.")

    def _demand_requester(self, name: str) -> None:
        if name not in self.requesters:
            raise Refused("request-others", "Only those who asked do that.")

    def _refuse_own(self, name: str) -> None:
        if name in self.requesters:
            raise Refused("request-own", "Nobody decides on what they asked for themselves.")
