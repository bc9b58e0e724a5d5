"""`headgate init`: a data folder with everything a first start needs."""

import asyncio

from headgate.cli.output import Output
from headgate.cli.words import AsJson, DataFolderOption, UpstreamOption


def init(data: DataFolderOption, upstream: UpstreamOption = None, as_json: AsJson = False) -> None:
    """Make a data folder.

    With settings, database, an administrator, and two channels. A folder that is initialised already stays as it is.
    """
    with Output(as_json=as_json) as out:
        from headgate.cli import folder
        from headgate.cli.greeting import client_lines, greeting, page_url, sign_in_lines

        followed = upstream or folder.DEFAULT_UPSTREAM
        place = folder.create_folder(data, followed)
        with folder.database_errors():
            founding = asyncio.run(folder.initialise(place, followed))
        document = {"data": str(place.folder.root)} | greeting(founding, page_url(place.settings.server))
        if not founding.is_new:
            out.show(document, [f"{place.folder.root} is initialised already. Nothing was changed."])
            return
        lines = [f"Initialised {place.folder.root}.", *sign_in_lines(founding), f"Page: {document['page']}"]
        start = f"Start it: headgate serve --data {place.folder.root}"
        out.show(document, [*lines, *client_lines(document), start])
