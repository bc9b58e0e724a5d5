"""Uploads: a file as the body, or files in a form; each is streamed to disk and read as an archive before it counts."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from python_multipart.multipart import parse_options_header

from headgate.access.permissions import Permission
from headgate.channels.artifacts import get_artifact
from headgate.conda.names import ArtifactName, Subdir
from headgate.doors.api.artifacts import shown_artifact
from headgate.doors.api.callers import Services, Uploading
from headgate.doors.api.forms import iter_form
from headgate.doors.api.models import ArtifactAnswer
from headgate.doors.api.paging import Listing
from headgate.doors.api.revisions import SubdirQuery
from headgate.doors.multipart import read_attestations
from headgate.intake.hosted import require_hosted
from headgate.kernel.errors import HeadgateError, Invalid

router = APIRouter(tags=["artifacts"])

_FORM = "multipart/form-data"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "attestation": {
                            "type": "string",
                            "description": "Before a file: a Sigstore bundle of it (CEP 27), or a list of them.",
                        },
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
        },
    }
}


class _Intake:
    """Takes the files of one request; `taken` has what is in the index already, `has_news` whether any was new."""

    def __init__(self, services: Services, visit: Uploading, subdir: Subdir | None, *, may_replace: bool) -> None:
        self._services = services
        self._visit = visit
        self._subdir = subdir
        self._may_replace = may_replace
        self.taken: list[ArtifactAnswer] = []
        self.has_news = False

    async def take(self, filename: str, body: AsyncIterator[bytes], attestations: bytes | None = None) -> None:
        """Take one file, if the caller may upload that package. Raises what `Uploads.take` raises, and Refused."""
        self._visit.require(Permission.ARTIFACT_UPLOAD, ArtifactName.parse(filename).name)
        channel = self._visit.channel
        uploaded = await self._services.uploads.take(
            self._visit.actor, channel, filename, body, subdir=self._subdir, may_replace_deleted=self._may_replace,
            attestations=attestations,
        )  # fmt: skip
        found = await get_artifact(self._services.core.database, channel, uploaded.subdir, uploaded.artifact)
        self.taken.append(shown_artifact(channel, found))
        self.has_news |= uploaded.is_new

    async def take_form(self, content_type: str, stream: AsyncIterator[bytes]) -> None:
        """Take every file of a form; a refusal says which were taken before it."""
        attestations = None
        try:
            async for file in iter_form(content_type, stream):
                if file.field == "attestation":
                    attestations = await read_attestations(file.body)
                    continue
                await self.take(file.filename, file.body, attestations)
                attestations = None
            if attestations is not None:
                raise Invalid("form-invalid", "An attestation must come before the file that it is of.")
        except HeadgateError as error:
            error.reasons = (*error.reasons, *(f"{one.filename} was taken." for one in self.taken))
            raise
        if not self.taken:
            raise Invalid("form-invalid", "The form holds no file.")


@router.post(
    "/channels/{channel:path}/artifacts",
    status_code=201,
    responses={200: {"description": "The channel had the same bytes already.", "model": ArtifactAnswer}},
    openapi_extra=_BODY,
)
async def upload_artifact(
    request: Request,
    response: Response,
    visit: Uploading,
    services: Services,
    filename: Annotated[
        str | None,
        Query(
            description="Unless in `X-File-Name`, `Content-Disposition`, or the form.", examples=["demo-1.0-0.conda"]
        ),
    ] = None,
    subdir: SubdirQuery = None,
    replace_deleted: Annotated[
        bool, Query(description="Give the name of a deleted file to other bytes; for who manages the channel.")
    ] = False,
) -> ArtifactAnswer | Listing[ArtifactAnswer]:
    """Upload a package file; when this answers, it is in the index. A form may hold several, and gets a list."""
    if replace_deleted:
        visit.require(Permission.CHANNEL_MANAGE)
    require_hosted(visit.channel)
    intake = _Intake(services, visit, None if subdir is None else Subdir.parse(subdir), may_replace=replace_deleted)
    content_type = request.headers.get("content-type", "")
    is_form = content_type.lower().startswith(_FORM)
    try:
        if is_form:
            await intake.take_form(content_type, request.stream())
        else:
            services.uploads.check_size(_announced(request))
            await intake.take(_filename(request, filename), request.stream())
    finally:
        if intake.has_news:
            await services.snapshots.reload()
    response.status_code = 201 if intake.has_news else 200
    return Listing(items=intake.taken, next=None) if is_form else intake.taken[0]


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _filename(request: Request, asked: str | None) -> str:
    """The name that the request gives. Raises Invalid `filename-missing`."""
    _, options = parse_options_header(request.headers.get("content-disposition"))
    name = asked or request.headers.get("x-file-name") or options.get(b"filename", b"").decode("utf-8", "replace")
    if not name:
        raise Invalid("filename-missing", "Say the file's name: in ?filename=, X-File-Name or Content-Disposition.")
    return name
