"""Everything that waits for the caller, with how many there are of each kind."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from headgate.doors.api.callers import Services, SignedIn
from headgate.doors.queue import Queue, ordered
from headgate.reports.waiting import WaitingKind

router = APIRouter(tags=["requests"])


class CountAnswer(BaseModel):
    """How many there are of a kind."""

    kind: WaitingKind
    number: int
    is_more: bool = Field(description="There are more than were counted.")


class WaitingAnswer(BaseModel):
    """One thing that waits."""

    kind: WaitingKind
    title: str
    sentence: str
    channel: str | None
    at: datetime | None = Field(description="Until when; of a request, since when.")
    path: str = Field(description="The page on which one acts.")


class QueueAnswer(BaseModel):
    """What waits."""

    counts: list[CountAnswer]
    items: list[WaitingAnswer]


@router.get("/waiting")
async def list_waiting(
    caller: SignedIn,
    services: Services,
    kind: Annotated[WaitingKind | None, Query(description="Only these; without it, the first few of each.")] = None,
) -> QueueAnswer:
    """Requests to decide on, and what ends or is held in channels whose policies one may read."""
    found = await Queue(services, caller).read()
    return QueueAnswer(
        counts=[CountAnswer(kind=one, number=waits.number, is_more=waits.is_more) for one, waits in found.items()],
        items=[
            WaitingAnswer(
                kind=one.kind, title=one.title, sentence=one.sentence, channel=one.channel, at=one.at, path=one.path
            )
            for one in ordered(found, kind)
        ],
    )
