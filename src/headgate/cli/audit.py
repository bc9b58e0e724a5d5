"""`headgate audit`: what was changed, by whom; the proof that nobody changed the record; who downloaded what."""

from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import stream
from headgate.cli.client import connected, path_of
from headgate.cli.output import Output, render
from headgate.cli.saving import Format, save
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Audit events and the access log: list, show, verify, export.")
app.add_typer(stream.app, name="stream")

Actor = Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Who did it, by whatever token.")]
Action = Annotated[str | None, typer.Option("--action", metavar="WORD", help="policy:set, or policy for all of them.")]
ChannelOption = Annotated[str | None, typer.Option("--channel", metavar="C", help="In this channel.")]
Subject = Annotated[str | None, typer.Option("--subject", metavar="TEXT", help="Done to this.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Not before: 2026-11-01, or 30d for days back.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Before; likewise.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most rows.")]
FileOption = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", dir_okay=False, help="Write here, not to standard output.")
]


@app.command("list")
def list_events(
    actor: Actor = None,
    action: Action = None,
    channel: ChannelOption = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List audit events, the newest first."""
    chosen = _chosen(actor, action, channel, subject, since, until)
    with Output(as_json=as_json) as out, connected() as server:
        rows = server.get("audit/events", **chosen, limit=limit)["items"]
        columns = {"NUMBER": "number", "AT": "at", "ACTOR": "actor", "ACTION": "action", "CHANNEL": "channel"}
        out.table(rows, {**columns, "SUBJECT": "subject", "DETAIL": lambda row: render(row["detail"])})


@app.command("show")
def show_event(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The event's number.")], as_json: AsJson = False
) -> None:
    """Show one event with all that it says."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get(path_of("audit", "events", str(number))))


@app.command("verify")
def verify_events(
    pack: Annotated[
        Path | None,
        typer.Option(
            "--pack", metavar="FILE", exists=True, dir_okay=False, help="Check this evidence pack, without a server."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no event was changed, removed or put in by hand. Ends with 1 when one was."""
    if pack is not None:
        _verify_pack(pack, as_json=as_json)
        return
    with Output(as_json=as_json) as out, connected() as server:
        proof = server.get("audit/verify")
        said = f"{proof['checked']} events, from {proof['first']} to {proof['last']}; the last hash is {proof['head']}."
        key = f"This server signs with {proof['public_key']}."
        verdict = "The chain is whole" if proof["is_whole"] else "The chain is broken"
        out.show(proof, [f"{verdict}: {said}", key, *(f"- {one}" for one in proof["complaints"])])
    if not proof["is_whole"]:
        raise typer.Exit(1)


def _verify_pack(path: Path, *, as_json: bool) -> None:
    from headgate.reports.evidence import verify_pack

    with Output(as_json=as_json) as out:
        found = verify_pack(path)
        document = {"events": found.events, "public_key": found.public_key, "complaints": list(found.complaints)}
        said = "The pack is whole" if not found.complaints else "The pack is not what was signed"
        lines = [f"{said}: {found.events} events, signed by {found.public_key}."]
        out.show(document, [*lines, *(f"- {one}" for one in found.complaints)])
    if found.complaints:
        raise typer.Exit(1)


@app.command("evidence")
def fetch_evidence(
    output: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The zip to write.")],
    since: Since = None,
    until: Until = None,
) -> None:
    """Write an evidence pack: events, downloads, and the proof of the chain, signed."""
    with Output(as_json=False) as out, connected() as server:
        save(server, "audit/evidence", {"since": moment(since), "until": moment(until)}, output)
        out.show({}, [f"Wrote {output}. Check it anywhere with `headgate audit verify --pack {output}`."])


@app.command("export")
def export_events(
    actor: Actor = None,
    action: Action = None,
    channel: ChannelOption = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
    form: Format = "csv",
    output: FileOption = None,
) -> None:
    """Write all events as CSV or JSON, the oldest first."""
    chosen = _chosen(actor, action, channel, subject, since, until)
    with Output(as_json=False), connected() as server:
        save(server, "audit/export", {**chosen, "format": form}, output)


@app.command("requests")
def list_requests(
    channel: ChannelOption = None,
    package: Annotated[str | None, typer.Option("--package", metavar="NAME", help="For files of this package.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="By this user.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX", help="For this file.")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only what was refused.")] = False,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the access log: who asked a channel for what, the newest first."""
    moments = {"since": moment(since), "until": moment(until)}
    chosen = {"channel": channel, "package": package, "user": user, "sha256": sha256, **moments}
    with Output(as_json=as_json) as out, connected() as server:
        rows = server.get("audit/requests", **chosen, is_refused=True if refused else None, limit=limit)["items"]
        columns: dict[str, Any] = {"AT": "at", "USER": "who", "ADDRESS": "address", "CLIENT": "client"}
        out.table(rows, {**columns, "CHANNEL": "channel", "FILE": _file, "STATUS": "status", "VERDICT": "verdict"})


def _file(row: Any) -> str:
    return f"{row['subdir']}/{row['filename']}" if row["subdir"] else str(row["filename"])


def _chosen(
    actor: str | None,
    action: str | None,
    channel: str | None,
    subject: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, str | None]:
    moments = {"since": moment(since), "until": moment(until)}
    return {"actor": actor, "action": action, "channel": channel, "subject": subject, **moments}


def moment(text: str | None) -> str | None:
    """ISO 8601, in UTC where nothing else is said; `30d` is thirty days ago."""
    from datetime import UTC, datetime, timedelta

    from headgate.kernel import clock

    if text is None:
        return None
    try:
        if text.endswith("d") and text[:-1].isdigit():
            return (clock.now() - timedelta(days=int(text[:-1]))).isoformat()
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is neither a date nor a number of days such as 30d.") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
