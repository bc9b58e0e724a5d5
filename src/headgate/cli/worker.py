"""`headgate worker`: one more process that runs jobs, in the foreground."""

import asyncio

from headgate.cli.output import Output
from headgate.cli.words import AsJson, DataFolderOption


def worker(data: DataFolderOption, as_json: AsJson = False) -> None:
    """Run jobs of a data folder until told to stop, beside `headgate serve` or instead of its own jobs worker.

    Several share the work; what one leaves when it dies, another takes up.
    """
    with Output(as_json=as_json) as out:
        from headgate.cli import folder
        from headgate.worker import run

        place = folder.open_initialised(data)
        with folder.database_errors():
            asyncio.run(folder.upgrade(place))
        place.folder.create()
        out.show({"data": str(place.folder.root)}, [f"Working on the jobs of {place.folder.root}."])
        run(place, has_parent=False)
