"""`headgate promote` and `headgate promotion`: what passes from one channel into another."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from headgate.cli.client import Server, connected, path_of
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Promotions: what passed from one channel into another.")

COLUMNS: Columns = {
    "ID": "id",
    "FROM": "source",
    "INTO": "target",
    "WANTS": "wants",
    "STATE": "state",
    "BY": "created_by",
    "AT": "created_at",
}
_POLL_S = 0.3
ITEM_COLUMNS: Columns = {
    "FILE": lambda item: f"{item['subdir']}/{item['filename']}",
    "STATE": "state",
    "BYTES": "size_bytes",
    "LICENSE": "license",
    "WHY": lambda item: "asked for" if item["is_asked"] else "needed",
}

_PromotionId = Annotated[int, typer.Argument(metavar="ID", help="The promotion's number.")]


def promote(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC…", help="Match specs, file names, purls or sha256.")],
    source: Annotated[str, typer.Option("--from", metavar="A", help="The channel to promote out of.")],
    target: Annotated[
        str | None,
        typer.Option("--to", metavar="B", help="The hosted channel to promote into; else the next stage of A."),
    ] = None,
    platforms: Annotated[
        list[str] | None, typer.Option("--platform", metavar="P", help="For this platform; without it, all of A's.")
    ] = None,
    is_alone: Annotated[bool, typer.Option("--no-closure", help="Leave out what is needed to install it.")] = False,
    machine: Annotated[
        list[str] | None,
        typer.Option("--virtual-package", metavar="NAME=VERSION", help="What the machines have: __cuda=12.4."),
    ] = None,
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why, for whoever asks later.")] = "",
    is_decided: Annotated[bool, typer.Option("--yes", help="Promote; without it, only show what would pass.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring packages from one channel into another, with everything they need.

    Without --yes it shows what would pass and changes nothing.
    """
    wish = {
        "wants": specs,
        "source": source,
        "target": target,
        "platforms": platforms or [],
        "has_closure": not is_alone,
        "machine": _machine(machine or []),
    }
    with Output(as_json=as_json) as out, connected() as server:
        plan = server.post("promotions/preview", wish)
        if not is_decided:
            _show(plan, out, plan["target"])
            return
        made = server.post(
            "promotions", {**wish, "target": plan["target"], "digest": plan["digest"], "comment": comment}
        )
        done = _wait(server, made["id"], out)
        if done["state"] != "applied":
            out.note(done["failure"] or f"Promotion {made['id']} is {done['state']}.")
            raise typer.Exit(1)
        out.show(done, [f"Promotion {made['id']}: {plan['new']} files passed into {plan['target']}."])


@app.command("list")
def list_promotions(as_json: AsJson = False) -> None:
    """List promotions, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("promotions")), COLUMNS)


@app.command("show")
def show_promotion(number: _PromotionId, as_json: AsJson = False) -> None:
    """Show a promotion with its files."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get(path_of("promotions", str(number)))
        if as_json:
            out.show(found)
            return
        out.details({key: value for key, value in found.items() if key != "items"})
        out.table(found["items"], ITEM_COLUMNS)


@app.command("undo")
def undo_promotion(number: _PromotionId, as_json: AsJson = False) -> None:
    """Take back what a promotion brought, but for what other packages there need."""
    with Output(as_json=as_json) as out, connected() as server:
        undone = server.post(path_of("promotions", str(number), "undo"))
        out.show(undone, [f"Promotion {number} is undone."])


def _wait(server: Server, number: int, out: Output) -> Any:
    """The promotion when it is applied, or failed: who may promote need not be one who may look at jobs."""
    with out.progress() as progress:
        progress.add_task("bringing files", total=None)
        while True:
            found = server.get(path_of("promotions", str(number)))
            if found["state"] != "planned":
                return found
            time.sleep(_POLL_S)


def _show(plan: Document, out: Output, target: str) -> None:
    if out.is_json:
        out.show(plan)
        return
    out.table(plan["items"], ITEM_COLUMNS)
    out.show(plan, [f"{plan['new']} files of {plan['new_bytes']} bytes would pass into {target}. With --yes they do."])
    for hindrance in plan["hindrances"]:
        out.note(hindrance)


def _machine(texts: list[str]) -> Mapping[str, Any]:
    found = {}
    for text in texts:
        name, equals, version = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text} is not NAME=VERSION.", param_hint="--virtual-package")
        found[name] = version
    return found
