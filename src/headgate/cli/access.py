"""`headgate access`: why somebody may do something, or may not."""

from collections.abc import Iterator
from typing import Annotated

import typer

from headgate.access.permissions import Permission
from headgate.cli.client import connected
from headgate.cli.output import Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Access: explain who may do what.")


@app.command("explain")
def explain(
    user: Annotated[str, typer.Argument(metavar="USER", help="A user or a service account.")],
    permission: Annotated[Permission, typer.Argument(metavar="PERMISSION", help="For example channel:read.")],
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of a channel.")],
    package: Annotated[str | None, typer.Option("--package", metavar="P", help="Name of a package in it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a user may do something, and which grants decide; ends with 1 when not."""
    with Output(as_json=as_json) as out, connected() as server:
        answer = server.get("access/explain", user=user, permission=permission, channel=channel, package=package)
        out.show(answer, _lines(answer))
    if not answer["is_allowed"]:
        raise typer.Exit(1)


def _lines(answer: Document) -> Iterator[str]:
    yield "allowed" if answer["is_allowed"] else "denied"
    yield f"decided by  {_named(answer['decided_by'])}" if answer["decided_by"] else answer["reason"]
    for grant in answer["beaten"]:
        yield f"beaten      {_named(grant)}"


def _named(grant: Document) -> str:
    """A channel's privacy speaks as a grant that has no number."""
    name = f"grant {grant['id']}" if grant["id"] else "the channel's privacy"
    return f"{name}: {grant['sentence']}"
