"""The workflows of the air gap: a bundle prepared, a bundle taken in, the drop folder looked through.

Each is one step that may run twice: what it had fetched or stored is found again, and what had landed has landed.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfiguredInstance

from headgate.airgap.container import find_parts
from headgate.airgap.drops import DropFolder
from headgate.airgap.exporting import Exporter
from headgate.airgap.exports import Exports
from headgate.airgap.importing import Importer
from headgate.airgap.trust import read_trusted
from headgate.airgap.wishes import read_wish
from headgate.db.engine import Database
from headgate.intake.sync import Progress
from headgate.jobs.engine import INSTANCE
from headgate.jobs.progress import JobProgress
from headgate.jobs.requests import ExportRequest, ImportRequest, ScanRequest
from headgate.kernel.errors import Invalid, NotFound, Refused


@DBOS.dbos_class()
class AirgapJobs(DBOSConfiguredInstance):
    """Carries things over the air gap."""

    def __init__(
        self, database: Database, exports: Exports, exporter: Exporter, importer: Importer, drops: DropFolder | None
    ) -> None:
        super().__init__(INSTANCE)
        self._database = database
        self._exports = exports
        self._exporter = exporter
        self._importer = importer
        self._drops = drops

    @DBOS.workflow(name="export-bundle")
    async def export(self, request: ExportRequest) -> dict[str, Any]:
        """Prepare a bundle; what it came to."""
        return await self.prepare(request)

    @DBOS.step(preemptible=True)
    async def prepare(self, request: ExportRequest) -> dict[str, Any]:
        """Write the export's folder; doing it twice does no harm."""
        selection, since = read_wish(self._exports.folder(request["export"]))
        done = await self._exporter.prepare(
            request["actor"], request["export"], request["channel"], selection, since, self._report("export")
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
            done = await self._importer.take(
                request["actor"], find_parts(path), trusted, request["channel"], self._report("import")
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
        found = await self._drops.scan(request["actor"], self._report("drop"))
        return [{"filename": one.filename, "kind": one.kind, "outcome": one.outcome, "said": one.said} for one in found]

    def _report(self, part: str) -> Progress:
        progress = JobProgress(self._database, DBOS.workflow_id or "")

        async def report(step: str, done: int, total: int) -> None:
            await progress.report(part, step, done, total)

        return report
