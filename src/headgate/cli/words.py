"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
DataFolderOption = Annotated[
    Path, typer.Option("--data", envvar="HEADGATE_DATA", file_okay=False, help="The data folder.", metavar="DIR")
]
UpstreamOption = Annotated[
    str | None,
    typer.Option("--upstream", metavar="URL", help="What unapproved-conda follows, when the folder is new."),
]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of a channel.")]
Subdirs = Annotated[list[str] | None, typer.Option("--subdir", metavar="S", help="A subdir; may be repeated.")]
Comment = Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why, for whoever asks later.")]


def moment_of(text: str) -> str:
    """A date, or days from now, as ISO 8601; in UTC where nothing else is said."""
    from datetime import UTC, datetime, timedelta

    from headgate.kernel import clock

    try:
        if text.endswith("d") and text[:-1].isdigit():
            return (clock.now() + timedelta(days=int(text[:-1]))).isoformat()
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is neither a date nor a number of days such as 30d.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
