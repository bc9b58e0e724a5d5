"""`headgate artifact`: the files that a channel holds."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from headgate.cli.client import channel_path, connected
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson, Channel, Comment

app = typer.Typer(no_args_is_help=True, help="Package files: list, copy, move, yank, delete.")

COLUMNS = {"SUBDIR": "subdir", "FILE": "filename", "STATUS": "status", "BYTES": "size_bytes", "ADDED": "created_at"}
ITEM_COLUMNS: Columns = {
    "FILE": lambda item: f"{item['subdir']}/{item['filename']}",
    "FATE": "fate",
    "BYTES": "size_bytes",
    "WHY NOT": "reason",
}
_ENDINGS = (".conda", ".tar.bz2", ".whl")

Wants = Annotated[
    list[str],
    typer.Argument(metavar="WHAT…", help="SUBDIR/FILENAME, a file name, a match spec, a purl or a sha256."),
]
Target = Annotated[str, typer.Option("--to", metavar="B", help="The hosted channel that gets them.")]
OnlySubdirs = Annotated[list[str] | None, typer.Option("--subdir", metavar="S", help="Only of this one; repeatable.")]
Decided = Annotated[bool, typer.Option("--yes", help="Do it; without it, only show which files are meant.")]


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


def _giving(action: str) -> Callable[..., None]:
    """A command that gives files to another channel: copies them, or moves them."""

    def command(
        channel: Channel,
        wants: Wants,
        target: Target,
        subdirs: OnlySubdirs = None,
        comment: Comment = "",
        is_decided: Decided = False,
        as_json: AsJson = False,
    ) -> None:
        body = {"action": action, "wants": wants, "target": target, "subdirs": subdirs or []}
        _carry_out(channel, body, comment, is_decided=is_decided, as_json=as_json)

    return command


_LOOK_FIRST = "Without --yes it shows which files are meant, and changes nothing."
app.command("copy", help=f"Give files to another hosted channel as well.\n\n{_LOOK_FIRST}")(_giving("copy"))
app.command("move", help=f"Give files to another hosted channel, and take them out of this one.\n\n{_LOOK_FIRST}")(
    _giving("move")
)


@app.command("relabel")
def relabel_artifacts(
    channel: Channel,
    wants: Wants,
    label: Annotated[str, typer.Option("--label", metavar="L", help="dev is the channel CHANNEL/dev; main, CHANNEL.")],
    subdirs: OnlySubdirs = None,
    comment: Comment = "",
    is_decided: Decided = False,
    as_json: AsJson = False,
) -> None:
    """Move files to another label of the same channel: between team, team/dev and team/rc.

    Without --yes it shows which files are meant, and changes nothing.
    """
    target = _labelled(channel, label)
    _giving("move")(channel, wants, target, subdirs, comment, is_decided=is_decided, as_json=as_json)


@app.command("delete")
def delete_artifacts(
    channel: Channel, wants: Wants, comment: Comment = "", is_decided: Decided = False, as_json: AsJson = False
) -> None:
    """Delete files for good; their names are not given to other bytes.

    One SUBDIR/FILENAME is deleted at once. Else, without --yes, it shows which files are meant, and changes nothing.
    """
    if not _is_file(wants):
        _carry_out(channel, {"action": "delete", "wants": wants}, comment, is_decided=is_decided, as_json=as_json)
        return
    (file,) = wants
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(channel_path(channel, "artifacts", file))
        out.show({"channel": channel, "file": file, "deleted": True}, [f"Deleted {channel}/{file}."])


@app.command("yank")
def yank_artifacts(
    channel: Channel, wants: Wants, comment: Comment = "", is_decided: Decided = False, as_json: AsJson = False
) -> None:
    """Take files out of the index; they can be brought back.

    One SUBDIR/FILENAME is yanked at once. Else, without --yes, it shows which files are meant, and changes nothing.
    """
    if not _is_file(wants):
        _carry_out(channel, {"action": "yank", "wants": wants}, comment, is_decided=is_decided, as_json=as_json)
        return
    (file,) = wants
    with Output(as_json=as_json) as out, connected() as server:
        out.show(server.post(channel_path(channel, "artifacts", file, "yank")), [f"Yanked {channel}/{file}."])


@app.command("unyank")
def unyank_artifacts(
    channel: Channel, wants: Wants, comment: Comment = "", is_decided: Decided = False, as_json: AsJson = False
) -> None:
    """Bring yanked files back into the index.

    One SUBDIR/FILENAME is brought back at once. Else, without --yes, it shows which files are meant.
    """
    if not _is_file(wants):
        _carry_out(channel, {"action": "unyank", "wants": wants}, comment, is_decided=is_decided, as_json=as_json)
        return
    (file,) = wants
    with Output(as_json=as_json) as out, connected() as server:
        listed = server.post(channel_path(channel, "artifacts", file, "unyank"))
        out.show(listed, [f"{channel}/{file} is listed again."])


def _is_file(wants: list[str]) -> bool:
    """Whether one file is named, so exactly that nobody has to look first."""
    (first, *more) = wants
    return not more and first.count("/") == 1 and all(first.split("/")) and first.endswith(_ENDINGS)


def _carry_out(channel: str, body: dict[str, Any], comment: str, *, is_decided: bool, as_json: bool) -> None:
    with Output(as_json=as_json) as out, connected() as server:
        plan = server.post(channel_path(channel, "batches", "preview"), body)
        if not is_decided:
            _show(plan, out)
            return
        decided = {**body, "digest": plan["digest"], "comment": comment}
        done = server.post(channel_path(channel, "batches"), decided)
        if done["job"] is not None:
            out.show(done, [f"Job {done['job']} does it with {done['total']} files."])
            return
        out.show(done, [f"{done['total']} files: {body['action']} is done."])


def _show(plan: Document, out: Output) -> None:
    if out.is_json:
        out.show(plan)
        return
    out.table(plan["items"], ITEM_COLUMNS)
    out.show(plan, [f"{plan['total']} files are meant. With --yes it is done: {plan['action']}."])
    for hindrance in plan["hindrances"]:
        out.note(hindrance)


def _labelled(channel: str, label: str) -> str:
    """The channel that a label of this one stands for."""
    if "/" in label or not label:
        raise typer.BadParameter("A label is one word: dev, rc, main.", param_hint="--label")
    base = channel.rpartition("/")[0] or channel
    return base if label == "main" else f"{base}/{label}"
