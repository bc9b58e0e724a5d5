"""`headgate group`: groups and who is in them."""

from typing import Annotated

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Groups: make, fill, delete.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The group's name.")]
User = Annotated[str | None, typer.Option("--user", metavar="U", help="A user or a service account.")]
Group = Annotated[str | None, typer.Option("--group", metavar="G", help="A group, with all who are in it.")]

COLUMNS: Columns = {"NAME": "name", "USERS": "users", "GROUPS": "groups"}


@app.command("create")
def create_group(name: Name, as_json: AsJson = False) -> None:
    """Make an empty group."""
    with Output(as_json=as_json) as out, connected() as server:
        out.show(server.post("groups", {"name": name}), [f"Made group {name}."])


@app.command("list")
def list_groups(as_json: AsJson = False) -> None:
    """List groups and who is in them directly."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("groups")), COLUMNS)


@app.command("delete")
def delete_group(name: Name, as_json: AsJson = False) -> None:
    """Delete a group with its grants; its members stay."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("groups", name))
        out.show({"name": name, "deleted": True}, [f"Deleted group {name}."])


@app.command("add")
def add_member(name: Name, user: User = None, group: Group = None, as_json: AsJson = False) -> None:
    """Put a user or a group into a group."""
    kind, member = _member(user, group)
    with Output(as_json=as_json) as out, connected() as server:
        server.put(path_of("groups", name, "members", kind, member))
        out.show(
            {"name": name, "kind": kind, "member": member, "added": True},
            [f"{kind.capitalize()} {member} is in group {name}."],
        )


@app.command("remove")
def remove_member(name: Name, user: User = None, group: Group = None, as_json: AsJson = False) -> None:
    """Take a user or a group out of a group."""
    kind, member = _member(user, group)
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("groups", name, "members", kind, member))
        document = {"name": name, "kind": kind, "member": member, "removed": True}
        out.show(document, [f"{kind.capitalize()} {member} is no longer in group {name}."])


def _member(user: str | None, group: str | None) -> tuple[str, str]:
    named = [(kind, name) for kind, name in (("user", user), ("group", group)) if name is not None]
    if len(named) != 1:
        raise typer.BadParameter("Give one of --user and --group.")
    return named[0]
