"""`headgate oidc`: identity providers that people sign in with."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="OIDC identity providers: add, list, show, change, test, remove.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What it is called here: lower-case letters, digits and -.")]
SecretFile = Annotated[
    Path | None,
    typer.Option("--client-secret-file", metavar="FILE", help="Holds the client secret; - for standard input."),
]
Scopes = Annotated[list[str] | None, typer.Option("--scope", metavar="S", help="To ask for; repeatable.")]
NameClaims = Annotated[
    list[str] | None, typer.Option("--name-claim", metavar="C", help="Gives the name, the first that is there.")
]
GroupClaims = Annotated[list[str] | None, typer.Option("--group-claim", metavar="C", help="Path to the groups.")]
RoleClaims = Annotated[list[str] | None, typer.Option("--role-claim", metavar="C", help="Path to the roles.")]
Groups = Annotated[list[str] | None, typer.Option("--group", metavar="THEIRS=OURS", help="A group; repeatable.")]
Roles = Annotated[list[str] | None, typer.Option("--role", metavar="THEIRS=OURS", help="A role; repeatable.")]
SameNames = Annotated[
    bool | None, typer.Option("--same-names/--no-same-names", help="Allow '*=*' for groups and roles.")
]
Welcoming = Annotated[
    bool | None, typer.Option("--welcome-strangers/--no-strangers", help="Let in who was never here before.")
]
Domains = Annotated[
    list[str] | None, typer.Option("--domain", metavar="D", help="Let in only e-mail addresses there; repeatable.")
]

COLUMNS: Columns = {"NAME": "name", "ISSUER": "issuer", "CLIENT": "client_id", "STRANGERS": "is_welcoming"}


@app.command("add")
def add_provider(
    name: Name,
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="Exactly as the provider writes it.")],
    client_id: Annotated[str, typer.Option("--client-id", metavar="ID", help="Who Headgate is to the provider.")],
    client_secret_file: SecretFile = None,
    scopes: Scopes = None,
    name_claims: NameClaims = None,
    group_claims: GroupClaims = None,
    role_claims: RoleClaims = None,
    groups: Groups = None,
    roles: Roles = None,
    same_names: SameNames = None,
    welcoming: Welcoming = None,
    domains: Domains = None,
    as_json: AsJson = False,
) -> None:
    """Add a provider, and show the URLs that it has to know."""
    body = _given(
        name=name,
        issuer=issuer,
        client_id=client_id,
        client_secret=_secret(client_secret_file),
        scopes=scopes,
        name_claims=name_claims,
        group_claims=group_claims,
        role_claims=role_claims,
        groups=_mapping(groups),
        roles=_mapping(roles),
        is_taking_same_names=same_names,
        is_welcoming=welcoming,
        domains=domains,
    )
    with Output(as_json=as_json) as out, connected() as server:
        made = server.post("oidc-providers", body)
        lines = [
            f"Added {name}. The provider has to know:",
            f"  redirect URI             {made['callback_url']}",
            f"  back-channel logout URL  {made['back_channel_logout_url']}",
        ]
        out.show(made, lines)


@app.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """List the providers."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("oidc-providers")), COLUMNS)


@app.command("show")
def show_provider(name: Name, as_json: AsJson = False) -> None:
    """Show one provider; its secret stays hidden."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get(path_of("oidc-providers", name)))


@app.command("set")
def set_provider(
    name: Name,
    issuer: Annotated[str | None, typer.Option("--issuer", metavar="URL", help="Another issuer.")] = None,
    client_id: Annotated[str | None, typer.Option("--client-id", metavar="ID", help="Another client id.")] = None,
    client_secret_file: SecretFile = None,
    scopes: Scopes = None,
    name_claims: NameClaims = None,
    group_claims: GroupClaims = None,
    role_claims: RoleClaims = None,
    groups: Groups = None,
    roles: Roles = None,
    same_names: SameNames = None,
    welcoming: Welcoming = None,
    domains: Domains = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; a list or mapping is replaced whole."""
    body = _given(
        issuer=issuer,
        client_id=client_id,
        client_secret=_secret(client_secret_file),
        scopes=scopes,
        name_claims=name_claims,
        group_claims=group_claims,
        role_claims=role_claims,
        groups=_mapping(groups),
        roles=_mapping(roles),
        is_taking_same_names=same_names,
        is_welcoming=welcoming,
        domains=domains,
    )
    if not body:
        raise typer.BadParameter("Say what to change.")
    with Output(as_json=as_json) as out, connected() as server:
        out.show(server.patch(path_of("oidc-providers", name), body), [f"Changed {name}."])


@app.command("remove")
def remove_provider(name: Name, as_json: AsJson = False) -> None:
    """Remove a provider; its people stay, but cannot sign in with it."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("oidc-providers", name))
        out.show({"name": name, "removed": True}, [f"Removed {name}."])


@app.command("test")
def ask_provider(name: Name, as_json: AsJson = False) -> None:
    """Ask a provider what it says of itself."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.post(path_of("oidc-providers", name, "test")))


def _given(**values: Any) -> Document:
    return {key: value for key, value in values.items() if value is not None}


def _secret(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}.") from error
    if not text.strip():
        raise typer.BadParameter(f"{file} is empty.")
    return text.strip()


def _mapping(pairs: list[str] | None) -> dict[str, str] | None:
    if pairs is None:
        return None
    split = [pair.rpartition("=") for pair in pairs]
    if not all(theirs and ours for theirs, _, ours in split):
        raise typer.BadParameter("Write the provider's word, =, and the name here.")
    return {theirs: ours for theirs, _, ours in split}
