"""`headgate promote` and `headgate promotion`: what passes from one channel into another."""

import time
from collections.abc import Mapping
from pathlib import Path
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


def advisories_of(item: Document) -> str:
    """The worst of a file's advisories, and how many more there are."""
    found = sorted(item["advisories"], key=lambda one: one["cvss"] or 0.0, reverse=True)
    if not found:
        return "-" if item["coverage"] == "checked" else "not checked"
    worst = found[0]
    words = [worst["advisory"], worst["severity"] or "", "exploited" if worst["is_known_exploited"] else ""]
    more = f"+{len(found) - 1}" if len(found) > 1 else ""
    return " ".join(word for word in (*words, more) if word)


def verdict_of(item: Document) -> str:
    """What policy says of a file, and where it says no, the next version that would pass."""
    if item["outcome"] == "allow":
        return "allow"
    rules = ", ".join(sorted({f"{one['policy']}/{one['rule']}" for one in item["reasons"]}))
    instead = f"; {item['alternative']} would pass" if item["alternative"] else ""
    return f"{item['outcome']}: {rules}{instead}"


ITEM_COLUMNS: Columns = {
    "FILE": lambda item: f"{item['subdir']}/{item['filename']}",
    "STATE": "state",
    "BYTES": "size_bytes",
    "LICENSE": "license",
    "POLICY": verdict_of,
    "ADVISORIES": advisories_of,
    "SCRIPTS": "scripts",
    "WHY": lambda item: "asked for" if item["is_asked"] else "needed",
}


Specs = Annotated[list[str] | None, typer.Argument(metavar="SPEC…", help="Match specs, file names, purls or sha256.")]
EnvironmentFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="An environment: environment.yml, pixi.toml, an explicit list, conda-lock.yml or pixi.lock.",
    ),
]
_PromotionId = Annotated[int, typer.Argument(metavar="ID", help="The promotion's number.")]


def promote(
    source: Annotated[str, typer.Option("--from", metavar="A", help="The channel to promote out of.")],
    target: Annotated[
        str | None,
        typer.Option("--to", metavar="B", help="The hosted channel to promote into; else the next stage of A."),
    ] = None,
    specs: Specs = None,
    file: EnvironmentFile = None,
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
        **wants_of(specs, file),
        "source": source,
        "target": target,
        "platforms": platforms or [],
        "has_closure": not is_alone,
        "machine": machine_of(machine or []),
    }
    with Output(as_json=as_json) as out, connected() as server:
        plan = server.post("promotions/preview", wish)
        if not is_decided:
            show_plan(plan, out, plan["target"])
            return
        made = server.post(
            "promotions", {**wish, "target": plan["target"], "digest": plan["digest"], "comment": comment}
        )
        done = wait_for(server, made["id"], out)
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


def wait_for(server: Server, number: int, out: Output) -> Any:
    """The promotion when it is applied, or failed: who may promote need not be one who may look at jobs."""
    with out.progress() as progress:
        progress.add_task("bringing files", total=None)
        while True:
            found = server.get(path_of("promotions", str(number)))
            if found["state"] != "planned":
                return found
            time.sleep(_POLL_S)


def show_plan(plan: Document, out: Output, target: str) -> None:
    """The files of a plan, and what is in its way."""
    if out.is_json:
        out.show(plan)
        return
    out.table(plan["items"], ITEM_COLUMNS)
    out.show(plan, [f"{plan['new']} files of {plan['new_bytes']} bytes would pass into {target}. With --yes they do."])
    for sentence in (*plan["hindrances"], *plan["failures"], *plan["notes"]):
        out.note(sentence)


def wants_of(specs: list[str] | None, file: Path | None) -> dict[str, Any]:
    """What is asked for, as the API takes it."""
    if not specs and file is None:
        raise typer.BadParameter("give SPEC…, or an environment with --file.")
    found: dict[str, Any] = {"wants": specs or []}
    if file is not None:
        found["environment"] = file.read_text(encoding="utf-8", errors="replace")
    return found


def machine_of(texts: list[str]) -> Mapping[str, Any]:
    """Virtual packages by name."""
    found = {}
    for text in texts:
        name, equals, version = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text} is not NAME=VERSION.", param_hint="--virtual-package")
        found[name] = version
    return found
