"""`headgate bundle trust`: the keys whose bundles a server takes."""

from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Trusted keys: add, list, remove.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the key is called here.")]

COLUMNS = {"NAME": "name", "KEY": "key", "SINCE": "created_at", "BY": "created_by"}


@app.command("add")
def add_key(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="K.pub", help="The public key.")],
    as_json: AsJson = False,
) -> None:
    """Trust a key: its bundles are taken from the drop folder, and by imports without --trust."""
    from headgate.airgap.keys import load_public_key

    with Output(as_json=as_json) as out, connected() as server:
        key = server.post("bundles/keys", {"name": name, "key": load_public_key(file)})
        out.show(key, [f"Bundles signed by {name} ({key['key']}) are taken."])


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the trusted keys."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("bundles/keys")), COLUMNS)


@app.command("remove")
def remove_key(name: Name, as_json: AsJson = False) -> None:
    """Trust a key no longer; what came with it stays."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("bundles", "keys", name))
        out.show({"name": name, "removed": True}, [f"Bundles signed by {name} are no longer taken."])
