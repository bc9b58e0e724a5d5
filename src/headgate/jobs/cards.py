"""Looking after what search knows: cards are made soon after each revision."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from headgate.channels.search_cards import CardWriter
from headgate.db.watch import Watch
from headgate.kernel.errors import HeadgateError

_LOOK_S = 0.25
_REST_S = 5.0

log = structlog.get_logger(__name__)


class CardKeeper:
    """Runs beside the jobs of every worker; what two of them do at a time is done right."""

    def __init__(self, writer: CardWriter, watch: Watch) -> None:
        self._writer = writer
        self._watch = watch
        self._seen: int | None = None

    async def look(self) -> None:
        """Look, for ever."""
        while True:
            try:
                await self._look_once()
            except (SQLAlchemyError, HeadgateError) as error:  # the next look tries again
                log.warning("cards_unmade", reason=str(error))
                self._seen = None
                await asyncio.sleep(_REST_S)
            await asyncio.sleep(_LOOK_S)

    async def _look_once(self) -> None:
        version = self._watch.version()
        if version != self._seen:
            self._seen = version
            await self._writer.catch_up()
