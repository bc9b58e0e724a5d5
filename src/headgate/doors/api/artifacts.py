"""The files that a channel holds: listed, yanked, deleted."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from headgate.access.permissions import Permission
from headgate.channels.artifacts import Artifact, ArtifactFilter, get_artifact
from headgate.channels.artifacts import list_artifacts as read_artifacts
from headgate.channels.model import Channel
from headgate.conda.names import ArtifactName, PackageName, Subdir
from headgate.doors.api.callers import Deleting, Reading, Services, Visit
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import ArtifactAnswer
from headgate.doors.api.paging import Listing, Number, Paging, Word
from headgate.doors.api.revisions import SubdirPath, SubdirQuery
from headgate.doors.api.services import ApiServices
from headgate.intake.hosted import SetStatus, delete, unyank, yank

router = APIRouter(tags=["artifacts"], route_class=IdempotentRoute)

FilenamePath = Annotated[str, Path(examples=["demo-1.0-0.conda"])]


@router.get("/channels/{channel:path}/artifacts")
async def list_artifacts(
    visit: Reading,
    services: Services,
    page: Paging,
    subdir: SubdirQuery = None,
    package: Annotated[str | None, Query(description="Of this package only.", examples=["numpy"])] = None,
    status: Annotated[
        Literal["active", "yanked", "lapsed", "deleted"] | None, Query(description="Left out: all but deleted ones.")
    ] = None,
) -> Listing[ArtifactAnswer]:
    """The files that a channel holds, by subdir and name. A mirror holds what clients have asked for."""
    chosen = ArtifactFilter(
        subdir=None if subdir is None else Subdir.parse(subdir),
        package=None if package is None else PackageName.parse(package),
        status=status,
    )
    after = page.after(tuple[Number, Word])
    found = await read_artifacts(services.core.database, visit.channel, chosen, after=after, limit=page.limit + 1)
    artifacts, following = page.cut(found, lambda one: (one.subdir_id, one.filename))
    return Listing(items=[shown_artifact(visit.channel, one) for one in artifacts], next=following)


@router.delete("/channels/{channel:path}/artifacts/{subdir}/{filename}", status_code=204)
async def delete_artifact(visit: Deleting, services: Services, subdir: SubdirPath, filename: FilenamePath) -> None:
    """Take a file out of the index and out of reach; its name is not given to other bytes again."""
    await _change(services, visit, delete(visit.actor, Subdir.parse(subdir), ArtifactName.parse(filename)))


@router.post("/channels/{channel:path}/artifacts/{subdir}/{filename}/yank")
async def yank_artifact(
    visit: Deleting, services: Services, subdir: SubdirPath, filename: FilenamePath
) -> ArtifactAnswer:
    """Take a file out of the index; whoever names it can still download it."""
    change = yank(visit.actor, Subdir.parse(subdir), ArtifactName.parse(filename))
    return await _changed(services, visit, change)


@router.post("/channels/{channel:path}/artifacts/{subdir}/{filename}/unyank")
async def unyank_artifact(
    visit: Deleting, services: Services, subdir: SubdirPath, filename: FilenamePath
) -> ArtifactAnswer:
    """Put a yanked file back into the index."""
    change = unyank(visit.actor, Subdir.parse(subdir), ArtifactName.parse(filename))
    return await _changed(services, visit, change)


def shown_artifact(channel: Channel, artifact: Artifact) -> ArtifactAnswer:
    """A file as the API shows it."""
    return ArtifactAnswer(
        channel=channel.name,
        subdir=artifact.subdir,
        filename=artifact.filename,
        package=artifact.package,
        status=artifact.status,
        origin=artifact.origin,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        created_at=artifact.created_at,
        created_by=artifact.created_by,
    )


async def _change(services: ApiServices, visit: Visit, change: SetStatus) -> None:
    visit.require(Permission.ARTIFACT_DELETE, change.artifact.name)
    await services.hosted.submit(visit.channel, change)
    await services.snapshots.reload()


async def _changed(services: ApiServices, visit: Visit, change: SetStatus) -> ArtifactAnswer:
    await _change(services, visit, change)
    found = await get_artifact(services.core.database, visit.channel, change.subdir, change.artifact)
    return shown_artifact(visit.channel, found)
