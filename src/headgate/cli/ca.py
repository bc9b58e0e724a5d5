"""`headgate ca`: certificates that are trusted besides the system's."""

import base64
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="CA bundles: certificates trusted besides the system's.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a CA bundle.")]


def _subjects(bundle: Document) -> list[str]:
    return [one["subject"] for one in bundle["certificates"]]


def _first_end(bundle: Document) -> str:
    ends: list[str] = [one["expires_at"] for one in bundle["certificates"]]
    return min(ends)


COLUMNS: Columns = {"NAME": "name", "EVERYWHERE": "is_everywhere", "EXPIRES": _first_end, "SUBJECTS": _subjects}


@app.command("add")
def add_bundle(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="PEM or DER.")],
    is_everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Every mirror trusts it, not only those that name it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Trust the certificates in a file."""
    data = file.read_bytes()
    text = data.decode("ascii", "replace") if b"-----BEGIN" in data else base64.b64encode(data).decode()
    with Output(as_json=as_json) as out, connected() as server:
        added = server.post("ca", {"name": name, "certificates": text, "is_everywhere": is_everywhere})
        lines = [f"Added {name}:"]
        lines += [f"  {one['subject']}, until {one['expires_at']}" for one in added["certificates"]]
        lines += [] if is_everywhere else [f"Give it to a mirror: headgate mirror set CHANNEL NAME --ca {name}"]
        out.show(added, lines)
        for one in added["certificates"]:
            if not one["is_authority"]:
                out.note(f"{one['subject']} is no CA; it is trusted for itself alone.")


@app.command("list")
def list_bundles(as_json: AsJson = False) -> None:
    """List CA bundles, with whose they are and when the first of their certificates ends."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("ca")), COLUMNS)


@app.command("remove")
def remove_bundle(name: Name, as_json: AsJson = False) -> None:
    """Trust a bundle no longer."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("ca", name))
        out.show({"name": name, "removed": True}, [f"Removed {name}."])
