"""`headgate mirror`: what channels follow, and how far they are."""

import time
from typing import Annotated, Any

import typer

from headgate.cli.client import Server, channel_path, connected, is_absent
from headgate.cli.mirror_options import (
    Bandwidth,
    BearerToken,
    Ca,
    ClientCertificate,
    ClientKey,
    Connections,
    Cron,
    Fallbacks,
    InUse,
    Jitter,
    ModeOption,
    Newest,
    NoProxy,
    Proxy,
    Retries,
    S3AccessKey,
    S3Endpoint,
    S3PathStyle,
    S3Region,
    S3SecretKey,
    S3Unsigned,
    Timezone,
    Url,
    Verify,
    settings_of,
)
from headgate.cli.output import Document, Output
from headgate.cli.words import AsJson, Channel, Subdirs
from headgate.http.masking import mask_url
from headgate.kernel.errors import Conflict, NotFound

app = typer.Typer(no_args_is_help=True, help="Mirrors: what channels follow, syncs, their state.")

_POLL_S = 0.3

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the mirror in its channel.")]
MaybeName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which mirror, when the channel has several.")]
COLUMNS = {
    "CHANNEL": "channel",
    "MIRROR": "mirror",
    "SUBDIR": "subdir",
    "SYNCED": "synced_at",
    "CHECKED": "checked_at",
    "PACKAGES": "names",
    "FAILURE": "failure",
    "URL": "url",
}


@app.command("add")
def add_mirror(
    channel: Channel,
    url: Url,
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="What to call it; main unless given.")] = None,
    fallbacks: Fallbacks = None,
    subdirs: Subdirs = None,
    proxy: Proxy = None,
    no_proxy: NoProxy = None,
    ca: Ca = None,
    is_verifying: Verify = None,
    bearer_token: BearerToken = None,
    client_certificate: ClientCertificate = None,
    client_key: ClientKey = None,
    retries: Retries = None,
    connections: Connections = None,
    bytes_per_second: Bandwidth = None,
    s3_region: S3Region = None,
    s3_endpoint: S3Endpoint = None,
    has_s3_path_style: S3PathStyle = None,
    s3_access_key: S3AccessKey = None,
    s3_secret_key: S3SecretKey = None,
    is_s3_unsigned: S3Unsigned = None,
    mode: ModeOption = None,
    newest: Newest = None,
    is_in_use: InUse = None,
    cron: Cron = None,
    timezone: Timezone = None,
    jitter_s: Jitter = None,
    has_sync: Annotated[bool, typer.Option("--sync/--no-sync", help="Whether to ask for a first sync.")] = True,
    as_json: AsJson = False,
) -> None:
    """Let a channel follow another mirror, behind those it has.

    Makes a private channel of kind mirror when there is no such channel.
    """
    settings = settings_of(locals())
    body: dict[str, Any] = {"urls": [url, *(fallbacks or [])]}
    body |= {"name": name} if name else {}
    body |= {"subdirs": subdirs} if subdirs else {}
    body |= {"settings": settings} if settings else {}
    with Output(as_json=as_json) as out, connected() as server:
        lines = [f"Channel {channel} follows {mask_url(url)}."]
        if is_absent(lambda: server.get(channel_path(channel))):
            server.post("channels", {"name": channel, "kind": "mirror", "mirrors": [body]})
            lines = [f"Made private mirror {channel}, which follows {mask_url(url)}."]
            added = server.get(channel_path(channel, "mirrors"))["items"][0]
        else:
            added = server.post(channel_path(channel, "mirrors"), body)
        _warn(out, added)
        job = None
        if has_sync:
            wanted = {"mirror": added["name"]} | ({"subdirs": subdirs} if subdirs else {})
            job = server.post(channel_path(channel, "sync"), wanted)["id"]
            lines.append(f"Its first sync is job {job}.")
        out.show({"channel": channel, **added, "job": job}, lines)


@app.command("set")
def set_mirror(
    channel: Channel,
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", metavar="N", help="What to call it from now on.")] = None,
    urls: Annotated[
        list[str] | None, typer.Option("--url", metavar="URL", help="Where it is; repeatable: tried in order.")
    ] = None,
    subdirs: Subdirs = None,
    proxy: Proxy = None,
    no_proxy: NoProxy = None,
    ca: Ca = None,
    is_verifying: Verify = None,
    bearer_token: BearerToken = None,
    client_certificate: ClientCertificate = None,
    client_key: ClientKey = None,
    retries: Retries = None,
    connections: Connections = None,
    bytes_per_second: Bandwidth = None,
    s3_region: S3Region = None,
    s3_endpoint: S3Endpoint = None,
    has_s3_path_style: S3PathStyle = None,
    s3_access_key: S3AccessKey = None,
    s3_secret_key: S3SecretKey = None,
    is_s3_unsigned: S3Unsigned = None,
    mode: ModeOption = None,
    newest: Newest = None,
    is_in_use: InUse = None,
    cron: Cron = None,
    timezone: Timezone = None,
    jitter_s: Jitter = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given, and leave the rest."""
    settings = settings_of(locals())
    body: dict[str, Any] = {"name": new_name} if new_name else {}
    body |= {"urls": urls} if urls else {}
    body |= {"subdirs": None if subdirs == ["all"] else subdirs} if subdirs else {}
    body |= {"settings": settings} if settings else {}
    if not body:
        raise typer.BadParameter("Say what to change.")
    with Output(as_json=as_json) as out, connected() as server:
        changed = server.patch(channel_path(channel, "mirrors", name), body)
        _warn(out, changed)
        out.show({"channel": channel, **changed}, [f"Changed mirror {changed['name']} of {channel}."])


@app.command("show")
def show_mirror(channel: Channel, name: Name, as_json: AsJson = False) -> None:
    """Show one mirror with its settings; secrets as `•••`."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get(channel_path(channel, "mirrors", name))
        _warn(out, found)
        out.details({"channel": channel, **found})


@app.command("sync")
def sync(
    channel: Channel,
    name: MaybeName = None,
    subdirs: Subdirs = None,
    is_waiting: Annotated[bool, typer.Option("--wait", help="Return when it has ended; 1 when it failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a sync now: of one mirror, or of all that the channel has."""
    body: dict[str, Any] = {"subdirs": subdirs} if subdirs else {}
    body |= {"mirror": name} if name else {}
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post(channel_path(channel, "sync"), body)
        if not is_waiting:
            out.show(job, [f"Sync of {channel} is job {job['id']}."])
            return
        job = wait_for(server, f"jobs/{job['id']}", out)
        fetch = wait_for(server, f"jobs/{job['result']['fetch']}", out) if (job["result"] or {}).get("fetch") else None
        if job["state"] == "done" or as_json:
            shown = job if fetch is None else {**job, "fetch": fetch}
            out.show(shown, [f"Synced {channel}.", *_outcomes(job), *_fetched(fetch)])
        insist_done(job, out)
        if fetch is not None:
            insist_done(fetch, out)


@app.command("test")
def try_mirror(channel: Channel, name: Name, as_json: AsJson = False) -> None:
    """Try the way to a mirror step by step; 1 when none of its URLs works."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.post(channel_path(channel, "mirrors", name, "test"))
        _warn(out, found)
        lines = []
        for trial in found["trials"]:
            lines += [trial["url"], *(f"  {one['step']:12}{one['state']:9}{one['sentence']}" for one in trial["steps"])]
            lines.append(trial["sentence"])
        out.show(found, lines)
        if not found["is_good"]:
            raise typer.Exit(1)


@app.command("status")
def show_status(
    channel: Annotated[str | None, typer.Argument(metavar="[CHANNEL]", help="One channel; without it, all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show, for each mirror and subdir, the last sync and the last failure."""
    with Output(as_json=as_json) as out, connected() as server:
        rows = []
        for name in _channels(server, channel):
            for mirror in server.get(channel_path(name, "mirror"))["mirrors"]:
                _warn(out, mirror, f"{name} {mirror['name']}: ")
                rows += _status(name, mirror)
        out.table(rows, COLUMNS)


@app.command("remove")
def remove_mirror(channel: Channel, name: MaybeName = None, as_json: AsJson = False) -> None:
    """Stop following a mirror; what only it has leaves the index."""
    with Output(as_json=as_json) as out, connected() as server:
        chosen = name or _only(server, channel)
        server.delete(channel_path(channel, "mirrors", chosen))
        removed = {"channel": channel, "name": chosen, "removed": True}
        out.show(removed, [f"{channel} no longer follows its mirror {chosen}."])


def wait_for(server: Server, path: str, out: Output) -> Any:
    """The job at a path when it has ended; a progress bar until then."""
    with out.progress() as progress:
        task = progress.add_task("waiting", total=None)
        while True:
            job = server.get(path)
            if job["ended_at"] is not None or job["state"] in {"done", "failed", "paused", "stopped"}:
                return job
            shown = job["progress"] or {}
            progress.update(
                task,
                description=shown.get("step") or job["state"],
                completed=shown.get("done_items", 0),
                total=shown.get("total_items") or None,
            )
            time.sleep(_POLL_S)


def _warn(out: Output, mirror: Document, where: str = "") -> None:
    for warning in mirror["warnings"]:
        out.note(f"Warning: {where}{warning}")


def insist_done(job: Document, out: Output) -> None:
    """End the command with 1 unless the job did what it was asked for."""
    if job["state"] != "done":
        out.note(job["failure"] or f"Job {job['id']} is {job['state']}.")
        raise typer.Exit(1)


def _fetched(job: Document | None) -> list[str]:
    result = (job or {}).get("result")
    return [f"  {result['fetched']} files fetched, {result['bytes']} bytes"] if result else []


def _outcomes(job: Document) -> list[str]:
    found = (job["result"] or {}).get("subdirs", [])
    return [f"  {one['subdir']}: {one['state']}, {one['changed']} names changed" for one in found]


def _channels(server: Server, channel: str | None) -> list[str]:
    if channel is not None:
        return [channel]
    return [one["name"] for one in server.items("channels") if one["kind"] == "mirror"]


def _only(server: Server, channel: str) -> str:
    names = [one["name"] for one in server.items(channel_path(channel, "mirrors"))]
    if not names:
        raise NotFound("mirror-unknown", f"Channel {channel} has no mirrors.")
    if len(names) > 1:
        raise Conflict(
            "mirror-ambiguous", f"Channel {channel} has {len(names)} mirrors: {', '.join(names)}. Say which."
        )
    name: str = names[0]
    return name


def _status(channel: str, mirror: Document) -> list[dict[str, Any]]:
    shown = {"channel": channel, "mirror": mirror["name"], "url": mirror["urls"][0]}
    return [{**shown, "subdir": row.get("name"), **row} for row in mirror["status"] or [{}]]
