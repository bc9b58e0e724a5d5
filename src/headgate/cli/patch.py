"""`headgate patch`: corrections of records, which leave the packages as they are."""

from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.channel_life import RECORD_COLUMNS
from headgate.cli.client import Server, channel_path, connected
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson, Channel, Comment

app = typer.Typer(no_args_is_help=True, help="Patch instructions: correct records, and take that back.")

COLUMNS: Columns = {
    "ID": "id",
    "SUBDIR": "subdir",
    "REVISION": "revision",
    "FROM": lambda one: one["origin"] or "edited in place",
    "COMMENT": "comment",
    "BY": "created_by",
    "AT": "created_at",
}

_Subdir = Annotated[str, typer.Argument(metavar="SUBDIR", help="One subdir of it.")]
_Sure = Annotated[bool, typer.Option("--yes", help="Do it; without it, only show which records would change.")]


@app.command("list")
def list_patches(channel: Channel, as_json: AsJson = False) -> None:
    """List every state of a channel's patch instructions, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items(channel_path(channel, "patches"))), COLUMNS)


@app.command("show")
def show_patch(channel: Channel, subdir: _Subdir) -> None:
    """Print a subdir's patch_instructions.json."""
    with Output(as_json=True) as out, connected() as server:
        out.show(server.get(channel_path(channel, "patches", subdir)))


@app.command("set")
def set_patch(
    channel: Channel,
    subdir: _Subdir,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A patch_instructions.json.")
    ],
    comment: Comment = "",
    is_decided: _Sure = False,
    as_json: AsJson = False,
) -> None:
    """Replace a subdir's patch instructions.

    Without --yes it shows which records would change, field by field, and changes nothing.
    """
    with Output(as_json=as_json) as out, connected() as server:
        document = _read(file)
        changes = server.post(channel_path(channel, "patches", subdir, "preview"), document)
        if is_decided:
            server.replace(_with_comment(channel_path(channel, "patches", subdir), comment), document)
        _report(out, changes, is_decided=is_decided)


@app.command("upload")
def upload_patches(
    channel: Channel,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A package of patch instructions.")
    ],
    comment: Comment = "",
    is_decided: _Sure = False,
    as_json: AsJson = False,
) -> None:
    """Replace the instructions of every subdir that a package has SUBDIR/patch_instructions.json for.

    Without --yes it shows which records would change, and changes nothing.
    """
    with Output(as_json=as_json) as out, connected() as server:
        changes = _send(server, channel, file, dry_run=not is_decided, comment=comment)
        for subdir in changes["skipped"]:
            out.note(f"{channel} has no {subdir}; its instructions are left out.")
        _report(out, changes, is_decided=is_decided)


@app.command("undo")
def undo_patch(
    channel: Channel,
    number: Annotated[int, typer.Argument(metavar="ID", help="As `list` shows it.")],
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Put in force what was before an edit."""
    with Output(as_json=as_json) as out, connected() as server:
        subdirs = server.post(channel_path(channel, "patches", str(number), "undo"), {"comment": comment})
        out.show(subdirs, [f"Edit {number} is undone in {', '.join(subdirs)}."])


def _read(file: Path) -> Any:
    import json

    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}.") from error


def _with_comment(path: str, comment: str) -> str:
    from urllib.parse import urlencode

    return f"{path}?{urlencode({'comment': comment})}" if comment else path


def _send(server: Server, channel: str, file: Path, *, dry_run: bool, comment: str) -> Any:
    path = channel_path(channel, "patches")
    return server.send_file(path, file, lambda _: None, filename=file.name, dry_run=dry_run, comment=comment)


def _report(out: Output, changes: Document, *, is_decided: bool) -> None:
    if out.is_json:
        out.show(changes)
        return
    out.table(changes["records"], RECORD_COLUMNS)
    said = "are corrected" if is_decided else "would be corrected. With --yes they are"
    out.show(changes, [f"{changes['total']} records {said}."])
