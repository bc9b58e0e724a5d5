"""Uploads from the browser: one file or several, each with what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.model import Channel
from headgate.conda.names import ArtifactName, Subdir
from headgate.doors.multipart import FormPart, read_attestations, skip
from headgate.doors.web.channel import frame
from headgate.doors.web.viewing import Sent, Viewer, anyone, upload
from headgate.intake.hosted import require_hosted
from headgate.intake.uploads import Uploaded
from headgate.kernel.errors import HeadgateError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: `uploaded`, or the sentence that says why not."""

    filename: str
    uploaded: Uploaded | None = None
    refusal: str = ""
    reasons: Sequence[str] = ()


@anyone
async def show_form(viewer: Viewer) -> Response:
    """Where files are chosen."""
    return _page(viewer, _channel(viewer))


@upload
async def take_files(viewer: Viewer, sent: Sent) -> Response:
    """Take each file that fits; of the others, say why not."""
    channel = _channel(viewer)
    outcomes: list[Outcome] = []
    try:
        attestations: bytes | None = None
        async for file in sent.files:
            if file.field == "attestation":
                attestations = await read_attestations(file.body)
                continue
            name = file.filename or ""
            try:
                outcomes.append(Outcome(name, await _take(viewer, channel, file, sent, attestations)))
            except HeadgateError as error:
                outcomes.append(Outcome(name, None, error.message, error.reasons))
                await skip(file.body)
    except HeadgateError as error:
        error.reasons = (*error.reasons, *(f"{one.filename} was taken." for one in outcomes if one.uploaded))
        raise
    finally:
        if any(one.uploaded and one.uploaded.is_new for one in outcomes):
            await viewer.services.snapshots.reload()
    if not outcomes:
        outcomes.append(Outcome("", None, "No file was chosen."))
    return _page(viewer, channel, outcomes)


async def _take(viewer: Viewer, channel: Channel, file: FormPart, sent: Sent, attestations: bytes | None) -> Uploaded:
    """One file, as the API takes it. Raises what `Uploads.take` raises, and Refused."""
    artifact = ArtifactName.parse(file.filename or "")
    viewer.require(Permission.ARTIFACT_UPLOAD, channel, artifact.name)
    may_replace = sent.fields.get("replace_deleted") == "on"
    if may_replace:
        viewer.require(Permission.CHANNEL_MANAGE, channel)
    subdir = sent.fields.get("subdir", "").strip()
    return await viewer.services.uploads.take(
        viewer.actor,
        channel,
        str(artifact),
        file.body,
        subdir=Subdir.parse(subdir) if subdir else None,
        may_replace_deleted=may_replace,
        attestations=attestations,
    )


def _channel(viewer: Viewer) -> Channel:
    """A hosted channel where the viewer may upload some package. Raises Refused, Conflict `kind-unfit`."""
    channel = viewer.channel(Permission.ARTIFACT_UPLOAD, is_for_some=True)
    require_hosted(channel)
    return channel


def _page(viewer: Viewer, channel: Channel, outcomes: Sequence[Outcome] = ()) -> Response:
    is_in_vain = bool(outcomes) and not any(one.uploaded for one in outcomes)
    return viewer.page(
        "upload.html",
        422 if is_in_vain else 200,
        part="upload_outcomes.html",
        **frame(viewer, channel),
        outcomes=outcomes,
        most_bytes=viewer.services.core.place.settings.upload.max_bytes,
    )


ROUTES = [
    Route("/channels/{channel:path}/upload", show_form),
    Route("/channels/{channel:path}/upload", take_files, methods=["POST"]),
]
