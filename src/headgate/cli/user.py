"""`headgate user`: users and service accounts."""

from typing import Annotated, Any

import typer

from headgate.access.grants import PrincipalKind
from headgate.cli.client import connected, connected_as, path_of
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Users and service accounts: make, show, disable, delete.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
Password = Annotated[str | None, typer.Option("--password", metavar="P", help="Made up and shown once unless given.")]
MustChange = Annotated[
    bool | None,
    typer.Option(
        "--must-change/--no-must-change",
        help="Whether it opens nothing until they change it; unless given, so for one that is made up.",
    ),
]

COLUMNS: Columns = {
    "NAME": "name",
    "KIND": "kind",
    "ADMINISTRATOR": "is_administrator",
    "DISABLED": "is_disabled",
    "GROUPS": "groups",
}


@app.command("create")
def create_user(
    name: Name,
    password: Password = None,
    must_change: MustChange = None,
    groups: Annotated[
        list[str] | None, typer.Option("--group", metavar="G", help="A group to be in; repeatable.")
    ] = None,
    is_service: Annotated[
        bool, typer.Option("--service", help="A service account: it has tokens and no password.")
    ] = False,
    is_administrator: Annotated[bool, typer.Option("--administrator", help="May do everything.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a user, with a password that is shown this once unless you give one."""
    if is_service and password is not None:
        raise typer.BadParameter("A service account has no password; make a token for it.")
    made_up = None if is_service else _made_up(password)
    body = {
        "name": name,
        "kind": PrincipalKind.SERVICE if is_service else PrincipalKind.USER,
        "is_administrator": is_administrator,
        "groups": groups or [],
    }
    with Output(as_json=as_json) as out, connected() as server:
        user = server.post("users", body | _password_body(password, made_up, must_change=must_change))
        _show(out, user, f"Made {'service account' if is_service else 'user'} {name}.", made_up)


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List users and service accounts."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("users")), COLUMNS)


@app.command("show")
def show_user(name: Name, as_json: AsJson = False) -> None:
    """Show one user."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get(path_of("users", name)))


@app.command("disable")
def disable_user(name: Name, as_json: AsJson = False) -> None:
    """Let a user in no longer; tokens, groups and grants are kept."""
    _change(name, {"is_disabled": True}, f"Disabled {name}.", as_json=as_json)


@app.command("enable")
def enable_user(name: Name, as_json: AsJson = False) -> None:
    """Let a disabled user in again."""
    _change(name, {"is_disabled": False}, f"Enabled {name}.", as_json=as_json)


@app.command("set-password")
def set_password(
    name: Name, password: Password = None, must_change: MustChange = None, as_json: AsJson = False
) -> None:
    """Give a user a new password, shown this once unless you give one."""
    made_up = _made_up(password)
    body = _password_body(password, made_up, must_change=must_change)
    _change(name, body, f"Changed the password of {name}.", made_up, as_json=as_json)


@app.command("change-password")
def change_password(
    name: Name,
    passwords: Annotated[
        typer.FileText | None,
        typer.Option("--from", metavar="FILE", help="Read the old and the new password from the lines of this file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change your own password, knowing the old one. Asks for both unless they come from a file (- for standard input)."""
    if passwords is not None:
        old, new, *_ = [*passwords.read().splitlines(), "", ""]
    else:
        old = typer.prompt("Old password", hide_input=True, err=True)
        new = typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    with Output(as_json=as_json) as out, connected_as(name, old) as server:
        server.post("me/password", {"old_password": old, "new_password": new})
        out.show({"name": name, "changed": True}, [f"Changed the password of {name}."])


@app.command("delete")
def delete_user(name: Name, as_json: AsJson = False) -> None:
    """Delete a user with their tokens and grants."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("users", name))
        out.show({"name": name, "deleted": True}, [f"Deleted {name}."])


def _change(name: str, body: dict[str, Any], sentence: str, made_up: str | None = None, *, as_json: bool) -> None:
    with Output(as_json=as_json) as out, connected() as server:
        _show(out, server.patch(path_of("users", name), body), sentence, made_up)


def _show(out: Output, user: Document, sentence: str, made_up: str | None) -> None:
    if made_up is None:
        out.show(user, [sentence])
        return
    out.note(f"{sentence} The password is shown this once:")
    out.show({**user, "password": made_up}, [made_up])


def _made_up(password: str | None) -> str | None:
    from headgate.access.secrets import generate_password

    return generate_password() if password is None else None


def _password_body(password: str | None, made_up: str | None, *, must_change: bool | None) -> dict[str, Any]:
    """A password that was shown has to be changed; one that a script gave is for the script to use."""
    if password is None and made_up is None:
        return {}
    is_asked = password is None if must_change is None else must_change
    return {"password": password or made_up, "must_change_password": is_asked}
