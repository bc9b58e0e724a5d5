"""`headgate doctor`: what is wrong with a data folder, and what to do about it."""

import asyncio

import typer

from headgate.cli.output import Output
from headgate.cli.words import AsJson, DataFolderOption


def doctor(data: DataFolderOption, as_json: AsJson = False) -> None:
    """Say what is wrong with a data folder.

    Looks at settings, permissions, disk, backups, database, clock and upstreams; ends with 1 when something fails.
    """
    with Output(as_json=as_json) as out:
        from headgate.cli.examination import State, examine

        findings = asyncio.run(examine(data))
        has_failed = any(one.state is State.FAIL for one in findings)
        lines = []
        for one in findings:
            lines.append(f"{one.state:4}  {one.check}: {one.sentence}")
            lines += [f"      {one.remedy}"] if one.remedy else []
        document = {"healthy": not has_failed, "checks": [one.as_json() for one in findings]}
        out.show(document, lines)
        if has_failed:
            raise typer.Exit(1)
