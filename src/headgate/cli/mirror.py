"""`headgate mirror`: what channels follow, and how far they are."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.client import Server, channel_path, connected, is_absent
from headgate.cli.output import Document, Output
from headgate.cli.words import AsJson, Channel, Subdirs
from headgate.http.masking import mask_url
from headgate.kernel.errors import Conflict, NotFound

app = typer.Typer(no_args_is_help=True, help="Mirrors: what channels follow, syncs, their state.")

_POLL_S = 0.3

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the mirror in its channel.")]
MaybeName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which mirror, when the channel has several.")]
Url = Annotated[str, typer.Argument(metavar="URL", help="An http, https or file URL of a channel.")]
Fallbacks = Annotated[
    list[str] | None,
    typer.Option("--fallback", metavar="URL", help="The same channel elsewhere, for when URL fails; repeatable."),
]
Proxy = Annotated[
    str | None,
    typer.Option(
        "--proxy",
        metavar="URL",
        help='http or https proxy, credentials included; "direct": none, "": as the server says, "-": read from '
        "standard input.",
    ),
]
NoProxy = Annotated[
    list[str] | None,
    typer.Option(
        "--no-proxy", metavar="HOST", help="A host, .suffix, address or CIDR block without proxy; repeatable."
    ),
]
Ca = Annotated[
    list[str] | None,
    typer.Option("--ca", metavar="NAME", help='A CA bundle to trust for this mirror; repeatable; "": none.'),
]
Verify = Annotated[
    bool | None, typer.Option("--verify/--no-verify", help="Whether certificates are checked. Leave it on.")
]
BearerToken = Annotated[
    str | None,
    typer.Option("--bearer-token", metavar="T", help='Sent to the upstream; "": none, "-": read from standard input.'),
]
ClientCertificate = Annotated[
    Path | None, typer.Option("--client-certificate", metavar="FILE", exists=True, help="PEM certificate to present.")
]
ClientKey = Annotated[
    Path | None, typer.Option("--client-key", metavar="FILE", exists=True, help="Its PEM key, without a passphrase.")
]
Retries = Annotated[int | None, typer.Option("--retries", metavar="N", help="Of requests that met a passing failure.")]
Connections = Annotated[
    int | None, typer.Option("--connections", metavar="N", help="Requests open at once, per process.")
]
Bandwidth = Annotated[
    int | None, typer.Option("--bytes-per-second", metavar="N", help="Most bytes received per second, per process.")
]

ModeOption = Annotated[
    str | None,
    typer.Option("--mode", metavar="M", help="active: fetch every file; passive: when asked for; redirect: never."),
]
Newest = Annotated[
    int | None, typer.Option("--newest", metavar="N", help="Passive: so many newest versions of each package ahead.")
]
InUse = Annotated[
    bool | None, typer.Option("--in-use/--any-use", help="Passive: newest only of packages that a file is here of.")
]
Cron = Annotated[
    str | None, typer.Option("--cron", metavar="C", help='When to sync: five fields as crontab has them; "": never.')
]
Timezone = Annotated[
    str | None, typer.Option("--timezone", metavar="TZ", help="Where the hours of --cron are: Europe/Berlin.")
]
Jitter = Annotated[
    int | None, typer.Option("--jitter", metavar="S", help="Start up to S seconds later; 60 unless set.")
]

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
    network = _network(
        proxy, no_proxy, ca, is_verifying, bearer_token, client_certificate, client_key, retries, connections,
        bytes_per_second,
    )  # fmt: skip
    body: dict[str, Any] = {"urls": [url, *(fallbacks or [])]}
    body |= {"name": name} if name else {}
    body |= {"subdirs": subdirs} if subdirs else {}
    settings = _sections(network, mode, newest, is_in_use, cron, timezone, jitter_s)
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
    mode: ModeOption = None,
    newest: Newest = None,
    is_in_use: InUse = None,
    cron: Cron = None,
    timezone: Timezone = None,
    jitter_s: Jitter = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given, and leave the rest."""
    network = _network(
        proxy, no_proxy, ca, is_verifying, bearer_token, client_certificate, client_key, retries, connections,
        bytes_per_second,
    )  # fmt: skip
    body: dict[str, Any] = {"name": new_name} if new_name else {}
    body |= {"urls": urls} if urls else {}
    body |= {"subdirs": None if subdirs == ["all"] else subdirs} if subdirs else {}
    settings = _sections(network, mode, newest, is_in_use, cron, timezone, jitter_s)
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


def _network(
    proxy: str | None,
    no_proxy: list[str] | None,
    ca: list[str] | None,
    is_verifying: bool | None,
    bearer_token: str | None,
    client_certificate: Path | None,
    client_key: Path | None,
    retries: int | None,
    connections: int | None,
    bytes_per_second: int | None,
) -> dict[str, Any]:
    """The network settings that the options give, as the API takes them; an empty text is null there."""
    given = {
        "proxy": _secret(proxy),
        "no_proxy": no_proxy and [host for host in no_proxy if host],
        "ca": ca and [bundle for bundle in ca if bundle],
        "verify": is_verifying,
        "bearer_token": _secret(bearer_token),
        "client_certificate": client_certificate and client_certificate.read_text(encoding="ascii"),
        "client_key": client_key and client_key.read_text(encoding="ascii"),
        "retries": retries,
        "connections": connections,
        "bytes_per_second": bytes_per_second,
    }
    return {
        key: value or None if isinstance(value, str) else value for key, value in given.items() if value is not None
    }


def _sections(
    network: dict[str, Any],
    mode: str | None,
    newest: int | None,
    is_in_use: bool | None,
    cron: str | None,
    timezone: str | None,
    jitter_s: int | None,
) -> dict[str, Any]:
    """The settings that the options give, by section."""
    fetch = {"mode": mode, "newest": newest, "in_use": is_in_use}
    schedule = {"cron": cron, "timezone": timezone, "jitter_seconds": jitter_s}
    given = {"fetch": fetch, "schedule": schedule}
    told = {
        section: {key: value for key, value in values.items() if value is not None} for section, values in given.items()
    }
    return {section: values for section, values in {"network": network, **told}.items() if values}


def _secret(given: str | None) -> str | None:
    """What an option says, or, for `-`, a line of standard input, which no list of processes shows."""
    return sys.stdin.readline().strip() if given == "-" else given


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
