"""What a command says: its result on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer

from headgate.cli.problems import ServerProblem
from headgate.kernel.errors import HeadgateError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Document = Mapping[str, Any]
Columns = Mapping[str, str | Callable[[Document], Any]]

# A table that is piped somewhere keeps each row on one line.
_WIDE = 10_000


class Output:
    """Says what a command found, for people or as JSON.

    As a context it turns an error of the house into its sentences (and, for machines, into the problem document) and
    ends the command with 1.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.is_json = as_json

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, HeadgateError):
            self.fail(error)
            raise typer.Exit(1) from None

    def show(self, document: Any, lines: Iterable[str] = ()) -> None:
        """The result: the document for machines, the lines for people."""
        text = json.dumps(document, indent=2, default=str) if self.is_json else "\n".join(lines)
        if text:
            print(text, flush=True)

    def table(self, rows: Sequence[Document], columns: Columns) -> None:
        """The result as a table; `columns` maps each heading to a key or to a function of the row."""
        if self.is_json:
            self.show(rows)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in columns:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell_of(row, column)) for column in columns.values()))
        _console(sys.stdout).print(table)

    def details(self, document: Document) -> None:
        """One thing, a line per member."""
        width = max(map(len, document), default=0)
        self.show(document, (f"{key:{width}}  {render(value)}" for key, value in document.items()))

    def note(self, sentence: str) -> None:
        """Something worth knowing that is not the result."""
        print(sentence, file=sys.stderr, flush=True)

    def fail(self, error: HeadgateError) -> None:
        """The sentences of an error; its problem document for machines."""
        if self.is_json:
            self.show(_problem(error))
        self.note(error.message)
        for reason in error.reasons:
            if reason not in error.message:
                self.note(f"- {reason}")

    def progress(self, *, is_bytes: bool = False) -> "Progress":
        """A progress bar on standard error, for people at a terminal."""
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn

        counter = DownloadColumn() if is_bytes else MofNCompleteColumn()
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            counter,
            console=_console(sys.stderr),
            disable=self.is_json or not sys.stderr.isatty(),
            transient=True,
        )


def cell_of(row: Document, column: str | Callable[[Document], Any]) -> str:
    """What a column shows of a row."""
    return render(row.get(column) if isinstance(column, str) else column(row))


def render(value: Any) -> str:
    """A JSON value on one line, for people."""
    if value is None or value in ([], {}, ""):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(render(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={render(one)}" for key, one in value.items())
    return str(value)


def _console(file: Any) -> "Console":
    from rich.console import Console

    return Console(file=file, highlight=False, markup=False, width=None if file.isatty() else _WIDE)


def _problem(error: HeadgateError) -> Document:
    if isinstance(error, ServerProblem):
        return error.document
    from headgate.doors.problems import problem

    return problem(error)
