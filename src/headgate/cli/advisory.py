"""`headgate advisory`: what is known of vulnerabilities, where it comes from, and how channels stand with it."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import curation
from headgate.cli.client import Server, channel_path, connected, path_of
from headgate.cli.mirror import wait_for
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson, Channel
from headgate.kernel.errors import Invalid

app = typer.Typer(no_args_is_help=True, help="Advisories: feeds, names, curations; what channels are affected by.")
feeds = typer.Typer(no_args_is_help=True, help="Feeds: where advisories come from.")
names = typer.Typer(no_args_is_help=True, help="Names: which upstream package each conda name is.")
app.add_typer(feeds, name="feed")
app.add_typer(names, name="names")
app.add_typer(curation.app, name="curate")

FeedName = Annotated[str, typer.Argument(metavar="FEED", help="Name of a feed.")]
CondaName = Annotated[str, typer.Argument(metavar="NAME", help="A conda package.")]
Waiting = Annotated[bool, typer.Option("--no-wait", help="Return at once, with the job.")]
Whole = Annotated[bool, typer.Option("--whole", help="The file lists all that the feed has: what lacks is gone.")]

ADVISORIES: Columns = {
    "ID": "id",
    "SEVERITY": "severity",
    "CVSS": "cvss",
    "EPSS": "epss",
    "EXPLOITED": "is_known_exploited",
    "AFFECTS": "affected",
    "SUMMARY": "summary",
}
FEEDS: Columns = {
    "NAME": "name",
    "ADVISORIES": "statements",
    "COVERS": "ecosystems",
    "READ": "read_at",
    "FAILURE": "failure",
    "NOTE": "note",
    "URL": "url",
}
COVERAGE: Columns = {
    "SUBDIR": "subdir",
    "AFFECTED": "affected",
    "NOT AFFECTED": "not_affected",
    "NOT CHECKED": "not_checked",
    "BECAUSE": "not_checked_because",
}


@app.command("import")
def import_advisories(
    source: Annotated[
        str, typer.Argument(metavar="FILE|FOLDER|URL", help="What to read; a URL is fetched by the server.")
    ],
    feed: Annotated[
        str | None,
        typer.Option(
            "--feed", metavar="F", help="The feed it belongs to: `uploads`, or the file's name for an archive."
        ),
    ] = None,
    is_whole: Whole = False,
    is_not_waiting: Waiting = False,
    as_json: AsJson = False,
) -> None:
    """Import advisories, VEX, curations, KEV or EPSS, whatever the form.

    An archive or a folder counts as a whole feed. A URL becomes a feed that is followed from then on.
    """
    with Output(as_json=as_json) as out, connected() as server:
        if source.startswith(("http://", "https://", "file://")):
            job = _follow(server, source, feed or _feed_of(source.rpartition("?")[0] or source))
        else:
            job = _upload(server, out, Path(source), feed, is_whole=is_whole)
        _report(server, out, job, is_waiting=not is_not_waiting)


def _follow(server: Server, url: str, feed: str) -> Any:
    known = {one["name"]: one for one in server.items("advisory-feeds")}
    if feed in known:
        server.patch(path_of("advisory-feeds", feed), {"url": url})
    else:
        server.post("advisory-feeds", {"name": feed, "url": url})
    return server.post(path_of("advisory-feeds", feed, "refresh"))


def _upload(server: Server, out: Output, source: Path, feed: str | None, *, is_whole: bool) -> Any:
    if not source.exists():
        raise Invalid("path-unknown", f"There is nothing at {source}.")
    is_archive = source.is_dir() or source.suffix == ".zip"
    name = feed or (_feed_of(source.resolve().name) if is_archive else "uploads")
    with _packed(source) as file, out.progress(is_bytes=True) as progress:
        task = progress.add_task(source.name, total=file.stat().st_size)
        return server.send_file(
            "advisories/import", file, partial(progress.advance, task), feed=name, is_whole=is_whole or is_archive
        )


def _feed_of(source: str) -> str:
    """A feed's name out of a file's: `pypi-osv.zip` gives `pypi-osv`; `…/PyPI/all.zip` gives `pypi`."""
    parts = [part for part in source.lower().replace("\\", "/").split("/") if part]
    stem = parts[-1].partition(".")[0]
    word = parts[-2] if stem == "all" and len(parts) > 1 else stem
    kept = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in word).strip("-_")
    return kept[:64] or "uploads"


@contextmanager
def _packed(source: Path) -> Iterator[Path]:
    """The file itself; of a folder, an archive of its JSON documents."""
    if not source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
        target = Path(folder) / "advisories.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(source.rglob("*")):
                if file.suffix in {".json", ".csv"} and file.is_file():
                    archive.write(file, file.relative_to(source).as_posix())
        yield target


def _report(server: Server, out: Output, job: Any, *, is_waiting: bool) -> None:
    if not is_waiting:
        out.show(job, [f"The import is job {job['id']}."])
        return
    job = wait_for(server, f"advisories/imports/{job['id']}", out)
    result = job["result"] or {}
    if job["state"] == "done":
        out.show(result, _lines(result))
        for problem in result.get("problems", []):
            out.note(f"- {problem}")
        return
    if out.is_json:
        out.show(job)
    out.note(job["failure"] or f"Job {job['id']} is {job['state']}.")
    raise typer.Exit(1)


def _lines(result: Document) -> list[str]:
    counted = [
        (result["changed"], "advisories changed"),
        (result["retired"], "retired"),
        (result["names"], "names changed"),
        (result["scores"], "scores read"),
        (result["curations"], "curations changed"),
        (result["kept"], "missing but kept, as too many were missing"),
    ]
    said = ", ".join(f"{number} {what}" for number, what in counted if number)
    return [f"Feed {result['feed']}: {said or 'nothing new'}; {result['statements']} statements in all."]


@app.command("list")
def list_advisories(
    text: Annotated[str | None, typer.Option("--text", metavar="T", help="In an id or in the summary.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="What affects this conda package.")] = None,
    purl: Annotated[str | None, typer.Option("--purl", metavar="P", help="What affects this upstream package.")] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", metavar="S", help="May be repeated.")] = None,
    is_exploited: Annotated[bool, typer.Option("--exploited", help="Only what CISA lists as exploited.")] = False,
    is_malicious: Annotated[bool, typer.Option("--malicious", help="Only packages that are attacks.")] = False,
    as_json: AsJson = False,
) -> None:
    """List advisories."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.items(
            "advisories",
            text=text,
            name=name,
            purl=purl,
            severity=severity,
            is_known_exploited=is_exploited or None,
            is_malicious=is_malicious or None,
        )
        out.table(list(found), ADVISORIES)


@app.command("show")
def show_advisory(
    advisory: Annotated[str, typer.Argument(metavar="ID", help="Any of its ids.")],
    as_json: AsJson = False,
) -> None:
    """Show an advisory, and how it was curated."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get(path_of("advisories", advisory)))


@app.command("coverage")
def show_coverage(channel: Channel, as_json: AsJson = False) -> None:
    """Show how many files of a channel are affected, not affected, or could not be checked."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get(channel_path(channel, "coverage"))
        if out.is_json:
            out.show(found)
            return
        out.table(found["subdirs"], COVERAGE)


@app.command("affected")
def list_affected(
    channel: Channel,
    subdir: Annotated[str | None, typer.Option("--subdir", metavar="S", help="Of this subdir only.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="Of this package only.")] = None,
    advisory: Annotated[str | None, typer.Option("--advisory", metavar="ID", help="By this advisory only.")] = None,
    least_cvss: Annotated[
        float | None, typer.Option("--least-cvss", metavar="X", help="With at least this score.")
    ] = None,
    with_harmless: Annotated[bool, typer.Option("--with-harmless", help="Also what was mitigated or cleared.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the files of a channel that advisories affect."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.items(
            channel_path(channel, "affected"),
            subdir=subdir,
            name=name,
            advisory=advisory,
            least_cvss=least_cvss,
            with_harmless=with_harmless or None,
        )
        columns: Columns = {
            "SUBDIR": "subdir",
            "FILE": "filename",
            "ADVISORIES": lambda row: [one["advisory"] for one in row["findings"]],
            "STATUS": lambda row: sorted({one["status"] for one in row["findings"]}),
            "CVSS": lambda row: max((one["cvss"] for one in row["findings"] if one["cvss"] is not None), default=None),
        }
        out.table(list(found), columns)


@feeds.command("list")
def list_feeds(as_json: AsJson = False) -> None:
    """List the feeds, and when they were last read."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("advisory-feeds")), FEEDS)


@feeds.command("add")
def add_feed(
    name: FeedName,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]", help="What to follow; without it, uploads fill the feed. A known name has one."
        ),
    ] = None,
    interval: Annotated[int, typer.Option("--interval", metavar="MINUTES", help="Time between two looks.")] = 60,
    is_partial: Annotated[bool, typer.Option("--partial", help="Its files do not list all there is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Follow a feed: osv-pypi, osv-cran, osv-bioconductor, kev, epss and names are known by name."""
    from headgate.advisories.feeds import KNOWN_URLS

    body = {"name": name, "url": url or KNOWN_URLS.get(name), "interval_minutes": interval, "is_whole": not is_partial}
    with Output(as_json=as_json) as out, connected() as server:
        made = server.post("advisory-feeds", body)
        out.show(made, [f"Feed {name} follows {made['url']}." if made["url"] else f"Feed {name} waits for uploads."])


@feeds.command("set")
def set_feed(
    name: FeedName,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="What to follow.")] = None,
    interval: Annotated[
        int | None, typer.Option("--interval", metavar="MINUTES", help="Time between two looks.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a feed."""
    given = {"url": url, "interval_minutes": interval}
    with Output(as_json=as_json) as out, connected() as server:
        body = {key: value for key, value in given.items() if value is not None}
        out.details(server.patch(path_of("advisory-feeds", name), body))


@feeds.command("refresh")
def refresh_feed(name: FeedName, is_not_waiting: Waiting = False, as_json: AsJson = False) -> None:
    """Look at a feed's URL now."""
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post(path_of("advisory-feeds", name, "refresh"))
        _report(server, out, job, is_waiting=not is_not_waiting)


@feeds.command("remove")
def remove_feed(name: FeedName, as_json: AsJson = False) -> None:
    """Remove a feed with all that only it says."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("advisory-feeds", name))
        out.show({"name": name, "removed": True}, [f"Removed feed {name}."])


@names.command("import")
def import_names(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Conda names to PyPI names, as JSON.")
    ],
    as_json: AsJson = False,
) -> None:
    """Import the mapping of conda names to PyPI names; it replaces the one before."""
    with Output(as_json=as_json) as out, connected() as server:
        _report(server, out, _upload(server, out, file, "names", is_whole=True), is_waiting=True)


@names.command("show")
def show_names(name: CondaName, as_json: AsJson = False) -> None:
    """Show which upstream packages a conda name is, by whom, and which of it counts."""
    with Output(as_json=as_json) as out, connected() as server:
        found = [one for row in server.items("advisory-names", name=name) for one in row["identities"]]
        columns: Columns = {"PACKAGE": "purl", "BY": "origin", "SURENESS": "sureness", "COUNTS": "is_used"}
        out.table(found, columns)


@names.command("set")
def set_names(
    name: CondaName,
    purls: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PURL…]", help="Such as pkg:pypi/apache-airflow; none: no PyPI package."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which upstream packages a conda name is."""
    with Output(as_json=as_json) as out, connected() as server:
        made = server.replace(path_of("advisory-names", name), {"purls": purls or []})
        out.show(made, [f"{name} is {', '.join(purls)}." if purls else f"{name} is no PyPI package."])


@names.command("unset")
def unset_names(name: CondaName, as_json: AsJson = False) -> None:
    """Take back what was set."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("advisory-names", name))
        out.show({"name": name, "removed": True}, [f"For {name}, the mapping counts again."])
