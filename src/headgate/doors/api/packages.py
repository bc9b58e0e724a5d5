"""What is said of packages: deprecations, notes, owners."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from headgate.access.grants import PrincipalKind
from headgate.access.permissions import Permission
from headgate.channels.packages import Owner, package_in
from headgate.conda.names import PackageName
from headgate.doors.api.callers import Deleting, Managing, Reading, Services, Uploading, require
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_batches import DeprecationBody, NoteBody, OwnerBody, PackageAnswer, shown_words
from headgate.doors.api.paging import Listing, Paging
from headgate.kernel.errors import Invalid

router = APIRouter(tags=["packages"], route_class=IdempotentRoute)

PackagePath = Annotated[str, Path(max_length=128, examples=["demo"])]
PrincipalPath = Annotated[str, Path(max_length=128, examples=["ada"])]
SpecQuery = Annotated[str, Query(max_length=500, examples=["demo <2"], description="As it was deprecated.")]


@router.get("/channels/{channel:path}/packages")
async def list_words(visit: Reading, services: Services, page: Paging) -> Listing[PackageAnswer]:
    """The packages of a channel that something is said of, by name."""
    found = await services.core.life.packages.list_words(visit.channel)
    words, following = page.cut_whole(found, lambda one: (one.package,))
    return Listing(items=[shown_words(one) for one in words], next=following)


@router.get("/channels/{channel:path}/packages/{package}")
async def show_words(visit: Reading, services: Services, package: PackagePath) -> PackageAnswer:
    """What is said of one package."""
    return shown_words(await services.core.life.packages.get(visit.channel, PackageName.parse(package)))


@router.post("/channels/{channel:path}/packages/{package}/deprecations", status_code=201)
async def deprecate(body: DeprecationBody, visit: Deleting, services: Services, package: PackagePath) -> PackageAnswer:
    """Deprecate a package, or versions of it; users read why in `notices.json`. Needs `artifact:delete` on it."""
    visit.require(Permission.ARTIFACT_DELETE, package)
    _require_about(body.spec, package)
    packages = services.core.life.packages
    words = await packages.deprecate(
        visit.actor, visit.channel.name, body.spec, body.reason, is_avoided=body.is_avoided
    )
    await services.snapshots.reload()
    return shown_words(words)


@router.delete("/channels/{channel:path}/packages/{package}/deprecations")
async def undeprecate(visit: Deleting, services: Services, package: PackagePath, spec: SpecQuery) -> PackageAnswer:
    """Take a deprecation back."""
    visit.require(Permission.ARTIFACT_DELETE, package)
    _require_about(spec, package)
    words = await services.core.life.packages.undeprecate(visit.actor, visit.channel.name, spec)
    await services.snapshots.reload()
    return shown_words(words)


@router.put("/channels/{channel:path}/packages/{package}/note")
async def annotate(body: NoteBody, visit: Uploading, services: Services, package: PackagePath) -> PackageAnswer:
    """Put a note on a package; an empty one removes it. Needs `artifact:upload` on it."""
    visit.require(Permission.ARTIFACT_UPLOAD, package)
    name = PackageName.parse(package)
    return shown_words(await services.core.life.packages.annotate(visit.actor, visit.channel.name, name, body.text))


@router.put("/channels/{channel:path}/packages/{package}/owners/{kind}/{principal}")
async def add_owner(
    body: OwnerBody,
    visit: Managing,
    services: Services,
    package: PackagePath,
    kind: PrincipalKind,
    principal: PrincipalPath,
) -> PackageAnswer:
    """Say that somebody owns a package; letting them publish it needs `access:manage` besides."""
    if body.may_publish:
        require(visit.principal, Permission.ACCESS_MANAGE)
    owner = Owner(kind, principal, body.may_publish)
    name = PackageName.parse(package)
    words = await services.core.life.packages.add_owner(visit.actor, visit.channel.name, name, owner)
    await services.snapshots.reload()
    return shown_words(words)


@router.delete("/channels/{channel:path}/packages/{package}/owners/{kind}/{principal}")
async def remove_owner(
    visit: Managing, services: Services, package: PackagePath, kind: PrincipalKind, principal: PrincipalPath
) -> PackageAnswer:
    """Say that somebody owns a package no longer; the grant that came with it is taken back."""
    name = PackageName.parse(package)
    packages = services.core.life.packages
    words = await packages.remove_owner(visit.actor, visit.channel.name, name, kind, principal)
    await services.snapshots.reload()
    return shown_words(words)


def _require_about(spec: str, package: str) -> None:
    if package_in(spec) != package:
        raise Invalid("match-spec-invalid", f"{spec[:200]!r} is not about {package}.")
