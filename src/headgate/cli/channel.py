"""`headgate channel`: making, looking at, changing and deleting channels."""

from typing import Annotated, Any, Literal

import typer

from headgate.cli.client import channel_path, connected
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson, Channel, Subdirs

app = typer.Typer(no_args_is_help=True, help="Channels: make, show, change, delete.")

Kind = Annotated[
    Literal["mirror", "hosted", "virtual", "bundle"], typer.Option("--kind", help="Where its packages come from.")
]
Privacy = Annotated[
    Literal["public", "authenticated", "private"] | None, typer.Option("--privacy", help="Who may read it.")
]
Members = Annotated[
    list[str] | None,
    typer.Option("--member", metavar="CHANNEL", help="Virtual: a channel to show, the most trusted first; repeatable."),
]
Description = Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What the channel is for.")]
Hiding = Annotated[
    bool | None,
    typer.Option("--hiding/--no-hiding", help="Virtual: a name in an earlier member hides it in later ones."),
]
KeepCached = Annotated[
    bool | None,
    typer.Option("--keep-cached/--no-keep-cached", help="Mirror: cached files stay listed when upstream drops them."),
]
Signing = Annotated[
    bool | None, typer.Option("--sign/--no-sign", help="Sign what is published with this server's own keys.")
]


def _sources(channel: Document) -> list[Any]:
    return [*(one["urls"][0] for one in channel["mirrors"]), *channel["members"]]


COLUMNS: Columns = {
    "NAME": "name",
    "KIND": "kind",
    "PRIVACY": "privacy",
    "REVISION": "revision",
    "SOURCES": _sources,
}


@app.command("create")
def create_channel(
    name: Channel,
    kind: Kind,
    privacy: Privacy = None,
    members: Members = None,
    upstream: Annotated[str | None, typer.Option("--upstream", metavar="URL", help="Mirror: what it follows.")] = None,
    subdirs: Subdirs = None,
    description: Description = None,
    as_json: AsJson = False,
) -> None:
    """Make a channel; private unless said otherwise."""
    if subdirs and upstream is None:
        raise typer.BadParameter("--subdir says what to follow of an --upstream; there is none.")
    body: dict[str, Any] = {"name": name, "kind": kind}
    body |= {"privacy": privacy} if privacy else {}
    body |= {"members": members} if members else {}
    body |= {"settings": {"description": description}} if description is not None else {}
    body |= {"mirrors": [{"urls": [upstream]} | ({"subdirs": subdirs} if subdirs else {})]} if upstream else {}
    with Output(as_json=as_json) as out, connected() as server:
        channel = server.post("channels", body)
        out.show(channel, [f"Made {channel['privacy']} {channel['kind']} channel {name}: {server.url}/conda/{name}"])


@app.command("list")
def list_channels(as_json: AsJson = False) -> None:
    """List the channels that you may read."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("channels")), COLUMNS)


@app.command("show")
def show_channel(name: Channel, as_json: AsJson = False) -> None:
    """Show one channel with its sources and subdirs."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get(channel_path(name)))


@app.command("set")
def set_channel(
    name: Channel,
    privacy: Privacy = None,
    description: Description = None,
    is_hiding: Hiding = None,
    is_keeping_cached: KeepCached = None,
    is_signing: Signing = None,
    members: Members = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given, and leave the rest."""
    chosen = {
        "description": description,
        "is_hiding": is_hiding,
        "is_keeping_cached": is_keeping_cached,
        "is_signing": is_signing,
    }
    settings = {key: value for key, value in chosen.items() if value is not None}
    body = {
        key: value for key, value in {"privacy": privacy, "settings": settings, "members": members}.items() if value
    }
    if not body:
        raise typer.BadParameter("Say what to change.")
    with Output(as_json=as_json) as out, connected() as server:
        out.show(server.patch(channel_path(name), body), [f"Changed channel {name}."])


@app.command("delete")
def delete_channel(
    name: Channel,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a channel with all that it lists."""
    if not is_sure:
        typer.confirm(f"Delete channel {name} with all that it lists?", abort=True, err=True)
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(channel_path(name))
        out.show({"name": name, "deleted": True}, [f"Deleted channel {name}."])
