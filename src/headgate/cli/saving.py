"""Tables of the server, written to a file or to standard output as they come."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from headgate.cli.client import Server

Format = Annotated[Literal["csv", "json"], typer.Option("--format", help="csv or json.")]


def save(server: Server, path: str, parameters: Mapping[str, Any], output: Path | None) -> None:
    """Ask for a document and hand it on, piece by piece. A file that is there is replaced once all of it came."""
    if output is None:
        server.fetch(path, sys.stdout.buffer.write, **parameters)
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            server.fetch(path, file.write, **parameters)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
