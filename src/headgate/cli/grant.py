"""`headgate grant`: who is given which role, where."""

from collections.abc import Mapping
from typing import Annotated

import typer

from headgate.access.grants import ANONYMOUS, AUTHENTICATED, EVERYONE, PrincipalKind, Scope
from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Grants: give a role, withhold it, list, remove.")


def _whom(grant: Document) -> str:
    name: str = grant["principal"]
    return name if grant["kind"] == PrincipalKind.PSEUDO else f"{grant['kind']} {name}"


def _where(grant: Document) -> str:
    return str(Scope(grant["channel"], grant["package"]))


COLUMNS: Columns = {
    "ID": "id",
    "PRINCIPAL": _whom,
    "ROLE": "role",
    "SCOPE": _where,
    "DENY": "is_deny",
}


@app.command("add")
def add_grant(
    role: Annotated[str, typer.Option("--role", metavar="R", help="The role.")],
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="To a user.")] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="NAME", help="To all in a group.")] = None,
    service: Annotated[str | None, typer.Option("--service", metavar="NAME", help="To a service account.")] = None,
    is_to_everyone: Annotated[bool, typer.Option("--everyone", help="To everyone, signed in or not.")] = False,
    is_to_authenticated: Annotated[bool, typer.Option("--authenticated", help="To whoever signs in.")] = False,
    is_to_anonymous: Annotated[bool, typer.Option("--anonymous", help="To whoever does not sign in.")] = False,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="C", help="On this channel, or on all below team/*.")
    ] = None,
    package: Annotated[
        str | None, typer.Option("--package", metavar="PATTERN", help="Only these packages of the channel: numpy*.")
    ] = None,
    is_deny: Annotated[bool, typer.Option("--deny", help="Withhold the role instead of giving it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a role to somebody, everywhere or on a channel; or withhold it."""
    principal = _principal(
        {PrincipalKind.USER: user, PrincipalKind.GROUP: group, PrincipalKind.SERVICE: service},
        {EVERYONE: is_to_everyone, AUTHENTICATED: is_to_authenticated, ANONYMOUS: is_to_anonymous},
    )
    body = {**principal, "role": role, "channel": channel, "package": package, "is_deny": is_deny}
    with Output(as_json=as_json) as out, connected() as server:
        grant = server.post("grants", body)
        out.show(grant, [f"Grant {grant['id']}: {grant['sentence']}."])


@app.command("list")
def list_grants(as_json: AsJson = False) -> None:
    """List grants in the order they were given."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("grants")), COLUMNS)


@app.command("remove")
def remove_grant(
    number: Annotated[int, typer.Argument(metavar="ID", help="The grant's number.")], as_json: AsJson = False
) -> None:
    """Take a grant back; it counts no more at the next request."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("grants", str(number)))
        out.show({"id": number, "removed": True}, [f"Removed grant {number}."])


def _principal(names: Mapping[PrincipalKind, str | None], pseudo_groups: Mapping[str, bool]) -> dict[str, str]:
    chosen = [(kind, name) for kind, name in names.items() if name is not None]
    chosen += [(PrincipalKind.PSEUDO, name) for name, is_chosen in pseudo_groups.items() if is_chosen]
    if len(chosen) != 1:
        raise typer.BadParameter(
            "Say to whom: one of --user, --group, --service, --everyone, --authenticated and --anonymous."
        )
    kind, name = chosen[0]
    return {"kind": kind, "principal": name}
