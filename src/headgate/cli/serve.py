"""`headgate serve`: the server, in the foreground."""

from typing import Annotated

import typer

from headgate.cli.output import Output
from headgate.cli.words import AsJson, DataFolderOption, UpstreamOption
from headgate.kernel.memory import relax_collector

Host = Annotated[str | None, typer.Option("--host", metavar="H", help="Address to listen on.")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, metavar="P", help="Port; 0: any free one.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, max=64, metavar="N", help="Web worker processes.")]

NoJobs = Annotated[bool, typer.Option("--no-jobs", help="Run no jobs worker; `headgate worker` runs them elsewhere.")]


def serve(
    data: DataFolderOption,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    upstream: UpstreamOption = None,
    has_no_jobs: NoJobs = False,
    as_json: AsJson = False,
) -> None:
    """Serve a data folder until told to stop.

    A new folder is initialised first, as `headgate init` does.
    """
    with Output(as_json=as_json) as out:
        relax_collector()  # before the imports: an eighth of a start is looking for garbage that is none
        from headgate.cli.serving import Serving

        given = {"server.host": host, "server.port": port, "server.workers": workers}
        given["jobs.workers"] = 0 if has_no_jobs else None
        options = {key: str(value) for key, value in given.items() if value is not None}
        Serving(out, data, options).run(upstream)
