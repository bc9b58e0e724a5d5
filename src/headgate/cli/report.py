"""`headgate report`: tables of what was taken, what is kept, and what of it is affected."""

from typing import Annotated, Any

import typer

from headgate.cli.audit import ChannelOption, FileOption, Since, Until, moment
from headgate.cli.client import connected
from headgate.cli.output import Output
from headgate.cli.saving import Format, save

app = typer.Typer(no_args_is_help=True, help="Reports, as CSV or JSON.")
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of a channel.")]


@app.command("downloads")
def report_downloads(
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", metavar="WORD", help="channel, client, day, file, month, package or user; may be repeated."
        ),
    ] = None,
    channel: ChannelOption = None,
    package: Annotated[str | None, typer.Option("--package", metavar="NAME", help="Of this package.")] = None,
    filename: Annotated[str | None, typer.Option("--file", metavar="NAME", help="Of this file.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="By this user.")] = None,
    since: Since = None,
    until: Until = None,
    form: Format = "csv",
    output: FileOption = None,
) -> None:
    """Count downloads, refusals and bytes."""
    chosen = {"by": by or ["package"], "channel": channel, "package": package, "filename": filename, "user": user}
    _save("downloads", form, output, **chosen, since=moment(since), until=moment(until))


@app.command("affected")
def report_affected(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="An advisory's id, a match spec, or a sha256.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="advisory, spec or sha256, where it is not what it looks like.")
    ] = None,
    form: Format = "csv",
    output: FileOption = None,
) -> None:
    """Say which files of which channels are meant, and who took them, when first and when last."""
    _save("affected", form, output, target=target, kind=kind)


@app.command("licences")
def report_licences(channel: Channel, form: Format = "csv", output: FileOption = None) -> None:
    """Count the licences of what a channel lists."""
    _save("licences", form, output, channel=channel)


@app.command("storage")
def report_storage(channel: ChannelOption = None, form: Format = "csv", output: FileOption = None) -> None:
    """Say what the channels keep on disk, the most first."""
    _save("storage", form, output, channel=channel)


@app.command("advisories")
def report_advisories(channel: ChannelOption = None, form: Format = "csv", output: FileOption = None) -> None:
    """Count the advisories that are open in each channel, and those judged harmless there, by severity."""
    _save("advisories", form, output, channel=channel)


@app.command("advisory-days")
def report_advisory_days(
    channel: ChannelOption = None,
    since: Since = None,
    until: Until = None,
    form: Format = "csv",
    output: FileOption = None,
) -> None:
    """Say how many advisories were open, and how many judged harmless, on each day, by severity."""
    _save("advisory-days", form, output, channel=channel, since=moment(since), until=moment(until))


@app.command("syncs")
def report_syncs(
    channel: ChannelOption = None, since: Since = None, form: Format = "csv", output: FileOption = None
) -> None:
    """Say how long each sync of a mirror took, what it changed, and how it ended; the newest first."""
    _save("syncs", form, output, channel=channel, since=moment(since))


@app.command("stale")
def report_stale(
    channel: Channel,
    days: Annotated[int, typer.Option("--days", min=0, metavar="N", help="For how long nobody downloaded it.")] = 180,
    form: Format = "csv",
    output: FileOption = None,
) -> None:
    """List files that are kept and that nobody downloads any more."""
    _save("stale", form, output, channel=channel, days=days)


@app.command("approvals")
def report_approvals(
    channel: ChannelOption = None,
    since: Since = None,
    until: Until = None,
    form: Format = "csv",
    output: FileOption = None,
) -> None:
    """List who let what pass: promotions, requests, exemptions, curations, incidents."""
    _save("approvals", form, output, channel=channel, since=moment(since), until=moment(until))


def _save(name: str, form: str, output: Any, **parameters: Any) -> None:
    with Output(as_json=False), connected() as server:
        save(server, f"reports/{name}", {**parameters, "format": form}, output)
