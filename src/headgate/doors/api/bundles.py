"""Bundles: prepared on the server and signed by whoever fetches them; sent here and taken in."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from headgate.access.permissions import Permission
from headgate.airgap.exports import Export
from headgate.airgap.keys import parse_public_key
from headgate.airgap.manifest import MAX_MANIFEST_BYTES, Selection, check_since, decode_manifest
from headgate.airgap.selection import parse_selection
from headgate.airgap.wishes import MAX_SELECTION_BYTES, SINCE, decode_selection, read_followed, write_selection
from headgate.conda.names import ChannelName
from headgate.doors.api.callers import Caller, ChannelPath, Exporting, Services, require
from headgate.doors.api.forms import FormFile, iter_form
from headgate.doors.api.jobs import JobPath
from headgate.doors.api.models import JobAnswer
from headgate.doors.api.services import ApiServices
from headgate.kernel.errors import Invalid, NotFound
from headgate.storage.local import disk_errors

router = APIRouter(tags=["bundles"])

_FORM = "multipart/form-data"
_SELECTION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "subdirs": {"type": "array", "items": {"type": "string"}},
        "specs": {"type": "array", "items": {"type": "string"}},
        "files": {"type": "object", "additionalProperties": {"type": "string"}},
        "has_advisories": {"type": "boolean", "description": "And all that is known of advisories."},
        "policy": {"type": "string", "description": "Only what this policy would let pass if it were enforced here."},
    },
    "example": {"subdirs": ["noarch", "linux-64"], "specs": ["numpy >=2"], "files": {}},
}
_EXPORT_BODY: dict[str, Any] = {
    "requestBody": {
        "content": {
            "application/json": {"schema": _SELECTION},
            _FORM: {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        }
    }
}
_IMPORT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/channels/{channel:path}/exports", status_code=202, openapi_extra=_EXPORT_BODY)
async def export_bundle(request: Request, visit: Exporting, services: Services) -> JobAnswer:
    """Prepare a bundle of a channel, or of a selection of it; answers with the job.

    The body is a selection as JSON, or a form with files `selection.json` and `since.json`, the manifest of the bundle
    that this one shall follow.
    """
    export_id = secrets.token_hex(16)
    folder = services.exports.folder(export_id)
    with disk_errors():
        folder.mkdir(mode=0o700)
    try:
        wanted = await _write_wish(request, visit.channel.name, folder)
        if wanted.has_advisories:
            require(visit.principal, Permission.ADVISORY_READ)
        if wanted.policy:
            require(visit.principal, Permission.POLICY_READ)
            await services.core.policies.get(wanted.policy)
    except BaseException:
        services.exports.remove(export_id)
        raise
    job_id = await services.jobs.export(visit.actor, visit.channel.name, export_id)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


@router.get("/channels/{channel:path}/exports/{job_id}/manifest", response_class=Response)
async def show_manifest(visit: Exporting, services: Services, job_id: JobPath) -> Response:
    """The manifest of a finished export, byte by byte as it is to be signed."""
    export = await _export(services, visit.channel.name, job_id)
    return Response(export.data, media_type="application/json", headers={"cache-control": "no-store"})


@router.get("/channels/{channel:path}/exports/{job_id}/content", response_class=StreamingResponse)
async def fetch_content(visit: Exporting, services: Services, job_id: JobPath) -> StreamingResponse:
    """What follows the manifest and its signature in the bundle."""
    export = await _export(services, visit.channel.name, job_id)
    if export.has_advisories:
        require(visit.principal, Permission.ADVISORY_READ)
    headers = {"content-length": str(export.content_bytes), "cache-control": "no-store"}
    return StreamingResponse(services.exports.iter_content(export), media_type="application/x-tar", headers=headers)


@router.get("/channels/{channel:path}/exports/{job_id}")
async def show_export(visit: Exporting, services: Services, job_id: JobPath) -> JobAnswer:
    """How far an export is."""
    return await _job(services, "export-bundle", visit.channel.name, job_id)


@router.delete("/channels/{channel:path}/exports/{job_id}", status_code=204)
async def remove_export(visit: Exporting, services: Services, job_id: JobPath) -> None:
    """Forget an export that was fetched."""
    job = await _job(services, "export-bundle", visit.channel.name, job_id)
    await asyncio.to_thread(services.exports.remove, job.request["export"])


async def _importing(channel: ChannelPath, services: Services, principal: Caller) -> ChannelName:
    found = services.catalog.find(channel)
    require(principal, Permission.CHANNEL_MANAGE, channel, "private" if found is None else found.privacy)
    return ChannelName.parse(channel)


Importing = Annotated[ChannelName, Depends(_importing)]
"""A channel that the caller manages, or would manage once a bundle has made it."""


@router.post("/channels/{channel:path}/imports", status_code=202, openapi_extra=_IMPORT_BODY)
async def import_bundle(
    request: Request,
    channel: Importing,
    caller: Caller,
    services: Services,
    key: Annotated[
        str | None,
        Query(max_length=200, description="The only public key to trust; left out, those that the server trusts."),
    ] = None,
) -> JobAnswer:
    """Send a bundle, its parts joined, to be taken in; answers with the job."""
    trusted = None if key is None else parse_public_key(key)
    path = await services.exports.receive(request.stream())
    job_id = await services.jobs.take_in(caller.actor, channel, path, trusted)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


@router.get("/channels/{channel:path}/imports/{job_id}")
async def show_import(channel: Importing, services: Services, job_id: JobPath) -> JobAnswer:
    """How far an import is."""
    return await _job(services, "import-bundle", channel, job_id)


async def _job(services: ApiServices, kind: str, channel: str, job_id: str) -> JobAnswer:
    """A job of that kind for that channel. Raises NotFound `job-unknown`."""
    job = await services.jobs.get_job(job_id)
    if job.kind != kind or job.request["channel"] != channel:
        raise NotFound("job-unknown", f"There is no job {job_id}.")
    return JobAnswer.model_validate(job)


async def _export(services: ApiServices, channel: str, job_id: str) -> Export:
    job = await _job(services, "export-bundle", channel, job_id)
    return await asyncio.to_thread(services.exports.open, job.request["export"])


async def _write_wish(request: Request, channel: str, folder: Path) -> Selection:
    """Write down what the request wants; what that comes to, given what it follows.

    Raises Invalid `selection-invalid`, Conflict `bundle-foreign`, and others.
    """
    content_type = request.headers.get("content-type", "")
    data = b""
    if content_type.lower().startswith(_FORM):
        async for file in iter_form(content_type, request.stream()):
            if file.filename == SINCE:
                await _take_since(file, channel, folder / SINCE)
            else:
                data = await _read(file.body, MAX_SELECTION_BYTES)
    else:
        data = await _read(request.stream(), MAX_SELECTION_BYTES)
    wanted = decode_selection(data or b"{}")
    selection = parse_selection(
        wanted.subdirs, wanted.specs, wanted.files, has_advisories=wanted.has_advisories, policy=wanted.policy
    )
    await asyncio.to_thread(write_selection, folder, selection)
    return await asyncio.to_thread(read_followed, folder)


async def _take_since(file: FormFile, channel: str, path: Path) -> None:
    await _receive(file.body, path, MAX_MANIFEST_BYTES)
    earlier = await asyncio.to_thread(lambda: decode_manifest(path.read_bytes()))
    check_since(earlier, channel)


async def _receive(stream: AsyncIterator[bytes], path: Path, most_bytes: int) -> None:
    with disk_errors(), path.open("xb") as file, contextlib.ExitStack() as stack:
        stack.callback(file.flush)
        received = 0
        async for piece in stream:
            received += len(piece)
            _check_size(received, most_bytes)
            await asyncio.to_thread(file.write, piece)


async def _read(stream: AsyncIterator[bytes], most_bytes: int) -> bytes:
    pieces: list[bytes] = []
    received = 0
    async for piece in stream:
        received += len(piece)
        _check_size(received, most_bytes)
        pieces.append(piece)
    return b"".join(pieces)


def _check_size(received: int, most_bytes: int) -> None:
    if received > most_bytes:
        raise Invalid("request-too-large", f"The body is larger than the {most_bytes} bytes that are accepted.")
