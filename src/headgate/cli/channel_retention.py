"""`headgate channel`, continued: what the next clean-up would remove."""

from typing import Annotated

import typer

from headgate.cli.channel_life import app
from headgate.cli.client import channel_path, connected
from headgate.cli.output import Output
from headgate.cli.words import AsJson

__all__ = ["app"]


@app.command("retention")
def foresee_retention(
    name: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="Of this channel; all unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what the next clean-up would remove, by the settings as they are; removes nothing."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get("retention" if name is None else channel_path(name, "retention"))
        hours, days = found["blob_age_hours"], found["shard_age_days"]
        lines = [
            f"{found['files']} files, {found['file_bytes']} bytes, that no channel lists, and that came more than {hours:g} hours ago.",
            f"{found['shards']} shards, {found['shard_bytes']} bytes, that no index of the last {days:g} days names.",
            f"{found['entries']} entries of history that were superseded more than {days:g} days ago.",
        ]
        lines += [f"  {one['subdir']}/{one['filename']}  {one['size_bytes']} bytes" for one in found["listed"]]
        out.show(found, lines)
