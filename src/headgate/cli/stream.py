"""`headgate audit stream`: audit events are sent on as they are recorded."""

from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Send audit events on to syslog or a webhook.")


@app.command("add")
def add_stream(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="syslog+tls://host:6514, syslog+tcp://, syslog+udp://, or an https URL."),
    ],
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", exists=True, dir_okay=False, help="PEM to trust, for syslog+tls."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--from-start", help="Begin with the first event, not with the next one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send every audit event on. A webhook's secret is made, and shown this once."""
    body = {"name": name, "url": url, "ca": None if ca is None else ca.read_text(), "is_whole": whole}
    with Output(as_json=as_json) as out, connected() as server:
        made = server.post("audit/streams", body)
        secret = [f"Its POSTs are signed with {made['secret']}, which is not shown again."] if made["secret"] else []
        out.show(made, [f"Stream {name} begins behind event {made['sent_number']}.", *secret])


@app.command("list")
def list_streams(as_json: AsJson = False) -> None:
    """List the streams, and how far each has come."""
    with Output(as_json=as_json) as out, connected() as server:
        columns = {"NAME": "name", "URL": "url", "SENT": "sent_number", "BEHIND": "behind", "FAILURE": "failure"}
        out.table(server.get("audit/streams"), columns)


@app.command("remove")
def remove_stream(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The stream's name.")], as_json: AsJson = False
) -> None:
    """Send nothing there any more."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("audit", "streams", name))
        out.show({"name": name, "removed": True}, [f"Removed stream {name}."])
