"""What is published: revisions, and the patches applied to them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from headgate.channels.history import list_revisions as read_revisions
from headgate.conda.names import Subdir
from headgate.doors.api.bodies import bounded
from headgate.doors.api.callers import Managing, Reading, Services
from headgate.doors.api.models import RevisionAnswer
from headgate.doors.api.paging import Listing, Moment, Number, Paging

router = APIRouter(tags=["revisions"])

SubdirPath = Annotated[str, Path(examples=["noarch", "linux-64"])]
SubdirQuery = Annotated[str | None, Query(description="Of this subdir only.", examples=["linux-64"])]

_JSON = "application/json"
_PATCH_BYTES = 64 << 20
_PATCH: dict[str, Any] = {
    _JSON: {
        "schema": {"type": "object"},
        "example": {"patch_instructions_version": 1, "packages": {}, "packages.conda": {}, "revoke": [], "remove": []},
    }
}


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


@router.get("/channels/{channel:path}/patches/{subdir}", response_class=Response, responses={200: {"content": _PATCH}})
async def show_patches(visit: Reading, services: Services, subdir: SubdirPath) -> Response:
    """A subdir's `patch_instructions.json`, as it was given."""
    document = await services.core.channels.get_patch(visit.channel, Subdir.parse(subdir))
    return Response(document, media_type=_JSON)


@router.put(
    "/channels/{channel:path}/patches/{subdir}",
    response_class=Response,
    responses={200: {"content": _PATCH}},
    openapi_extra={"requestBody": {"required": True, "content": _PATCH}},
)
async def replace_patches(request: Request, visit: Managing, services: Services, subdir: SubdirPath) -> Response:
    """Replace a subdir's `patch_instructions.json`, and publish what that changes."""
    document = await bounded(request, _PATCH_BYTES).body()
    await services.core.channels.patch(visit.actor, visit.channel.name, Subdir.parse(subdir), document)
    await services.snapshots.reload()
    return Response(document, media_type=_JSON)
