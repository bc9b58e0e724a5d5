"""`headgate advisory curate`: what we say of advisories ourselves."""

from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Curations: say how advisories stand with our packages.")

Advisory = Annotated[str | None, typer.Option("--advisory", metavar="ID", help="Of this advisory, by any of its ids.")]
Package = Annotated[str | None, typer.Option("--name", metavar="N", help="Of this conda package.")]
COLUMNS: Columns = {
    "ID": "id",
    "ADVISORY": "advisory",
    "STATUS": "status",
    "NAME": "name",
    "VERSION": "version",
    "BUILD": "build",
    "AUTHOR": "author",
    "FEED": "feed",
    "EXPIRES": "expires_at",
    "NOTE": "note",
}


@app.command("set")
def set_curation(
    status: Annotated[
        str, typer.Option("--status", metavar="S", help="reported, active, mitigated, cleared, disputed or unknown.")
    ],
    advisory: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="An advisory; without it, those that the options choose.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="Only for this conda package.")] = None,
    version: Annotated[str | None, typer.Option("--version", metavar="V", help="Only for these versions.")] = None,
    build: Annotated[str | None, typer.Option("--build", metavar="B", help="Only for these builds.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="H", help="Only for this file.")] = None,
    justification: Annotated[
        str | None, typer.Option("--justification", metavar="J", help="One of VEX's five.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="T", help="Why.")] = None,
    score: Annotated[
        float | None, typer.Option("--score", metavar="X", help="Counts instead of the CVSS score.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="Such as 2027-06-30T00:00:00Z.")
    ] = None,
    severity: Annotated[
        list[str] | None, typer.Option("--all-severity", metavar="S", help="All of this severity.")
    ] = None,
    most_cvss: Annotated[
        float | None, typer.Option("--all-most-cvss", metavar="X", help="All up to this score.")
    ] = None,
    affecting: Annotated[
        str | None, typer.Option("--all-affecting", metavar="N", help="All that affect this package.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how an advisory, or all that the --all options choose, stands with records."""
    chosen = {"severities": severity, "most_cvss": most_cvss, "name": affecting}
    body: dict[str, Any] = {
        "advisory": advisory,
        "chosen": None if advisory else {key: value for key, value in chosen.items() if value},
        "status": status,
        "name": name,
        "version": version,
        "build": build,
        "sha256": sha256,
        "justification": justification,
        "note": note,
        "score": score,
        "expires_at": expires,
    }
    with Output(as_json=as_json) as out, connected() as server:
        made = server.post("curations", {key: value for key, value in body.items() if value is not None})["items"]
        out.show(made, [f"{one['advisory']} is {one['status']} (curation {one['id']})." for one in made])


@app.command("list")
def list_curations(
    advisory: Advisory = None,
    name: Package = None,
    with_ended: Annotated[bool, typer.Option("--history", help="Those that ended too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List curations, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.items("curations", advisory=advisory, name=name, with_ended=with_ended or None)
        out.table(list(found), COLUMNS)


@app.command("end")
def end_curation(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The curation's id.")], as_json: AsJson = False
) -> None:
    """Take a curation back; it stays in the history."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("curations", str(number)))
        out.show({"id": number, "ended": True}, [f"Ended curation {number}."])


@app.command("export")
def export_curations(
    file: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", dir_okay=False, help="Instead of standard output.")
    ] = None,
    is_openvex: Annotated[bool, typer.Option("--openvex", help="As OpenVEX, instead of our own form.")] = False,
    advisory: Advisory = None,
    name: Package = None,
    as_json: AsJson = False,
) -> None:
    """Export the curations in force, as a JSON document that another server imports."""
    import json

    with Output(as_json=as_json) as out, connected() as server:
        kind = "openvex" if is_openvex else "export"
        text = json.dumps(server.get(path_of("curations", kind), advisory=advisory, name=name), indent=2)
        if file is None:
            print(text)
            return
        file.write_text(text + "\n", encoding="utf-8")
        out.show({"file": str(file)}, [f"Wrote {file}."])
