"""What an export is to hold, as it is written down for the job: the selection, and the manifest to follow."""

from pathlib import Path

import msgspec

from headgate.airgap.manifest import Selection, check_since, decode_manifest, followed
from headgate.kernel.errors import Invalid, NotFound
from headgate.storage.local import disk_errors

SELECTION, SINCE = "selection.json", "since.json"
MAX_SELECTION_BYTES = 64 << 20


def decode_selection(data: bytes) -> Selection:
    """Read a selection as JSON. Raises Invalid `selection-invalid`."""
    try:
        return msgspec.json.decode(data, type=Selection)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Invalid("selection-invalid", f"This is not a selection: {error}.") from error


def write_selection(folder: Path, selection: Selection) -> None:
    """Write the selection down."""
    with disk_errors():
        (folder / SELECTION).write_bytes(msgspec.json.encode(selection))


def write_since(folder: Path, channel: str, data: bytes) -> None:
    """Write down the manifest that the export shall follow. Raises Invalid `bundle-invalid`, Conflict `bundle-foreign`."""
    check_since(decode_manifest(data), channel)
    with disk_errors():
        (folder / SINCE).write_bytes(data)


def read_followed(folder: Path) -> Selection:
    """What the export will come to hold: where no selection was given, that of the bundle that it follows."""
    selection, since = read_wish(folder)
    return selection if since is None else followed(selection, decode_manifest(since))


def read_wish(folder: Path) -> tuple[Selection, bytes | None]:
    """The selection, and the manifest to follow if there is one. Raises NotFound `export-unknown`."""
    try:
        selection = decode_selection((folder / SELECTION).read_bytes())
        since = folder / SINCE
        return selection, since.read_bytes() if since.exists() else None
    except OSError as error:
        raise NotFound("export-unknown", "What was to be exported has been cleared away. Export again.") from error
