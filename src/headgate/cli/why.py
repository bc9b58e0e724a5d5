"""`headgate why`: the gate's verdict on a file, or on what a spec matches."""

from typing import Annotated

import typer

from headgate.cli.client import channel_path, connected
from headgate.cli.output import Output
from headgate.cli.words import AsJson, Channel

_ENDINGS = (".conda", ".tar.bz2", ".whl")


def why(
    channel: Channel,
    what: Annotated[
        str, typer.Argument(metavar="FILE-OR-SPEC", help="demo-1.0-0.conda, or a spec such as 'demo >=2'.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say why a file, or what a spec matches, may pass, or may not."""
    question = {"file": what} if what.endswith(_ENDINGS) else {"spec": what}
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get(channel_path(channel, "why"), **question)["items"]
        lines = []
        for one in found:
            lines.append(f"{one['channel']}/{one['subdir']}/{one['filename']}: {one['outcome']}")
            lines += [
                f"  {reason['policy']}, {reason['rule']}: {reason['fact']} {reason['remedy']}".rstrip()
                for reason in one["reasons"]
            ]
            if one["ends_at"] and one["is_passing"]:
                lines.append(f"  Approved until {one['ends_at']}.")
        out.show(found, lines or [f"{channel} has nothing like {what}."])
