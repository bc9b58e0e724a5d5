"""`headgate session`: browsers that are signed in."""

from typing import Annotated

import typer

from headgate.cli.client import Server, connected, path_of
from headgate.cli.output import Columns, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Sessions of browsers: list, revoke.")

User = Annotated[str | None, typer.Option("--user", metavar="U", help="Whose; you unless given.")]

COLUMNS: Columns = {
    "ID": "id",
    "HOW": "method",
    "BEGAN": "created_at",
    "USED": "used_at",
    "ENDS": "expires_at",
    "ADDRESS": "address",
    "BROWSER": "agent",
}


@app.command("list")
def list_sessions(user: User = None, as_json: AsJson = False) -> None:
    """List the browsers in which somebody is signed in."""
    with Output(as_json=as_json) as out, connected() as server:
        path = "me/sessions" if user is None else path_of("users", user, "sessions")
        out.table(list(server.items(path)), COLUMNS)


@app.command("revoke")
def revoke_session(
    number: Annotated[int | None, typer.Argument(metavar="ID", help="Which one, as listed.")] = None,
    user: User = None,
    is_all: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a session at once."""
    if (number is None) != is_all:
        raise typer.BadParameter("Give the id of a session, or --all.")
    with Output(as_json=as_json) as out, connected() as server:
        whose = user or _own_name(server)
        rest = [] if number is None else [str(number)]
        server.delete(path_of("users", whose, "sessions", *rest))
        which = "all sessions" if number is None else f"session {number}"
        out.show({"user": whose, "id": number, "revoked": True}, [f"Ended {which} of {whose}."])


def _own_name(server: Server) -> str:
    name: str = server.get("me")["name"]
    return name
