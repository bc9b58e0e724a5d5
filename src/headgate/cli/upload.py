"""`headgate upload`: files to a hosted channel."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.client import Server, connected
from headgate.cli.output import Output
from headgate.cli.problems import ServerProblem
from headgate.cli.words import AsJson, Channel


def upload(
    channel: Channel,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", exists=True, dir_okay=False, help=".conda or .tar.bz2 files.")
    ],
    attestation: Annotated[
        Path | None,
        typer.Option(
            "--attestation",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="A Sigstore bundle of the one file (CEP 27), or a list of them.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload files to a hosted channel.

    All are tried; ends with 1 when one is refused. A file that is there already, with the same bytes, gets the attestation.
    """
    if attestation is not None and len(files) > 1:
        raise typer.BadParameter("--attestation is of one file; upload it alone.")
    with Output(as_json=as_json) as out, connected() as server:
        with out.progress(is_bytes=True) as progress:
            results = []
            for file in files:
                task = progress.add_task(file.name, total=file.stat().st_size)
                results.append(_send(server, channel, file, attestation, partial(progress.advance, task)))
        refused = [one for one in results if "code" in one]
        out.show(results, [_line(channel, one) for one in results if "code" not in one])
        for one in refused:
            out.note(f"{one['file']}: {one['detail']}")
            for reason in one.get("reasons", ()):
                out.note(f"- {reason}")
        if refused:
            raise typer.Exit(1)


def _send(
    server: Server, channel: str, file: Path, attestation: Path | None, told: Callable[[int], None]
) -> dict[str, Any]:
    """The artifact, or the problem document, with the file's name."""
    try:
        if attestation is None:
            return {"file": str(file), **server.upload(channel, file, told)}
        return {"file": str(file), **server.upload_attested(channel, file, attestation, told)}
    except ServerProblem as problem:
        return {"file": str(file), **problem.document}


def _line(channel: str, artifact: dict[str, Any]) -> str:
    return f"{artifact['file']} is in {channel}/{artifact['subdir']}, sha256 {artifact['sha256']}"
