"""The workflow that renders documents which somebody waits for."""

from dbos import DBOS, DBOSConfiguredInstance

from headgate.channels.documents import Renderer
from headgate.jobs.engine import INSTANCE
from headgate.jobs.requests import PublishRequest
from headgate.kernel.errors import NotFound


@DBOS.dbos_class()
class PublishJobs(DBOSConfiguredInstance):
    """Renders documents."""

    def __init__(self, renderer: Renderer) -> None:
        super().__init__(INSTANCE)
        self._renderer = renderer

    @DBOS.workflow(name="publish-document")
    async def publish(self, request: PublishRequest) -> int:
        """Render the document at its newest revision, whose number is returned (0: its channel is gone)."""
        return await self.render(request)

    @DBOS.step()
    async def render(self, request: PublishRequest) -> int:
        """Render; a blob is named by its digest, so doing it twice does no harm."""
        try:
            document = await self._renderer.render(request["channel"], request["subdir"], request["document"])
        except NotFound:
            return 0
        return document.revision
