"""`headgate mirror filter`, `filtered` and `fetch`: what of a mirror is passed on, and what is here ahead."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.client import channel_path, connected
from headgate.cli.mirror import Name, app, insist_done, wait_for
from headgate.cli.output import Output
from headgate.cli.words import AsJson, Channel, Subdirs

__all__ = ["app"]

COLUMNS = {"SUBDIR": "subdir", "FILE": "filename", "FILTER": "cause", "REASON": "reason"}

_Words = list[str] | None


def _repeatable(option: str, metavar: str, help_text: str) -> Any:
    return typer.Option(option, metavar=metavar, help=f'{help_text} Repeatable; "" clears.')


@app.command("filter")
def filter_mirror(
    channel: Channel,
    name: Name,
    only: Annotated[_Words, _repeatable("--only", "SPEC", "Nothing but this, and dependencies.")] = None,
    has_dependencies: Annotated[
        bool | None,
        typer.Option("--dependencies/--no-dependencies", help="With --only: also what is needed to install it."),
    ] = None,
    exclude: Annotated[_Words, _repeatable("--exclude", "SPEC", "Not this.")] = None,
    include: Annotated[_Words, _repeatable("--include", "SPEC", "This in spite of --exclude.")] = None,
    licences: Annotated[_Words, _repeatable("--license", "L", "Nothing but this licence or family.")] = None,
    no_licences: Annotated[_Words, _repeatable("--no-license", "L", "Not this licence or family.")] = None,
    date_from: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help='Built on 2022-01-31 or later; "" clears.')
    ] = None,
    date_to: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help='Built on 2022-12-31 or earlier; "" clears.')
    ] = None,
    has_dedupe: Annotated[
        bool | None, typer.Option("--dedupe/--no-dedupe", help="No .tar.bz2 beside the same package as .conda.")
    ] = None,
    is_signed: Annotated[
        bool | None, typer.Option("--signed/--unsigned", help="Only what carries a signature.")
    ] = None,
    subdirs: Subdirs = None,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what it would hold back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say which records of a mirror are passed on; what is not given stays.

    What is stored goes through the filters again, without another download. --subdir is for --dry-run alone;
    `headgate mirror set` changes what is followed.
    """
    given = {
        "only_specs": _list(only),
        "include_dependencies": has_dependencies,
        "exclude_specs": _list(exclude),
        "include_specs": _list(include),
        "include_licenses": _list(licences),
        "exclude_licenses": _list(no_licences),
        "dedupe_conda_legacy": has_dedupe,
        "only_signed": is_signed,
    }
    filters: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    days = {"date_from": date_from, "date_to": date_to}
    filters |= {key: value or None for key, value in days.items() if value is not None}
    path = channel_path(channel, "mirrors", name)
    with Output(as_json=as_json) as out, connected() as server:
        if is_dry:
            found = server.post(f"{path}/filters/dry-run", filters | ({"subdirs": subdirs} if subdirs else {}))
            out.show(found, _lines(found))
            return
        changed = server.patch(path, {"settings": {"filters": filters}})
        lines = [f"Changed the filters of mirror {name} of {channel}; a sync applies them."]
        out.show({"channel": channel, **changed}, lines)


@app.command("filtered")
def list_filtered(channel: Channel, name: Name, as_json: AsJson = False) -> None:
    """List the records that a mirror's filters hold back, and why."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items(channel_path(channel, "mirrors", name) + "/filtered")), COLUMNS)


@app.command("fetch")
def fetch_ahead(
    channel: Channel,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", exists=True, help="A lock file or list of package files to fetch."),
    ] = None,
    specs: Annotated[
        _Words, typer.Option("--spec", metavar="SPEC", help="What passes and satisfies this match spec; repeatable.")
    ] = None,
    is_waiting: Annotated[bool, typer.Option("--wait", help="Return when it has ended; 1 when it failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch files before anybody asks: what the mirrors' settings want, or what a lock file or match specs name."""
    body: dict[str, Any] = {} if file is None else {"text": file.read_text(encoding="utf-8")}
    body |= {"specs": specs} if specs else {}
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post(channel_path(channel, "fetch"), body)
        if not is_waiting:
            out.show(job, [f"Fetching for {channel} is job {job['id']}."])
            return
        job = wait_for(server, f"jobs/{job['id']}", out)
        out.show(job, [f"Fetched for {channel}: {json.dumps(job['result'])}."] if job["result"] else [])
        insist_done(job, out)


def _list(words: _Words) -> _Words:
    return None if words is None else [word for word in words if word]


def _lines(found: dict[str, Any]) -> list[str]:
    passing = f"{found['passed_records']} of {found['records']} records pass, {found['passed_bytes']} bytes"
    return [
        f"{passing}; {found['dependencies']} as dependencies.",
        *(f"  {one['cause']}: {one['records']} records, {one['size_bytes']} bytes" for one in found["held_back"]),
        *found["sentences"],
    ]
