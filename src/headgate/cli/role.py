"""`headgate role`: named sets of permissions."""

from typing import Annotated

import typer

from headgate.access.permissions import Permission
from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Roles: make, list, delete.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The role's name.")]

COLUMNS: Columns = {"NAME": "name", "BUILT IN": "is_built_in", "PERMISSIONS": "permissions"}


@app.command("create")
def create_role(
    name: Name,
    permissions: Annotated[list[Permission], typer.Option("--permission", help="What it allows; repeatable.")],
    as_json: AsJson = False,
) -> None:
    """Make a role out of permissions."""
    with Output(as_json=as_json) as out, connected() as server:
        out.show(server.post("roles", {"name": name, "permissions": permissions}), [f"Made role {name}."])


@app.command("list")
def list_roles(as_json: AsJson = False) -> None:
    """List roles, the built-in ones included, and what they allow."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("roles")), COLUMNS)


@app.command("delete")
def delete_role(name: Name, as_json: AsJson = False) -> None:
    """Delete a role that nobody is granted."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("roles", name))
        out.show({"name": name, "deleted": True}, [f"Deleted role {name}."])
