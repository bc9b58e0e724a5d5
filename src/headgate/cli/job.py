"""`headgate job`: long work, looked at and steered."""

from typing import Annotated

import typer

from headgate.cli.client import connected
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Jobs: list, show, log, pause, resume, stop, retry.")

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]

COLUMNS: Columns = {
    "ID": "id",
    "KIND": "kind",
    "STATE": "state",
    "PROGRESS": lambda job: shown_progress(job["progress"]),
    "ASKED BY": "actor",
    "ASKED FOR": "created_at",
    "ENDED": "ended_at",
    "FAILURE": "failure",
}


@app.command("list")
def list_jobs(
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only this kind: sync-mirror, …")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(server.get("jobs", kind=kind, limit=limit)["items"], COLUMNS)


@app.command("show")
def show_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job: what was asked, how far it is, how it ended."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get(f"jobs/{job_id}"))


@app.command("log")
def show_log(
    job_id: JobId,
    lines: Annotated[int, typer.Option("--lines", min=1, max=500, metavar="N", help="At most so many.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Show the last lines of what a job said."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get(f"jobs/{job_id}/log", lines=lines)
        out.show(found, [f"{line['at']}  {line['text']}" for line in found["lines"]])


@app.command("pause")
def pause_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a job rest until it is resumed."""
    _steer(job_id, "pause", as_json=as_json)


@app.command("resume")
def resume_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a paused or stopped job go on at its step."""
    _steer(job_id, "resume", as_json=as_json)


@app.command("stop")
def stop_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job."""
    _steer(job_id, "stop", as_json=as_json)


@app.command("retry")
def retry_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a stopped job go on, or do a failed one again."""
    _steer(job_id, "retry", as_json=as_json)


def shown_progress(progress: Document | None) -> str:
    """How far a job is, for people: a share of it, and how long the rest may take."""
    if not progress or not progress["total_items"]:
        return ""
    share = f"{progress['done_items']}/{progress['total_items']}"
    left = progress.get("remaining_seconds")
    return f"{share}, {left:.0f} s left" if left else share


def _steer(job_id: str, verb: str, *, as_json: bool) -> None:
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post(f"jobs/{job_id}/{verb}")
        out.show(job, [f"Job {job['id']} is {job['state']}."])
