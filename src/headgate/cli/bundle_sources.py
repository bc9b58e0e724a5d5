"""Where the command line has a bundle prepared: on a server, or in a data folder on this machine."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import uuid4

from headgate.airgap.exports import Exports
from headgate.airgap.manifest import decode_manifest, followed
from headgate.airgap.selection import parse_selection
from headgate.airgap.trust import read_trusted
from headgate.bootstrap import opened_core
from headgate.carrying import build_importer, opened_exporter
from headgate.cli.client import Server, channel_path, connected
from headgate.cli.folder import database_errors, open_initialised
from headgate.cli.mirror import wait_for
from headgate.cli.output import Output
from headgate.kernel.errors import Invalid, Unavailable
from headgate.storage.local import BlobStore

_ACTOR = "command line"


class Source(Protocol):
    """Prepares one bundle. Used in this order, within its context."""

    def prepare(self, selection: Mapping[str, Any], since: bytes | None) -> Mapping[str, Any]:
        """Make the manifest, and see to the bytes; what that came to (`Prepared`). Raises what the export raises."""

    def manifest(self) -> bytes:
        """What is to be signed."""

    def content(self, take: Callable[[bytes], None]) -> None:
        """Hand over everything behind the signature."""

    def forget(self) -> None:
        """Clear away what was kept for this."""


class ServerSource:
    """A running server; the private key never goes there."""

    def __init__(self, channel: str, out: Output) -> None:
        self._channel = channel
        self._out = out
        self._stack = ExitStack()
        self._server: Server
        self._job = ""

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(connected())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def prepare(self, selection: Mapping[str, Any], since: bytes | None) -> Mapping[str, Any]:
        """See Source."""
        body, content_type = _form({"selection.json": json.dumps(selection).encode(), "since.json": since})
        job = self._server.send(channel_path(self._channel, "exports"), body, {"Content-Type": content_type})
        self._job = job["id"]
        job = wait_for(self._server, self._path(), self._out)
        if job["state"] != "done":
            raise Unavailable("export-failed", job["failure"] or f"Job {job['id']} is {job['state']}.")
        result: dict[str, Any] = job["result"]
        return result

    def manifest(self) -> bytes:
        """See Source."""
        pieces: list[bytes] = []
        self._server.fetch(self._path("manifest"), pieces.append)
        return b"".join(pieces)

    def content(self, take: Callable[[bytes], None]) -> None:
        """See Source."""
        self._server.fetch(self._path("content"), take)

    def forget(self) -> None:
        """See Source."""
        self._server.delete(self._path())

    def _path(self, *rest: str) -> str:
        return channel_path(self._channel, "exports", self._job, *rest)


class FolderSource:
    """A data folder, with a server running on it or not."""

    def __init__(self, channel: str, folder: Path) -> None:
        self._channel = channel
        self._place = open_initialised(folder)
        self._place.folder.create()
        self._exports = Exports(BlobStore(self._place.folder))
        self._id = uuid4().hex

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()

    def prepare(self, selection: Mapping[str, Any], since: bytes | None) -> Mapping[str, Any]:
        """See Source. Raises Invalid `export-needs-server` where a policy is to judge."""
        wanted = parse_selection(
            selection["subdirs"],
            selection["specs"],
            selection["files"],
            has_advisories=selection["has_advisories"],
            policy=selection.get("policy", ""),
        )
        if followed(wanted, None if since is None else decode_manifest(since)).policy:
            raise Invalid(
                "export-needs-server",
                "Without a server nobody judges by a policy. Start the server and export without --data.",
            )

        async def work() -> Mapping[str, Any]:
            async with opened_core(self._place) as core, opened_exporter(core) as exporter:
                return asdict(await exporter.prepare(_ACTOR, self._id, self._channel, wanted, since, _quiet))

        with database_errors():
            return asyncio.run(work())

    def manifest(self) -> bytes:
        """See Source."""
        return self._exports.open(self._id).data

    def content(self, take: Callable[[bytes], None]) -> None:
        """See Source."""

        async def work() -> None:
            async for piece in self._exports.iter_content(self._exports.open(self._id)):
                take(piece)

        asyncio.run(work())

    def forget(self) -> None:
        """See Source."""
        self._exports.remove(self._id)


def import_into_folder(folder: Path, parts: Sequence[Path], key: str | None, channel: str) -> dict[str, Any]:
    """Take a bundle into a data folder; what it came to. Raises what `Importer.take` raises."""
    place = open_initialised(folder)

    async def work() -> dict[str, Any]:
        async with opened_core(place) as core:
            async with core.database.read() as connection:
                trusted = await read_trusted(connection) if key is None else {"--trust": key}
            return asdict(await build_importer(core).take(_ACTOR, parts, trusted, channel, _quiet))

    with database_errors():
        return asyncio.run(work())


async def _quiet(step: str, done: int, total: int) -> None:
    """Nobody watches."""


def _form(files: Mapping[str, bytes | None]) -> tuple[bytes, str]:
    """A form of files, and its content type."""
    boundary = f"headgate-{uuid4().hex}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + body
        + b"\r\n"
        for name, body in files.items()
        if body is not None
    ]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"
