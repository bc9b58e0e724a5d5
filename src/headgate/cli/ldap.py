"""`headgate ldap`: directories whose people may sign in."""

import sys
from typing import Annotated, Any

import typer

from headgate.cli.client import Server, connected, path_of
from headgate.cli.ldap_options import (
    AskPassword,
    BaseOption,
    BindDn,
    BindPasswordFile,
    CaFile,
    Directory,
    GroupBase,
    GroupFilter,
    IdAttribute,
    Insecure,
    Map,
    MapRole,
    MemberOf,
    NameAttribute,
    Nested,
    Position,
    StartTls,
    Template,
    Urls,
    UserFilter,
    mappings_of,
    settings_of,
)
from headgate.cli.mirror import wait_for
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="LDAP directories: add, show, change, follow, try out.")

COLUMNS: Columns = {
    "NAME": "name",
    "URLS": "urls",
    "USER BASE": "user_base",
    "SYNCED": "synced_at",
    "FAILURE": "failure",
    "WARNINGS": "warnings",
}
_PATH = "ldap-directories"


@app.command("add")
def add_directory(
    name: Directory,
    urls: Urls,
    user_base: BaseOption,
    template: Template = None,
    position: Position = None,
    starttls: StartTls = None,
    insecure: Insecure = None,
    ca_file: CaFile = None,
    bind_dn: BindDn = None,
    bind_password_file: BindPasswordFile = None,
    user_filter: UserFilter = None,
    name_attribute: NameAttribute = None,
    id_attribute: IdAttribute = None,
    group_base: GroupBase = None,
    group_filter: GroupFilter = None,
    nested: Nested = None,
    member_of: MemberOf = None,
    groups: Map = None,
    roles: MapRole = None,
    as_json: AsJson = False,
) -> None:
    """Add a directory, behind those there are."""
    body = settings_of(locals()) | {"name": name, "template": template and template.value}
    with Output(as_json=as_json) as out, connected() as server:
        _show(out, server.post(_PATH, body | mappings_of(groups, roles)), f"Added LDAP directory {name}.")


@app.command("set")
def set_directory(
    name: Directory,
    urls: Urls = None,
    user_base: BaseOption = None,
    position: Position = None,
    starttls: StartTls = None,
    insecure: Insecure = None,
    ca_file: CaFile = None,
    bind_dn: BindDn = None,
    bind_password_file: BindPasswordFile = None,
    user_filter: UserFilter = None,
    name_attribute: NameAttribute = None,
    id_attribute: IdAttribute = None,
    group_base: GroupBase = None,
    group_filter: GroupFilter = None,
    nested: Nested = None,
    member_of: MemberOf = None,
    groups: Map = None,
    roles: MapRole = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; --group and --role together replace every mapping."""
    body = settings_of(locals()) | mappings_of(groups, roles)
    with Output(as_json=as_json) as out, connected() as server:
        _show(out, server.patch(path_of(_PATH, name), body), f"Changed LDAP directory {name}.")


@app.command("list")
def list_directories(as_json: AsJson = False) -> None:
    """List the directories, in the order in which they are asked."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items(_PATH)), COLUMNS)


@app.command("show")
def show_directory(name: Directory, as_json: AsJson = False) -> None:
    """Show one directory, and how its last sync went."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get(path_of(_PATH, name))
        _warn(out, found)
        out.details(found)


@app.command("remove")
def remove_directory(name: Directory, as_json: AsJson = False) -> None:
    """Remove a directory; its people are disabled, as nobody vouches for them any more."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of(_PATH, name))
        out.show({"name": name, "deleted": True}, [f"Removed LDAP directory {name}. Its people are disabled."])


@app.command("sync")
def sync(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One directory; without it, all.")] = None,
    is_forced: Annotated[bool, typer.Option("--force", help="Disable leavers though they are more than half.")] = False,
    is_waiting: Annotated[bool, typer.Option("--wait", help="Return when it has ended; 1 when it failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring memberships up to date and disable who left, now."""
    with Output(as_json=as_json) as out, connected() as server:
        names = [one["name"] for one in server.items(_PATH)] if name is None else [name]
        jobs = [server.post(path_of(_PATH, one, "sync"), {"force": is_forced}) for one in names]
        if is_waiting:
            jobs = [wait_for(server, f"jobs/{job['id']}", out) for job in jobs]
        out.show(jobs, [_synced(one, job) for one, job in zip(names, jobs, strict=True)])
        failures = [job for job in jobs if job["state"] in {"failed", "stopped"}]
        for job in failures:
            out.note(job["failure"] or f"Job {job['id']} is {job['state']}.")
        if failures:
            raise typer.Exit(1)


@app.command("test")
def try_out(
    user: Annotated[str, typer.Argument(metavar="USER", help="The name that somebody signs in with.")],
    directory: Annotated[
        str | None, typer.Option("--directory", metavar="NAME", help="One directory; without it, all in their order.")
    ] = None,
    is_asking: AskPassword = False,
    as_json: AsJson = False,
) -> None:
    """Look a person up, and tell each step; 1 when no directory has them, or one fails."""
    password = _read_password(user) if is_asking else None
    with Output(as_json=as_json) as out, connected() as server:
        names = [one["name"] for one in server.items(_PATH)] if directory is None else [directory]
        if not names:
            out.note("There is no LDAP directory yet: headgate ldap add NAME --url ldaps://… --user-base …")
            raise typer.Exit(1)
        tests = _try_each(server, names, {"login": user, "password": password})
        out.show(tests, [line for test in tests for line in _narrated(test)])
        if not tests[-1]["is_ok"]:
            raise typer.Exit(1)


def _try_each(server: Server, names: list[str], body: dict[str, Any]) -> list[Any]:
    """In order, until one has the person or cannot tell, as a sign-in does; so no other is shown the password."""
    tests = []
    for name in names:
        tests.append(server.post(path_of(_PATH, name, "test"), body))
        if tests[-1]["steps"][-1]["facts"].get("found") != 0:
            break
    return tests


def _narrated(test: Document) -> list[str]:
    lines = [f"Directory {test['directory']}", *(f"  WARNING: {one}" for one in test["warnings"])]
    for step in test["steps"]:
        lines.append(f"  {'ok' if step['is_ok'] else 'FAILED':7} {step['name']:9} {step['text']}")
        if step["advice"]:
            lines.append(f"  {'':17} {step['advice']}")
    return lines


def _synced(name: str, job: Document) -> str:
    if job["state"] != "done":
        return f"Sync of {name} is job {job['id']}, {job['state']}."
    found = job["result"]
    left = ", ".join(found["disabled"]) or "nobody"
    return f"Synced {name}: {found['people']} people, {found['known']} known here, disabled {left}."


def _show(out: Output, found: Document, sentence: str) -> None:
    _warn(out, found)
    out.show(found, [sentence])


def _warn(out: Output, found: Document) -> None:
    for one in found["warnings"]:
        out.note(f"WARNING: {one}")


def _read_password(user: str) -> str:
    """Typed unseen at a terminal; else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    from getpass import getpass

    return getpass(f"Password of {user}: ")
