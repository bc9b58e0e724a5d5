"""What a plot shows, from the rows of a report: the same figures are drawn, and stand in the table below it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_MOST_LINES = 6
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of figures, as many as the plot has names; `colour` is a name of headgate.css, else the next one."""

    name: str
    values: Sequence[float | None]
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Plot:
    """`said` says in a sentence what it shows. `unit`: count, bytes or seconds. `is_lying`: bars go from left to right."""

    said: str
    heading: str
    names: Sequence[str]
    lines: Sequence[Line]
    unit: str = "count"
    kind: str = "bar"
    is_stacked: bool = True
    is_lying: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for line in self.lines for value in line.values)

    @property
    def drawn(self) -> Mapping[str, object]:
        """As charts.js takes it."""
        lines = [{"name": one.name, "values": list(one.values), "colour": one.colour} for one in self.lines]
        return {
            "names": list(self.names), "lines": lines, "unit": self.unit, "kind": self.kind,
            "stacked": self.is_stacked, "lying": self.is_lying,
        }  # fmt: skip

    @property
    def columns(self) -> list[str | tuple[str, str]]:
        """The head of the table."""
        return [self.heading, *((line.name, "number") for line in self.lines)]

    @property
    def rows(self) -> list[tuple[str, list[float | None]]]:
        """As the table has it: a name with its figure of each line."""
        return [(name, [line.values[place] for line in self.lines]) for place, name in enumerate(self.names)]


def lines_of(cells: Iterable[tuple[str, str, float]], names: Sequence[str]) -> list[Line]:
    """(line, name, figure) -> the lines with the greatest sums; those that are too many are one line together."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for line, name, figure in cells:
        found[line][name] += figure
    ordered = sorted(found, key=lambda line: (-sum(found[line].values()), line))
    if len(ordered) > _MOST_LINES:
        ordered, rest = ordered[: _MOST_LINES - 1], ordered[_MOST_LINES - 1 :]
        for line in rest:
            for name, figure in found[line].items():
                found[OTHERS][name] += figure
        ordered.append(OTHERS)
    return [Line(line, [found[line].get(name, 0) for name in names]) for line in ordered]
