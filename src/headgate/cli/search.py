"""`headgate search`: packages, files and advisories in the channels that one may read."""

from typing import Annotated, Any

import typer

from headgate.cli.client import connected
from headgate.cli.output import Output
from headgate.cli.words import AsJson


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORD…", help="Words, or terms such as license:MIT, age:<30d.")],
    limit: Annotated[int, typer.Option("--limit", help="Most packages to show.", min=1, max=200)] = 50,
    as_json: AsJson = False,
) -> None:
    """Find packages, files and advisories in the channels that you may read."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get("search", q=" ".join(words), limit=str(limit))
        out.show(found, list(_lines(found)) or ["Nothing is found."])


def _lines(found: dict[str, Any]) -> Any:
    for one in found["packages"]:
        for place in one["places"]:
            yield f"{one['name']} {place['version']} in {place['channel']} ({place['files']} files)"
    for one in found["files"]:
        yield f"{one['channel']}/{one['subdir']}/{one['filename']} sha256 {one['sha256']}"
    for one in found["advisories"]:
        yield f"{one['id']} ({one['severity'] or 'no score'}) touches {', '.join(one['names']) or 'nothing here'}"
    for one in found["hidden"]:
        for rule, count in one["held"].items():
            yield f"{one['channel']} holds back {count} of {one['name']}: {rule}. See: headgate why"
    if found["total"] > len(found["packages"]):
        yield f"{found['total']} packages fit; these are the first {len(found['packages'])}."
