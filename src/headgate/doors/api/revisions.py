"""What was published: revisions."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from headgate.channels.history import list_revisions as read_revisions
from headgate.conda.names import Subdir
from headgate.doors.api.callers import Reading, Services
from headgate.doors.api.models import RevisionAnswer
from headgate.doors.api.paging import Listing, Moment, Number, Paging

router = APIRouter(tags=["revisions"])

SubdirPath = Annotated[str, Path(examples=["noarch", "linux-64"])]
SubdirQuery = Annotated[str | None, Query(description="Of this subdir only.", examples=["linux-64"])]


@router.get("/channels/{channel:path}/revisions")
async def list_revisions(
    visit: Reading, services: Services, page: Paging, subdir: SubdirQuery = None
) -> Listing[RevisionAnswer]:
    """The revisions of a channel, the newest first."""
    found = await read_revisions(
        services.core.database,
        visit.channel,
        None if subdir is None else Subdir.parse(subdir),
        before=page.after(tuple[Moment, Number, Number]),
        limit=page.limit + 1,
    )
    revisions, following = page.cut(found, lambda one: one.key)
    return Listing(items=[RevisionAnswer.model_validate(one) for one in revisions], next=following)
