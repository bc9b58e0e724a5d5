"""`headgate mirror trust`: what of a mirror's upstream is checked, and whom it has to be signed by."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from headgate.cli.client import channel_path, connected
from headgate.cli.mirror import Name
from headgate.cli.mirror_filters import app
from headgate.cli.output import Output
from headgate.cli.words import AsJson, Channel

__all__ = ["app"]

_Check = Literal["off", "report", "require"] | None


@app.command("trust")
def trust_mirror(
    channel: Channel,
    name: Name,
    content_trust: Annotated[
        _Check, typer.Option("--content-trust", help="Signatures of records: check them, or pass on nothing without.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="FILE", exists=True, help="The root.json to begin with.")
    ] = None,
    metadata_url: Annotated[
        str | None,
        typer.Option("--metadata-url", metavar="URL", help='Where key_mgr.json is; "": at the mirror\'s URL.'),
    ] = None,
    is_lenient: Annotated[
        bool | None, typer.Option("--accept-expired/--no-accept-expired", help="Metadata count beyond their end.")
    ] = None,
    attestations: Annotated[
        _Check, typer.Option("--attestations", help="Attestations of files: check them, or pass on nothing without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what of a mirror is checked; what is not given stays. It counts from the next sync on."""
    given = {
        "content_trust": content_trust,
        "root": None if root is None else root.read_text(encoding="utf-8"),
        "metadata_url": metadata_url,
        "accept_expired": is_lenient,
        "attestations": attestations,
    }
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if not chosen:
        raise typer.BadParameter("Say what to change.")
    with Output(as_json=as_json) as out, connected() as server:
        changed = server.patch(channel_path(channel, "mirrors", name), {"settings": {"signatures": chosen}})
        kept = changed["settings"].get("signatures", {})
        told = ", ".join(f"{key} {value}" for key, value in kept.items() if key != "root")
        out.show({"channel": channel, **changed}, [f"Of mirror {name} of {channel}: {told or 'as unless set'}."])
