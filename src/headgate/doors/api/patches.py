"""Patch instructions: shown, looked at before, replaced, brought by a package, undone."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from headgate.conda.names import Subdir
from headgate.doors.api.bodies import bounded
from headgate.doors.api.callers import Managing, Reading, Services
from headgate.doors.api.models_life import (
    Comment,
    CommentBody,
    PatchEditAnswer,
    PatchPreviewAnswer,
    shown_changes,
    shown_edit,
)
from headgate.doors.api.paging import Listing, Number, Paging
from headgate.doors.api.revisions import SubdirPath
from headgate.intake.patch_packages import receive_patch_package
from headgate.kernel.errors import Invalid

router = APIRouter(tags=["patches"])

EditPath = Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[3])]
Why = Annotated[Comment, Query(description="Why, for the audit trail.")]

_JSON = "application/json"
_PATCH_BYTES = 64 << 20
_PATCH: dict[str, Any] = {
    _JSON: {
        "schema": {"type": "object"},
        "example": {"patch_instructions_version": 1, "packages": {}, "packages.conda": {}, "revoke": [], "remove": []},
    }
}
_INSTRUCTIONS: dict[str, Any] = {"requestBody": {"required": True, "content": _PATCH}}
_PACKAGE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/channels/{channel:path}/patches")
async def list_patches(visit: Reading, services: Services, page: Paging) -> Listing[PatchEditAnswer]:
    """Every state of a channel's patch instructions, the newest first."""
    (before,) = page.after(tuple[Number]) or (None,)
    found = await services.core.life.patches.history(visit.channel, before=before, limit=page.limit + 1)
    edits, following = page.cut(found, lambda one: (one.id,))
    return Listing(items=[shown_edit(one) for one in edits], next=following)


@router.post("/channels/{channel:path}/patches", openapi_extra=_PACKAGE)
async def upload_patches(
    request: Request,
    visit: Managing,
    services: Services,
    filename: Annotated[str, Query(max_length=300, examples=["our-repodata-patches-2026.03.01-0.conda"])],
    dry_run: Annotated[bool, Query(description="Only say what it would change.")] = False,
    comment: Why = "",
) -> PatchPreviewAnswer:
    """Replace the instructions of every subdir that a package has `<subdir>/patch_instructions.json` for.

    Answers with the records that this changes. Subdirs that the channel does not have are left out.
    """
    brought = await receive_patch_package(services.core.store, filename, request.stream())
    wanted = {subdir: document for subdir, document in brought.items() if subdir in visit.channel.subdirs}
    if not wanted:
        raise Invalid("patch-package-empty", f"{filename} patches no subdir that {visit.channel.name} has.")
    patches = services.core.life.patches
    changes = await patches.preview(visit.channel, wanted)
    if not dry_run:
        await patches.apply(visit.actor, visit.channel.name, wanted, origin=filename, comment=comment)
        await services.snapshots.reload()
    return shown_changes(changes, sorted(brought.keys() - wanted.keys()))


@router.post("/channels/{channel:path}/patches/{id}/undo")
async def undo_patches(body: CommentBody, visit: Managing, services: Services, number: EditPath) -> list[str]:
    """Put in force what was before an edit, in every subdir that the same package edited; answers with the subdirs."""
    undone = await services.core.life.patches.undo(visit.actor, visit.channel.name, number, body.comment)
    await services.snapshots.reload()
    return list(undone)


@router.post("/channels/{channel:path}/patches/{subdir}/preview", openapi_extra=_INSTRUCTIONS)
async def preview_patches(
    request: Request, visit: Managing, services: Services, subdir: SubdirPath
) -> PatchPreviewAnswer:
    """What these instructions, in the place of those in force, would change, field by field; changes nothing."""
    document = await bounded(request, _PATCH_BYTES).body()
    return shown_changes(await services.core.life.patches.preview(visit.channel, {Subdir.parse(subdir): document}))


@router.get("/channels/{channel:path}/patches/{subdir}", response_class=Response, responses={200: {"content": _PATCH}})
async def show_patches(visit: Reading, services: Services, subdir: SubdirPath) -> Response:
    """A subdir's `patch_instructions.json`, as it was given."""
    document = await services.core.life.patches.read(visit.channel, Subdir.parse(subdir))
    return Response(document, media_type=_JSON)


@router.put(
    "/channels/{channel:path}/patches/{subdir}",
    response_class=Response,
    responses={200: {"content": _PATCH}},
    openapi_extra=_INSTRUCTIONS,
)
async def replace_patches(
    request: Request, visit: Managing, services: Services, subdir: SubdirPath, comment: Why = ""
) -> Response:
    """Replace a subdir's `patch_instructions.json`, and publish what that changes."""
    document = await bounded(request, _PATCH_BYTES).body()
    documents = {Subdir.parse(subdir): document}
    await services.core.life.patches.apply(visit.actor, visit.channel.name, documents, comment=comment)
    await services.snapshots.reload()
    return Response(document, media_type=_JSON)
