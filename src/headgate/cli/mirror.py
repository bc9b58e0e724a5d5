"""`headgate mirror`: what mirror channels follow, and how far they are."""

import time
from typing import Annotated, Any

import typer

from headgate.cli.channel import upstream_body
from headgate.cli.client import Server, channel_path, connected, is_absent
from headgate.cli.output import Document, Output
from headgate.cli.words import AsJson, Channel, Subdirs
from headgate.http.masking import mask_url

app = typer.Typer(no_args_is_help=True, help="Mirrors: upstreams, syncs, their state.")

_POLL_S = 0.3

COLUMNS = {
    "CHANNEL": "channel",
    "SUBDIR": "subdir",
    "SYNCED": "synced_at",
    "CHECKED": "checked_at",
    "PACKAGES": "names",
    "FAILURE": "failure",
    "UPSTREAM": "url",
}


@app.command("add")
def add_upstream(
    channel: Channel,
    url: Annotated[str, typer.Argument(metavar="URL", help="An http, https or file URL of a channel.")],
    subdirs: Subdirs = None,
    as_json: AsJson = False,
) -> None:
    """Give a mirror an upstream, behind those it has.

    Makes a private mirror when there is no such channel.
    """
    upstream = upstream_body(url, subdirs)
    with Output(as_json=as_json) as out, connected() as server:
        if is_absent(lambda: server.get(channel_path(channel))):
            made = server.post("channels", {"name": channel, "kind": "mirror", "upstreams": [upstream]})
            out.show(made, [f"Made private mirror {channel}, which follows {mask_url(url)}."])
            return
        added = server.post(channel_path(channel, "upstreams"), upstream)
        out.show(added, [f"Channel {channel} follows {mask_url(url)}."])


@app.command("sync")
def sync(
    channel: Channel,
    subdirs: Subdirs = None,
    is_waiting: Annotated[bool, typer.Option("--wait", help="Return when it has ended; 1 when it failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a sync now."""
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post(channel_path(channel, "sync"), {"subdirs": subdirs} if subdirs else {})
        if not is_waiting:
            out.show(job, [f"Sync of {channel} is job {job['id']}."])
            return
        job = wait_for(server, job["id"], out)
        if job["state"] == "done" or as_json:
            out.show(job, [f"Synced {channel}.", *_outcomes(job)])
        if job["state"] != "done":
            out.note(job["failure"] or f"Job {job['id']} is {job['state']}.")
            raise typer.Exit(1)


@app.command("status")
def show_status(
    channel: Annotated[str | None, typer.Argument(metavar="[CHANNEL]", help="One mirror; without it, all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show, for each upstream and subdir, the last sync and the last failure."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table([row for name in _mirrors(server, channel) for row in _status(server, name)], COLUMNS)


@app.command("remove")
def remove_upstream(
    channel: Channel,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Which one, when the mirror has several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Stop following an upstream; what only it has leaves the index."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(channel_path(channel, "upstreams"), url=url)
        shown = mask_url(url) if url else "its upstream"
        out.show({"channel": channel, "url": url and mask_url(url), "removed": True}, [f"{channel} left {shown}."])


def wait_for(server: Server, job_id: str, out: Output, *, place: str = "jobs") -> Any:
    """The job when it has ended; a progress bar until then."""
    with out.progress() as progress:
        task = progress.add_task("waiting", total=None)
        while True:
            job = server.get(f"{place}/{job_id}")
            if job["ended_at"] is not None or job["state"] in {"done", "failed", "stopped"}:
                return job
            shown = job["progress"] or {}
            progress.update(
                task,
                description=shown.get("step") or job["state"],
                completed=shown.get("done_items", 0),
                total=shown.get("total_items") or None,
            )
            time.sleep(_POLL_S)


def _outcomes(job: Document) -> list[str]:
    found = (job["result"] or {}).get("subdirs", [])
    return [f"  {one['subdir']}: {one['state']}, {one['changed']} names changed" for one in found]


def _mirrors(server: Server, channel: str | None) -> list[str]:
    if channel is not None:
        return [channel]
    return [one["name"] for one in server.items("channels") if one["kind"] == "mirror"]


def _status(server: Server, channel: str) -> list[dict[str, Any]]:
    found = server.get(channel_path(channel, "mirror"))["upstreams"]
    return [
        {"channel": channel, "url": one["url"], "subdir": row.get("name"), **row}
        for one in found
        for row in one["status"] or [{}]
    ]
