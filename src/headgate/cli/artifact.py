"""`headgate artifact`: the files that a channel holds."""

from typing import Annotated

import typer

from headgate.cli.client import channel_path, connected
from headgate.cli.output import Output
from headgate.cli.words import AsJson, Channel

app = typer.Typer(no_args_is_help=True, help="Package files: list, delete, yank.")

COLUMNS = {"SUBDIR": "subdir", "FILE": "filename", "STATUS": "status", "BYTES": "size_bytes", "ADDED": "created_at"}


def _checked(value: str) -> str:
    if value.count("/") != 1 or not all(value.split("/")):
        raise typer.BadParameter("Give it as SUBDIR/FILENAME, for example noarch/demo-1.0-0.conda.")
    return value


File = Annotated[str, typer.Argument(metavar="SUBDIR/FILENAME", callback=_checked, help="One package file.")]


@app.command("list")
def list_artifacts(
    channel: Channel,
    subdir: Annotated[str | None, typer.Option("--subdir", metavar="S", help="Only this subdir.")] = None,
    package: Annotated[str | None, typer.Option("--package", metavar="NAME", help="Only this package.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the files that a channel holds: uploads, and what a mirror has fetched."""
    with Output(as_json=as_json) as out, connected() as server:
        path = channel_path(channel, "artifacts")
        out.table(list(server.items(path, subdir=subdir, package=package, limit=1000)), COLUMNS)


@app.command("delete")
def delete_artifact(channel: Channel, file: File, as_json: AsJson = False) -> None:
    """Delete a file for good; its name is not given to other bytes."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(channel_path(channel, "artifacts", file))
        out.show({"channel": channel, "file": file, "deleted": True}, [f"Deleted {channel}/{file}."])


@app.command("yank")
def yank_artifact(channel: Channel, file: File, as_json: AsJson = False) -> None:
    """Take a file out of the index; it can be brought back."""
    with Output(as_json=as_json) as out, connected() as server:
        out.show(server.post(channel_path(channel, "artifacts", file, "yank")), [f"Yanked {channel}/{file}."])


@app.command("unyank")
def unyank_artifact(channel: Channel, file: File, as_json: AsJson = False) -> None:
    """Bring a yanked file back into the index."""
    with Output(as_json=as_json) as out, connected() as server:
        out.show(
            server.post(channel_path(channel, "artifacts", file, "unyank")), [f"{channel}/{file} is listed again."]
        )
