"""Search over the channels that the caller may read."""

from typing import Annotated

from fastapi import APIRouter, Query

from headgate.channels.search_query import parse_query
from headgate.doors.api.callers import Caller, Services, may_read
from headgate.doors.api.models_search import FoundAnswer

router = APIRouter(tags=["channels"])


@router.get("/search")
async def search(
    caller: Caller,
    services: Services,
    q: Annotated[
        str,
        Query(
            max_length=400,
            description="Words, and terms: channel:, subdir:, license:, age:, cve:, blocked:.",
            examples=["numpy license:BSD"],
        ),
    ],
    start: Annotated[int, Query(ge=0, le=1_000_000, description="Leave out so many packages.")] = 0,
    limit: Annotated[int, Query(ge=1, le=200, description="Most packages in the answer.")] = 50,
) -> FoundAnswer:
    """Packages, files, advisories, and what policies hide of them; exact names first."""
    readable = [one for one in services.catalog.all() if may_read(caller, one)]
    found = await services.search.search(parse_query(q), readable, start=start, most=limit)
    return FoundAnswer.model_validate(found)
