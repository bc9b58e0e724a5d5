"""What every rule is: terms read from a policy, a quick look at a shard, and a judgement on one record."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar

from headgate.kernel import clock
from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance, LightRecord
from headgate.policy.terms import Terms


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule says of a record.

    `does_act`: whether its action follows. `fact` and `remedy` are sentences, which name moments and never how long ago
    they were. `changes_ms`: when time alone changes the judgement.
    """

    does_act: bool
    fact: str = ""
    remedy: str = ""
    changes_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a quick look at a shard came to: whether to look closer, and until when that holds."""

    is_needed: bool
    until_ms: int | None = None


Sorter = Callable[[LightRecord], Hashable]
CLOSER = Look(is_needed=True)
NOTHING = Look(is_needed=False)


class Rule(ABC):
    """One condition. Rules are values: equal terms make rules that say the same."""

    kind: ClassVar[str]
    needs_assessments: ClassVar[bool] = False
    needs_about: ClassVar[bool] = False
    needs_owners: ClassVar[bool] = False
    needs_proofs: ClassVar[bool] = False
    is_by_sort_alone: ClassVar[bool] = False
    """Whether `judge` sees nothing but what `sorter` shows of the record, and the moment."""

    @abstractmethod
    def __init__(self, terms: Terms) -> None:
        """Take its own keys. Raises Invalid `policy-invalid`."""

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """Cheap; may only say that no closer look is needed when `judge` would act on no record of the shard."""
        return CLOSER

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter | None:
        """What tells records of one shard apart as far as `judge` does, assessments aside; None: only `judge` knows.

        Where there is one, records of one sort are judged once.
        """
        return None

    @abstractmethod
    def judge(self, case: Case) -> Judgement | None:
        """The judgement on one record; None: the rule does not act, and time does not change that."""


def acts(fact: str, remedy: str = "", changes_ms: int | None = None) -> Judgement:
    """The rule acts."""
    return Judgement(does_act=True, fact=fact, remedy=remedy, changes_ms=changes_ms)


def day_of(milliseconds: int) -> str:
    """A moment as people read it: to the minute, in UTC."""
    try:
        return clock.from_ms(milliseconds).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "the end of time"


def alike(_record: LightRecord) -> Hashable:
    """The sorter of rules that look at no record, but at most at its assessment."""
    return None
