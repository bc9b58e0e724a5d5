"""The workflows of the air gap: a bundle prepared, a bundle taken in, the drop folder looked through.

Each is one step that may run twice: what it had fetched or stored is found again, and what had landed has landed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
from dbos import DBOS, DBOSConfiguredInstance

from headgate.airgap.container import find_parts
from headgate.airgap.exporting import Exporter
from headgate.airgap.trust import read_trusted
from headgate.airgap.wishes import read_wish
from headgate.intake.sync import Progress
from headgate.jobs.engine import INSTANCE
from headgate.jobs.parts import AirgapParts, WorkerParts
from headgate.jobs.progress import Amount, JobProgress
from headgate.jobs.requests import ExportRequest, ImportRequest, ScanRequest
from headgate.jobs.service import JobService
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Refused

log = structlog.get_logger(__name__)


@DBOS.dbos_class()
class AirgapJobs(DBOSConfiguredInstance):
    """Carries things over the air gap."""

    def __init__(self, parts: WorkerParts, exporter: Exporter) -> None:
        super().__init__(INSTANCE)
        self._database = parts.database
        self._routes = parts.routes
        self._exports = parts.airgap.exports
        self._exporter = exporter
        self._importer = parts.airgap.importer
        self._drops = parts.airgap.drops

    @DBOS.workflow(name="export-bundle")
    async def export(self, request: ExportRequest) -> dict[str, Any]:
        """Prepare a bundle; what it came to."""
        return await self.prepare(request)

    @DBOS.step(preemptible=True)
    async def prepare(self, request: ExportRequest) -> dict[str, Any]:
        """Write the export's folder; doing it twice does no harm."""
        selection, since = read_wish(self._exports.folder(request["export"]))
        async with self._database.read() as connection:
            await self._routes.load(connection)
        async with self._reporting("export") as report:
            done = await self._exporter.prepare(
                request["actor"], request["export"], request["channel"], selection, since, report
            )
        return asdict(done)

    @DBOS.workflow(name="import-bundle")
    async def take_in(self, request: ImportRequest) -> dict[str, Any]:
        """Take a bundle in; what it came to."""
        return await self.land(request)

    @DBOS.step(preemptible=True)
    async def land(self, request: ImportRequest) -> dict[str, Any]:
        """Verify, stage, land; a bundle that has landed already is done."""
        path = Path(request["path"])
        async with self._database.read() as connection:
            trusted = await read_trusted(connection)
        if request["trusted"] is not None:
            trusted = {"the key that was given": request["trusted"]}
        try:
            async with self._reporting("import") as report:
                done = await self._importer.take(
                    request["actor"], find_parts(path), trusted, request["channel"], report
                )
        except (Invalid, Refused):
            path.unlink(missing_ok=True)  # it will never be good
            raise
        path.unlink(missing_ok=True)
        return asdict(done)

    @DBOS.workflow(name="scan-drop-folder")
    async def scan(self, request: ScanRequest) -> list[dict[str, Any]]:
        """Look through the drop folder; what became of each thing in it."""
        return await self.look(request)

    @DBOS.step(preemptible=True)
    async def look(self, request: ScanRequest) -> list[dict[str, Any]]:
        """Take in what has settled; what was done is found in its place."""
        if self._drops is None:
            raise NotFound("drop-folder-unset", "There is no drop folder: set airgap.drop_folder.")
        async with self._reporting("drop") as report:
            found = await self._drops.scan(request["actor"], report)
        return [{"filename": one.filename, "kind": one.kind, "outcome": one.outcome, "said": one.said} for one in found]

    @asynccontextmanager
    async def _reporting(self, part: str) -> AsyncIterator[Progress]:
        progress = JobProgress(self._database, DBOS.workflow_id or "")

        async def report(step: str, done: int, total: int) -> None:
            await progress.report(part, step, Amount(done), Amount(total))

        try:
            yield report
        finally:
            await progress.flush()


async def look_across(airgap: AirgapParts, jobs: JobService) -> None:
    """Now and then, for ever: look through the drop folder, and clear away exports that nobody fetched."""
    while True:
        try:
            await asyncio.to_thread(airgap.exports.sweep, airgap.keep_s)
            await scan_drops(airgap, jobs)
        except HeadgateError as error:
            log.warning("look_failed", code=error.code, reason=error.message)
        except Exception:
            # Nobody else would look again.
            log.exception("look_failed")
        await asyncio.sleep(airgap.scan_s)


async def scan_drops(airgap: AirgapParts, jobs: JobService) -> None:
    """Ask for a look through the drop folder when something lies there."""
    if airgap.drops is not None and await asyncio.to_thread(airgap.drops.is_waiting):
        await jobs.scan_drops("headgate")
