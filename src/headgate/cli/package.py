"""`headgate package`: what is said of the packages of a channel."""

from typing import Annotated

import typer

from headgate.cli.client import channel_path, connected
from headgate.cli.output import Columns, Output
from headgate.cli.words import AsJson, Channel

app = typer.Typer(no_args_is_help=True, help="Packages: deprecate, note, own.")

COLUMNS: Columns = {
    "PACKAGE": "package",
    "DEPRECATED": lambda one: [f"{each['spec']}: {each['reason']}" for each in one["deprecations"]],
    "OWNERS": lambda one: [f"{each['kind']} {each['principal']}" for each in one["owners"]],
    "NOTE": "note",
}

_Spec = Annotated[str, typer.Argument(metavar="SPEC", help="A package, or versions of it: 'demo <2'.")]
_Package = Annotated[str, typer.Argument(metavar="PACKAGE", help="Name of a package.")]
_User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="A user.")]
_Group = Annotated[str | None, typer.Option("--group", metavar="NAME", help="A group.")]


@app.command("list")
def list_packages(channel: Channel, as_json: AsJson = False) -> None:
    """List the packages of a channel that something is said of."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items(channel_path(channel, "packages"))), COLUMNS)


@app.command("deprecate")
def deprecate_package(
    channel: Channel,
    spec: _Spec,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, and what to use instead.")],
    is_avoided: Annotated[
        bool, typer.Option("--avoid", help="Let solvers choose something else if there is any.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell users that a package, or versions of it, are not to be used any more."""
    body = {"spec": spec, "reason": reason, "is_avoided": is_avoided}
    with Output(as_json=as_json) as out, connected() as server:
        said = server.post(channel_path(channel, "packages", _name(spec), "deprecations"), body)
        out.show(said, [f"{spec} is deprecated in {channel}."])


@app.command("undeprecate")
def undeprecate_package(channel: Channel, spec: _Spec, as_json: AsJson = False) -> None:
    """Take a deprecation back; SPEC as it was deprecated."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(channel_path(channel, "packages", _name(spec), "deprecations"), spec=spec)
        out.show({"channel": channel, "spec": spec}, [f"{spec} is deprecated in {channel} no longer."])


@app.command("note")
def note_package(
    channel: Channel,
    package: _Package,
    text: Annotated[str, typer.Argument(metavar="TEXT", help='The note; "" removes it.')],
    as_json: AsJson = False,
) -> None:
    """Put a note on a package."""
    with Output(as_json=as_json) as out, connected() as server:
        said = server.replace(channel_path(channel, "packages", package, "note"), {"text": text})
        out.show(said, [f"{'Noted' if text else 'Removed the note'} on {package} of {channel}."])


@app.command("owner")
def own_package(
    channel: Channel,
    package: _Package,
    user: _User = None,
    group: _Group = None,
    may_publish: Annotated[
        bool, typer.Option("--publish", help="Grant them to upload, yank and delete the package.")
    ] = False,
    is_removed: Annotated[bool, typer.Option("--remove", help="They own it no longer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say who owns a package."""
    if (user is None) == (group is None):
        raise typer.BadParameter("Say either --user or --group.")
    kind, principal = ("user", user) if user is not None else ("group", group)
    path = channel_path(channel, "packages", package, "owners", kind, principal or "")
    with Output(as_json=as_json) as out, connected() as server:
        if is_removed:
            server.delete(path)
            out.show({"package": package, "removed": True}, [f"{kind} {principal} owns {package} no longer."])
            return
        said = server.replace(path, {"may_publish": may_publish})
        out.show(said, [f"{kind} {principal} owns {package} of {channel}."])


def _name(spec: str) -> str:
    """The package that a spec begins with."""
    for end, letter in enumerate(spec):
        if letter in " =<>!~[;":
            return spec[:end]
    return spec
