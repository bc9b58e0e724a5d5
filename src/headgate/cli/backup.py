"""`headgate backup`: copies of a server's data, made, listed and checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.client import connected
from headgate.cli.mirror import insist_done, wait_for
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson

if TYPE_CHECKING:
    from headgate.backups.checking import Examination

app = typer.Typer(no_args_is_help=True, help="Backups: make, list, check.")

COLUMNS: Columns = {
    "NAME": "name",
    "BY": "by",
    "FILES": "files",
    "BYTES": "bytes",
    "SHARED": "linked_bytes",
    "VERSION": "version",
    "FOLDER": "folder",
}


@app.command("make")
def make_backup(
    is_waiting: Annotated[bool, typer.Option("--wait", help="Return when it is made; 1 when it failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup now, while the server goes on."""
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post("backups")
        if not is_waiting:
            out.show(job, [f"The backup is job {job['id']}."])
            return
        job = wait_for(server, f"jobs/{job['id']}", out)
        if job["state"] == "done" or as_json:
            out.show(job, _made(job["result"] or {}))
        insist_done(job, out)
        _warn(server.get("backups"), out)


@app.command("list")
def list_backups(as_json: AsJson = False) -> None:
    """List the backups that are there, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get("backups")
        out.table(found["items"], COLUMNS)
        if not found["is_on"]:
            out.note("Backups are off: set backup.folder in the settings of the server.")
        _warn(found, out)


@app.command("check")
def check_backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of one backup.")],
    is_deep: Annotated[bool, typer.Option("--deep", help="Read every file, and compare its sha256.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a backup can be restored; needs no server. Ends with 1 when something is wrong."""
    with Output(as_json=as_json) as out:
        from headgate.backups.checking import check_backup as check

        with out.progress(is_bytes=True) as progress:
            task = progress.add_task("reading", total=None)
            found = check(folder.absolute(), is_deep=is_deep, told=lambda read: progress.update(task, advance=read))
        out.show(_document(found), _lines(found))
        if not found.is_good:
            raise typer.Exit(1)


def _document(found: "Examination") -> dict[str, Any]:
    from datetime import datetime

    paper = found.paper.as_dict()
    paper = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in paper.items()}
    return {
        "folder": str(found.folder),
        "is_good": found.is_good,
        "is_deep": found.is_deep,
        "backup": paper,
        "databases": found.databases,
        "blobs": found.blobs,
        "bytes": found.bytes,
        "flaws": found.flaws,
        "flaw_count": found.flaw_count,
        "elsewhere": found.paper.said,
    }


def _lines(found: "Examination") -> list[str]:
    paper = found.paper
    lines = [f"Made {paper.made_at:%Y-%m-%d %H:%M} UTC by {paper.by}, with Headgate {paper.version}."]
    how = "read whole" if found.is_deep else "there with their sizes"
    lines += [f"{name}: looked through." for name in found.databases]
    lines += [f"{found.blobs} files, {found.bytes} bytes {how}."]
    lines += [paper.said] if paper.said else []
    lines += found.flaws
    unsaid = found.flaw_count - len(found.flaws)
    lines += [f"{unsaid} more like these."] if unsaid else []
    return [*lines, "It can be restored." if found.is_good else "It cannot be restored as it is."]


def _made(result: Document) -> list[str]:
    if not result:
        return []
    gone = [f"  {name} was removed." for name in result["removed"]]
    return [f"Made {result['name']}: {result['files']} files, {result['bytes']} bytes.", *gone]


def _warn(found: Document, out: Output) -> None:
    for sentence in (found["concern"], found["elsewhere"]):
        if sentence:
            out.note(sentence)
