"""`headgate incident`: something is blocked everywhere at once, and let through again."""

from typing import Annotated

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Block an advisory, a package or a file everywhere, and undo it.")


@app.command("declare")
def declare_incident(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="An advisory's id, a match spec, or a sha256.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for everybody who meets it.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="advisory, spec or sha256, where it is not what it looks like.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Block it everywhere, now. Downloads are refused when this returns."""
    with Output(as_json=as_json) as out, connected() as server:
        made = server.post("incidents", {"target": target, "reason": reason, "kind": kind})
        undo = f"Undo it with `headgate incident lift {made['id']} --reason …`."
        out.show(made, [f"Incident {made['id']}: {made['target']} is blocked in every channel. {undo}"])


@app.command("list")
def list_incidents(
    with_lifted: Annotated[bool, typer.Option("--all", help="The lifted ones too.")] = False, as_json: AsJson = False
) -> None:
    """List what is blocked as an incident, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        rows = list(server.items("incidents", is_open=None if with_lifted else True))
        columns = {"ID": "id", "KIND": "kind", "TARGET": "target", "SINCE": "declared_at", "BY": "declared_by"}
        lifted = {"LIFTED": "lifted_at"} if with_lifted else {}
        out.table(rows, {**columns, **lifted, "REASON": "reason"})


@app.command("lift")
def lift_incident(
    number: Annotated[int, typer.Argument(metavar="ID", help="The incident's number.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is over.")],
    as_json: AsJson = False,
) -> None:
    """Let through again what an incident blocks; policies still hold."""
    with Output(as_json=as_json) as out, connected() as server:
        lifted = server.post(path_of("incidents", str(number), "lift"), {"reason": reason})
        out.show(lifted, [f"Lifted incident {number}: {lifted['target']} is blocked by it no longer."])
