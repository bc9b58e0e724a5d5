"""`headgate view`: filters of pages, kept under a name."""

from typing import Annotated

import typer

from headgate.cli.client import connected, path_of
from headgate.cli.output import Columns, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Saved views of pages: list, save, remove.")

Page = Annotated[str, typer.Argument(metavar="PAGE", help="search, advisories, audit or downloads.")]
COLUMNS: Columns = {
    "ID": "id",
    "PAGE": "place",
    "NAME": "name",
    "FILTER": "query",
    "OWNER": "owner",
    "SHARED": "is_shared",
}


@app.command("list")
def list_views(
    page: Annotated[str | None, typer.Option("--page", metavar="PAGE", help="Of this page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List your saved views, and those that others share."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("views", place=page)), COLUMNS)


@app.command("save")
def save_view(
    page: Page,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it; one of that name is replaced.")],
    query: Annotated[str, typer.Argument(metavar="FILTER", help="What you would type into the page's filter.")],
    is_shared: Annotated[bool, typer.Option("--share", help="Show it to everybody who may see the page.")] = False,
    as_json: AsJson = False,
) -> None:
    """Save a filter of a page under a name."""
    with Output(as_json=as_json) as out, connected() as server:
        body = {"place": page, "name": name, "query": query, "is_shared": is_shared}
        made = server.replace("views", body)
        out.show(made, [f"Saved {made['name']} of {made['place']}: view {made['id']}."])


@app.command("remove")
def remove_view(
    number: Annotated[int, typer.Argument(metavar="ID", help="Which one, as listed.")], as_json: AsJson = False
) -> None:
    """Remove a saved view."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("views", str(number)))
        out.show({"id": number, "removed": True}, [f"Removed view {number}."])
