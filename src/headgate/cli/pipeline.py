"""`headgate pipeline`: channels in a fixed order, through which packages are promoted."""

from typing import Annotated, Any

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Pipelines: channels in a fixed order, stage by stage.")

COLUMNS: Columns = {
    "NAME": "name",
    "STAGES": lambda one: " -> ".join(one["stages"]),
    "STRICT": "is_strict",
}

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a pipeline.")]
_Stages = Annotated[
    list[str] | None, typer.Option("--stage", metavar="CHANNEL", help="A channel; repeatable, in their order.")
]
_Strict = Annotated[
    bool | None,
    typer.Option("--strict/--no-strict", help="Whether what comes into a stage comes from the one before it alone."),
]


@app.command("create")
def create_pipeline(name: _Name, stages: _Stages = None, is_strict: _Strict = None, as_json: AsJson = False) -> None:
    """Make a pipeline of channels; strict unless said otherwise."""
    body = {"name": name, "stages": stages or [], "is_strict": is_strict is not False}
    with Output(as_json=as_json) as out, connected() as server:
        made = server.post("pipelines", body)
        out.show(made, [f"Made pipeline {name}: {' -> '.join(made['stages'])}."])


@app.command("list")
def list_pipelines(as_json: AsJson = False) -> None:
    """List the pipelines whose channels you may read."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("pipelines")), COLUMNS)


@app.command("show")
def show_pipeline(name: _Name, as_json: AsJson = False) -> None:
    """Show how far each stage is behind the one before it."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get(path_of("pipelines", name))
        first, *_ = found["stages"] or [""]
        lines = [f"{name}{' (strict)' if found['is_strict'] else ''}", f"  {first}"]
        lines += [
            f"  {one['channel']}: behind by {one['records']} files of {one['names']} packages" for one in found["lags"]
        ]
        out.show(found, lines)


@app.command("set")
def set_pipeline(name: _Name, stages: _Stages = None, is_strict: _Strict = None, as_json: AsJson = False) -> None:
    """Change what is given, and leave the rest."""
    body: dict[str, Any] = {"stages": stages} if stages else {}
    body |= {} if is_strict is None else {"is_strict": is_strict}
    if not body:
        raise typer.BadParameter("Say what to change.")
    with Output(as_json=as_json) as out, connected() as server:
        out.show(server.patch(path_of("pipelines", name), body), [f"Changed pipeline {name}."])


@app.command("delete")
def delete_pipeline(name: _Name, as_json: AsJson = False) -> None:
    """Delete a pipeline; its channels stay."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("pipelines", name))
        out.show({"name": name, "deleted": True}, [f"Deleted pipeline {name}."])
