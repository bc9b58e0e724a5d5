"""`headgate signing`: the keys that sign what channels publish."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from headgate.cli.client import Server, connected
from headgate.cli.output import Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Signing what channels publish: keys, roots.")

Days = Annotated[
    int | None, typer.Option("--days", metavar="N", help="How long the new metadata hold; 1825 unless set.")
]
RootKey = Annotated[
    Path | None,
    typer.Option(
        "--root-key", metavar="K", help="Keep the root's private key in this file of yours, not on the server."
    ),
]


@app.command("init")
def init_signing(root_key: RootKey = None, days: Days = None, as_json: AsJson = False) -> None:
    """Make the keys: a root, a key manager, and one that signs records.

    Private keys are sealed in the server's database. With --root-key the root's is written to a new file that only you can
    read, and never leaves this machine.
    """
    from headgate.airgap.keys import generate_key

    body: dict[str, Any] = {"days": days} if days else {}
    with Output(as_json=as_json) as out, connected() as server:
        if root_key is not None:
            body["root_key"] = generate_key(root_key)
        signing = server.post("signing", body)
        if root_key is not None:
            signing = _return_root(server, signing, [root_key])
        lines = ["This server can sign. Turn it on per channel: headgate channel set CHANNEL --sign"]
        out.show(signing, lines + _lines(signing))


@app.command("show")
def show_signing(as_json: AsJson = False) -> None:
    """Show the keys that count and how long their metadata hold."""
    with Output(as_json=as_json) as out, connected() as server:
        signing = server.get("signing")
        out.show(signing, _lines(signing) or ["There are no signing keys yet."])


@app.command("rotate")
def rotate_signing(
    role: Annotated[
        Literal["root", "key_mgr", "pkg_mgr"],
        typer.Argument(metavar="ROLE", help="root, key_mgr, or pkg_mgr: the key that signs records."),
    ],
    root_key: Annotated[
        Path | None, typer.Option("--root-key", metavar="K", exists=True, help="Where the root's private key is kept.")
    ] = None,
    new_root_key: Annotated[
        Path | None,
        typer.Option("--new-root-key", metavar="K", help="Of a new root: keep its private key in this file."),
    ] = None,
    days: Days = None,
    as_json: AsJson = False,
) -> None:
    """Replace a key. The old private key is destroyed on the server; a new one for records signs everything anew."""
    from headgate.airgap.keys import generate_key

    if new_root_key is not None and role != "root":
        raise typer.BadParameter("--new-root-key goes with root alone.")
    body: dict[str, Any] = {"role": role} | ({"days": days} if days else {})
    with Output(as_json=as_json) as out, connected() as server:
        if new_root_key is not None:
            body["root_key"] = generate_key(new_root_key)
        signing = server.post("signing/rotate", body)
        files = [file for file in (root_key, new_root_key) if file is not None]
        if signing["pending_root"] is not None and files:
            signing = _return_root(server, signing, files)
        is_waiting = signing["pending_root"] is not None
        line = "The new root waits to be signed: again, with --root-key." if is_waiting else f"Replaced {role}."
        out.show(signing, [line, *_lines(signing)])


@app.command("export")
def export_root(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the root.json.")],
    as_json: AsJson = False,
) -> None:
    """Write the root that clients begin with."""
    with Output(as_json=as_json) as out, connected() as server:
        root = server.get("signing/root")
        file.write_text(json.dumps(root, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        version = root["signed"]["version"]
        out.show({"file": str(file), "version": version}, [f"{file} is version {version} of the root."])


def _return_root(server: Server, signing: Document, keys: list[Path]) -> Any:
    """Sign the pending root with these keys, and give it back."""
    from headgate.airgap.keys import load_private_key
    from headgate.conda.content_trust import public_of, sign

    pending = signing["pending_root"]
    for file in keys:
        key = load_private_key(file)
        pending["signatures"][public_of(key)] = sign(key, pending["signed"])
    return server.replace("signing/root", {"root": pending})


def _lines(signing: Document) -> list[str]:
    lines = [f"{one['role']}: {one['public']}{'' if one['is_held'] else ', kept elsewhere'}" for one in signing["keys"]]
    for noun, key in (("root", "root"), ("key manager", "key_manager")):
        if signing[key] is not None:
            lines.append(f"{noun} version {signing[key]['version']}, until {signing[key]['expires_at'][:10]}")
    return lines
