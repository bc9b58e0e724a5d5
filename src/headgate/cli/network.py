"""`headgate network`: how requests to upstreams leave."""

import typer

from headgate.cli.client import connected
from headgate.cli.output import Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="How requests to upstreams leave unless a mirror says otherwise.")


@app.command("show")
def show_network(as_json: AsJson = False) -> None:
    """Show proxies, limits, CA bundles trusted everywhere, and hosts that are left alone."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get("network"))


@app.callback()
def network() -> None:
    """How requests to upstreams leave unless a mirror says otherwise."""
