"""`headgate exemption`: what may pass in spite of a rule."""

from typing import Annotated

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Output
from headgate.cli.words import AsJson, moment_of

app = typer.Typer(no_args_is_help=True, help="Exemptions: add, list, revoke.")

COLUMNS: Columns = {
    "ID": "id",
    "KIND": "kind",
    "TARGET": "target",
    "CHANNEL": "channel",
    "OWNER": "owner",
    "EXPIRES": "expires_at",
    "REASON": "reason",
}


@app.command("add")
def add_exemption(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; people will read it.")],
    spec: Annotated[str | None, typer.Option("--spec", metavar="SPEC", help="What matches this spec.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX", help="The file of this digest.")] = None,
    advisory: Annotated[
        str | None, typer.Option("--advisory", metavar="ID", help="This advisory; with --spec only for those packages.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="C", help="Only in this channel, or below team/*.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Who answers for it.")] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="WHEN", help="Its end: 2027-01-31, or 30d from now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let something pass in spite of a rule, at once."""
    if advisory is None and (spec is None) == (sha256 is None):
        raise typer.BadParameter("Say what: one of --spec, --sha256 and --advisory.")
    if advisory is not None and sha256 is not None:
        raise typer.BadParameter("--advisory goes with --spec, or alone.")
    kind, target = ("advisory", advisory) if advisory else ("sha256", sha256) if sha256 else ("spec", spec)
    body = {
        "kind": kind,
        "target": target,
        "spec": spec if advisory else None,
        "reason": reason,
        "channel": channel,
        "owner": owner,
        "expires_at": None if expires is None else moment_of(expires),
    }
    with Output(as_json=as_json) as out, connected() as server:
        made = server.post("exemptions", body)
        out.show(made, [f"Exemption {made['id']}: {made['kind']} {made['target']}."])


@app.command("list")
def list_exemptions(as_json: AsJson = False) -> None:
    """List exemptions that were not revoked."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("exemptions")), COLUMNS)


@app.command("revoke")
def revoke_exemption(
    number: Annotated[int, typer.Argument(metavar="ID", help="The exemption's number.")], as_json: AsJson = False
) -> None:
    """End an exemption at once."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("exemptions", str(number)))
        out.show({"id": number, "revoked": True}, [f"Revoked exemption {number}."])
