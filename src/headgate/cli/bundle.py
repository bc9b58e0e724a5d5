"""`headgate bundle`: channels carried to a server that no network reaches."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import bundle_trust
from headgate.cli.client import Server, channel_path, connected, pieces_of
from headgate.cli.mirror import wait_for
from headgate.cli.output import Output
from headgate.cli.words import AsJson, Channel, Subdirs

app = typer.Typer(no_args_is_help=True, help="Bundles: channels carried over an air gap.")
app.add_typer(bundle_trust.app, name="trust")

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LEAST_PART_BYTES = 1 << 10

DROPPED = {
    "AT": "at",
    "FILE": "filename",
    "KIND": "kind",
    "OUTCOME": "outcome",
    "CHANNEL": "channel",
    "SHA256": "sha256",
    "SAID": "said",
}

Folder = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", file_okay=False, help="Work on this data folder, without a server."),
]
Bundle = Annotated[Path, typer.Argument(metavar="FILE", help="The bundle; of one in parts, the name before .001.")]
Trust = Annotated[
    Path | None,
    typer.Option("--trust", metavar="K.pub", dir_okay=False, help="The public key that must have signed it."),
]


def _part_bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    size = int(found[1]) * _UNITS[found[2].upper()] if found else 0
    if size < _LEAST_PART_BYTES:
        raise typer.BadParameter("give a size of 1K or more, such as 4G.")
    return size


@app.command("keygen")
def make_key(
    out_path: Annotated[Path, typer.Option("--out", metavar="K", help="The private key; the public one is K.pub.")],
    as_json: AsJson = False,
) -> None:
    """Make a key to sign bundles with."""
    from headgate.airgap.keys import generate_key

    with Output(as_json=as_json) as out:
        public = generate_key(out_path)
        lines = [f"{out_path} signs; keep it secret. {out_path}.pub is for the other side: {public}"]
        out.show({"private": str(out_path), "public": f"{out_path}.pub", "key": public}, lines)


@app.command("export")
def export_bundle(
    channel: Channel,
    key: Annotated[Path, typer.Option("--key", metavar="K", help="The private key to sign with; it stays here.")],
    out_path: Annotated[Path, typer.Option("--out", metavar="FILE", help="The bundle to write.")],
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="FILE", help="An earlier bundle, or its manifest: only what is new."),
    ] = None,
    split: Annotated[
        int | None,
        typer.Option("--split", metavar="SIZE", parser=_part_bytes, help="Write parts FILE.001, … of 4G, say."),
    ] = None,
    subdirs: Subdirs = None,
    specs: Annotated[
        list[str] | None,
        typer.Option(
            "--spec", metavar="SPEC", help="Only what this match spec names, and its dependencies; repeatable."
        ),
    ] = None,
    lock: Annotated[
        Path | None,
        typer.Option("--lock", metavar="FILE", help="Only what an explicit list, conda-lock.yml or pixi.lock names."),
    ] = None,
    policy: Annotated[
        str,
        typer.Option("--policy", metavar="NAME", help="Only what this policy would let pass if it were enforced here."),
    ] = "",
    has_advisories: Annotated[
        bool, typer.Option("--advisories", help="And all that is known of advisories, with what was decided on them.")
    ] = False,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Write a channel, or a selection of it, into a signed bundle.

    FILE.manifest.json is written beside it: a later --since needs no more than that.
    """
    from headgate.airgap.keys import load_private_key
    from headgate.cli.bundle_files import read_since, write_bundle
    from headgate.cli.bundle_sources import FolderSource, ServerSource
    from headgate.conda.locks import read_lock

    with Output(as_json=as_json) as out:
        private = load_private_key(key)
        selection = {
            "subdirs": subdirs or [],
            "specs": specs or [],
            "files": read_lock(lock) if lock else {},
            "has_advisories": has_advisories,
        } | ({"policy": policy} if policy else {})
        earlier = None if since is None else read_since(since)
        source = ServerSource(channel, out) if folder is None else FolderSource(channel, folder)
        with source:
            done = write_bundle(source, private, out_path, split, selection, earlier, out)
        shown = ", ".join(done["files"])
        what = f"{done['artifacts']} files, {done['bytes']} bytes, in {shown}."
        out.show(done, [f"Bundle {channel} #{done['number']} ({done['bundle'][:12]}): {what}", *_judged(done)])
        for sentence in done["notes"]:
            out.note(sentence)
        for sentence in done["missing"]:
            out.note(f"Without its attestations: {sentence}")


@app.command("sign")
def sign_manifest(
    file: Annotated[Path, typer.Argument(metavar="MANIFEST", help="The manifest that a page of the server gave you.")],
    key: Annotated[Path, typer.Option("--key", metavar="K", help="The private key to sign with; it stays here.")],
    as_json: AsJson = False,
) -> None:
    """Sign the manifest of a bundle that was prepared in the browser, which puts the two together."""
    from headgate.airgap.keys import load_private_key, sign
    from headgate.airgap.manifest import decode_manifest, manifest_id
    from headgate.cli.bundle_files import read_since

    with Output(as_json=as_json) as out:
        data = read_since(file)
        manifest, signature = decode_manifest(data), sign(load_private_key(key), data).hex()
        out.note(f"This signs bundle {manifest.channel} #{manifest.number} ({manifest_id(data)[:12]}).")
        found = {"channel": manifest.channel, "number": manifest.number, "bundle": manifest_id(data)}
        out.show(found | {"signature": signature}, [signature])


@app.command("verify")
def verify_bundle(
    file: Bundle,
    trust: Annotated[Path, typer.Option("--trust", metavar="K.pub", help="The public key that must have signed it.")],
    as_json: AsJson = False,
) -> None:
    """Check a bundle: its signature, and every byte of it. Changes nothing, and needs no server."""
    from headgate.airgap.keys import load_public_key
    from headgate.cli.bundle_files import check_bundle

    with Output(as_json=as_json) as out:
        found = check_bundle(file, {trust.name: load_public_key(trust)}, out)
        title = f"{found['channel']} #{found['number']} ({found['bundle'][:12]})"
        judged = [f"It holds what policy {found['policy']} let pass."] if found["policy"] else []
        out.show(found, [f"Bundle {title} is whole: {found['artifacts']} files, {found['bytes']} bytes.", *judged])


@app.command("import")
def import_bundle(
    file: Bundle,
    trust: Trust = None,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="NAME", help="Where to; the name it had, unless given.")
    ] = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Take a bundle in; wholly, or not at all.

    Without --trust, a key that the server trusts must have signed it.
    """
    from headgate.airgap.container import find_parts
    from headgate.airgap.keys import load_public_key
    from headgate.cli.bundle_files import channel_of
    from headgate.cli.bundle_sources import import_into_folder

    with Output(as_json=as_json) as out:
        parts = find_parts(file)
        key = None if trust is None else load_public_key(trust)
        name = channel or channel_of(parts)
        if folder is not None:
            done = import_into_folder(folder, parts, key, name)
        else:
            with connected() as server:
                done = _import(server, parts, key, name, out)
        what = f"{done['changed']} names changed" if done["is_new"] else "it was there already"
        out.show(done, [f"Channel {name} stands at bundle #{done['number']} ({done['bundle'][:12]}): {what}."])
        if done.get("policy"):
            out.note(f"It holds what policy {done['policy']} of the other side let pass.")
        if done["attestations"] or done["signatures"]:
            out.note(f"{done['attestations']} attestations and {done['signatures']} signatures are good.")
        if done["failed"]:
            out.note(f"{done['failed']} are not, and rules will see that. {' '.join(done['failures'])}")
        if done["told_of_advisories"]:
            out.note(done["told_of_advisories"])


@app.command("scan")
def scan_drop_folder(
    is_waiting: Annotated[bool, typer.Option("--wait", help="Return when it has ended; 1 when it failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look through the drop folder now."""
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post("bundles/scan")
        if is_waiting:
            job = wait_for(server, f"jobs/{job['id']}", out)
        found = [f"{one['filename']}: {one['outcome']}. {one['said']}" for one in job["result"] or []]
        out.show(job, [f"Job {job['id']} is {job['state']}.", *found])
        if job["failure"]:
            out.note(job["failure"])
            raise typer.Exit(1)


@app.command("dropped")
def list_dropped(as_json: AsJson = False) -> None:
    """List what came by the drop folder, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("bundles/dropped")), DROPPED)


def _judged(done: Mapping[str, Any]) -> list[str]:
    """What a policy had to do with an export."""
    if not done["policy"]:
        return []
    return [f"It holds what policy {done['policy']} lets pass; records held back: {done['held_back']}."]


def _import(server: Server, parts: list[Path], key: str | None, name: str, out: Output) -> Any:
    size = sum(part.stat().st_size for part in parts)
    with out.progress(is_bytes=True) as progress:
        task = progress.add_task("sending", total=size)
        body = pieces_of(parts, partial(progress.advance, task))
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        job = server.send(channel_path(name, "imports"), body, headers, key=key)
    job = wait_for(server, channel_path(name, "imports", job["id"]), out)
    if job["state"] != "done":
        out.show(job)
        out.note(job["failure"] or f"Job {job['id']} is {job['state']}.")
        raise typer.Exit(1)
    return job["result"]
