"""`headgate channel`, continued: freezing, revisions, rolling back."""

from datetime import datetime
from typing import Annotated, Any

import typer

from headgate.cli.channel import app
from headgate.cli.client import channel_path, connected
from headgate.cli.output import Columns, Document, Output, render
from headgate.cli.words import AsJson, Channel, Comment

__all__ = ["app"]


def described(change: Document) -> str:
    """What becomes of a record, on one line."""
    if change["is_removed"]:
        return "leaves the index"
    if change["is_restored"]:
        return "comes back"
    return "; ".join(f"{key}: {render(old)} -> {render(new)}" for key, (old, new) in change["fields"].items())


REVISION_COLUMNS: Columns = {
    "SUBDIR": "subdir",
    "REVISION": "number",
    "AT": "created_at",
    "NAMES": "changed",
    "CAUSE": "cause",
}
FATE_COLUMNS: Columns = {
    "FILE": lambda one: f"{one['subdir']}/{one['filename']}",
    "FATE": "fate",
    "REASON": "reason",
}
RECORD_COLUMNS: Columns = {
    "RECORD": lambda one: f"{one['subdir']}/{one['filename']}",
    "CHANGE": described,
}


@app.command("freeze")
def freeze_channel(name: Channel, comment: Comment = "", as_json: AsJson = False) -> None:
    """Let a channel's index stand still; uploads, promotions, syncs and policies wait."""
    with Output(as_json=as_json) as out, connected() as server:
        frozen = server.post(channel_path(name, "freeze"), {"comment": comment})
        out.show(frozen, [f"Channel {name} is frozen."])


@app.command("unfreeze")
def unfreeze_channel(name: Channel, comment: Comment = "", as_json: AsJson = False) -> None:
    """Let a frozen channel move again, and publish what waited as one revision per subdir."""
    with Output(as_json=as_json) as out, connected() as server:
        waiting = server.get(channel_path(name, "waiting"))["subdirs"]
        thawed = server.post(channel_path(name, "unfreeze"), {"comment": comment})
        lines = [f"{subdir}: {'all' if count is None else count} names waited." for subdir, count in waiting.items()]
        out.show(thawed, [f"Channel {name} moves again.", *lines])


@app.command("revisions")
def list_revisions(
    name: Channel,
    subdir: Annotated[str | None, typer.Option("--subdir", metavar="S", help="Only this subdir.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List a channel's revisions, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        page = server.get(channel_path(name, "revisions"), subdir=subdir, limit=limit)
        out.table(page["items"], REVISION_COLUMNS)


@app.command("rollback")
def roll_back(
    name: Channel,
    revisions: Annotated[
        list[str] | None,
        typer.Option("--revision", metavar="SUBDIR=N", help="A subdir, and the revision to go back to; repeatable."),
    ] = None,
    moment: Annotated[
        str | None, typer.Option("--to", metavar="MOMENT", help="As it was then: 2026-03-01T09:00:00Z.")
    ] = None,
    subdirs: Annotated[
        list[str] | None, typer.Option("--subdir", metavar="S", help="With --to: only this subdir; repeatable.")
    ] = None,
    comment: Comment = "",
    is_decided: Annotated[bool, typer.Option("--yes", help="Do it; without it, only show what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish an earlier state of a hosted channel as its next revision.

    Without --yes it shows which files would appear and disappear, and changes nothing.
    """
    body = _body(revisions or [], moment, subdirs or [])
    with Output(as_json=as_json) as out, connected() as server:
        plan = server.post(channel_path(name, "rollback", "preview"), body)
        if not is_decided:
            _show(plan, out, name)
            return
        done = server.post(channel_path(name, "rollback"), {**body, "digest": plan["digest"], "comment": comment})
        back = " ".join(f"--revision {step['subdir']}={step['current']}" for step in done["steps"])
        out.show(done, [f"Channel {name} is rolled back. To undo it: headgate channel rollback {name} {back} --yes"])


def _body(revisions: list[str], moment: str | None, subdirs: list[str]) -> dict[str, Any]:
    if bool(revisions) == (moment is not None):
        raise typer.BadParameter("Say either --revision SUBDIR=N or --to MOMENT.")
    if moment is not None:
        try:
            datetime.fromisoformat(moment)
        except ValueError as error:
            raise typer.BadParameter(f"{moment} is not a moment: 2026-03-01T09:00:00Z.", param_hint="--to") from error
        return {"moment": moment, "subdirs": subdirs}
    if subdirs:
        raise typer.BadParameter("--subdir goes with --to.")
    found = {}
    for text in revisions:
        subdir, _, number = text.partition("=")
        if not number.isdecimal():
            raise typer.BadParameter(f"{text} is not SUBDIR=N.", param_hint="--revision")
        found[subdir] = int(number)
    return {"revisions": found}


def _show(plan: Document, out: Output, name: str) -> None:
    if out.is_json:
        out.show(plan)
        return
    files = [{"subdir": step["subdir"], **one} for step in plan["steps"] for one in step["files"]]
    out.table(files, FATE_COLUMNS)
    records = [one for step in plan["steps"] for one in step["records"]]
    if records:
        out.table(records, RECORD_COLUMNS)
    where = ", ".join(f"{step['subdir']} from {step['current']} to {step['to']}" for step in plan["steps"])
    out.show(
        plan, [f"Nothing would differ: {where}." if plan["is_empty"] else f"{name}: {where}. With --yes it is done."]
    )
