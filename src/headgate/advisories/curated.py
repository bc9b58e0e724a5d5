"""Our own curated JSON: what people decided, carried from server to server. Pure.

A document is `{"headgate": "curations", "version": 1, "curations": [entry, …]}`; an entry has `advisory` and `status`, and
may have `name`, `version` (as in a match spec), `build`, `sha256`, `justification`, `note`, `author`, `score`, `stated`
and `expires` (RFC 3339).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from headgate.advisories.findings import AdvisoryStatus
from headgate.advisories.statements import Claim
from headgate.advisories.vex import claim_key
from headgate.kernel.errors import Invalid

MARK = "curations"


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    advisory: str
    status: AdvisoryStatus
    name: str | None = None
    version: str | None = None
    build: str | None = None
    sha256: str | None = None
    justification: str | None = None
    note: str | None = None
    author: str | None = None
    score: float | None = None
    stated: str | None = None
    expires: str | None = None


def parse_curated(document: Mapping[str, Any]) -> Iterator[Claim]:
    """The claims of the document. Raises Invalid `feed-invalid` for an entry that is not as above."""
    try:
        entries = msgspec.convert(document.get(MARK), list[_Entry])
    except msgspec.ValidationError as error:
        raise Invalid("feed-invalid", f"The curations cannot be read: {error}.") from error
    for one in entries:
        values = {name: getattr(one, name) for name in one.__struct_fields__}
        key = claim_key(one.advisory, one.name, one.version, one.build, one.sha256)
        yield Claim(key=key, **values | {"status": one.status.value})


def render_curated(claims: Iterable[Claim]) -> dict[str, Any]:
    """The document again."""
    rows = [{key: value for key, value in msgspec.to_builtins(one).items() if key != "key"} for one in claims]
    return {"headgate": MARK, "version": 1, MARK: rows}
