"""`headgate job`: long work, looked at and steered."""

from typing import Annotated

import typer

from headgate.cli.client import connected
from headgate.cli.output import Output
from headgate.cli.words import AsJson

app = typer.Typer(no_args_is_help=True, help="Jobs: list, show, stop, retry.")

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]

COLUMNS = {
    "ID": "id",
    "KIND": "kind",
    "STATE": "state",
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


@app.command("stop")
def stop_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job."""
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post(f"jobs/{job_id}/stop")
        out.show(job, [f"Job {job['id']} is {job['state']}."])


@app.command("retry")
def retry_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a stopped job go on, or do a failed one again."""
    with Output(as_json=as_json) as out, connected() as server:
        job = server.post(f"jobs/{job_id}/retry")
        out.show(job, [f"Job {job['id']} is {job['state']}."])
