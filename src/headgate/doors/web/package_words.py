"""What people say of a package, changed on its page: deprecations, the note, owners."""

from collections.abc import Awaitable, Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.grants import PrincipalKind
from headgate.access.permissions import Permission
from headgate.channels.model import Channel
from headgate.channels.packages import Owner, PackageWords, package_in
from headgate.conda.names import PackageName
from headgate.doors.places import package_path
from headgate.doors.web.packages import package_page
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change
from headgate.kernel.errors import HeadgateError, Invalid, Refused

_HERE = "/packages/{channel:path}/{name}"
_OWNING = (PrincipalKind.USER, PrincipalKind.SERVICE, PrincipalKind.GROUP)
_LONGEST = {"spec": 500, "reason": 1_000, "text": 10_000, "principal": 128}


@change
async def deprecate(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Say that the package, or versions of it, are not to be used any more."""
    channel, name = _place(viewer, Permission.ARTIFACT_DELETE)
    is_avoided = form.get("is_avoided") == "on"

    async def write() -> PackageWords:
        spec, reason = _text(form, "spec").strip(), _text(form, "reason").strip()
        _require_about(spec, name)
        return await viewer.services.core.life.packages.deprecate(
            viewer.actor, channel.name, spec, reason, is_avoided=is_avoided
        )

    spec = form.get("spec", "").strip()
    back = Undo(_path(channel, name, "undeprecate"), {"spec": spec})
    return await _written(viewer, form, "deprecate", write(), f"{spec} is deprecated.", back)


@change
async def undeprecate(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Take it back."""
    channel, name = _place(viewer, Permission.ARTIFACT_DELETE)
    spec, packages = _text(form, "spec"), viewer.services.core.life.packages
    _require_about(spec, name)
    known = next((one for one in (await packages.get(channel, name)).deprecations if one.spec == spec), None)
    back = None
    if known is not None:
        fields = {"spec": spec, "reason": known.reason, "is_avoided": "on" if known.is_avoided else ""}
        back = Undo(_path(channel, name, "deprecate"), fields)
    written = packages.undeprecate(viewer.actor, channel.name, spec)
    return await _written(viewer, form, "deprecate", written, f"{spec} is no longer deprecated.", back)


@change
async def annotate(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Put a note on it; an empty one takes the note away."""
    channel, name = _place(viewer, Permission.ARTIFACT_UPLOAD)
    packages = viewer.services.core.life.packages
    before = (await packages.get(channel, name)).note

    async def write() -> PackageWords:
        text = _text(form, "text").replace("\r\n", "\n").strip()
        return await packages.annotate(viewer.actor, channel.name, name, text)

    back = Undo(_path(channel, name, "note"), {"text": before})
    said = "The note is kept." if form.get("text", "").strip() else "The note is gone."
    return await _written(viewer, form, "note", write(), said, back)


@change
async def add_owner(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Say whose it is; that they may publish it takes who manages access."""
    channel, name = _place(viewer, Permission.CHANNEL_MANAGE)
    may_publish = form.get("may_publish") == "on"
    if may_publish:
        viewer.require(Permission.ACCESS_MANAGE)
    kind, principal = _kind(form), form.get("principal", "").strip()

    async def write() -> PackageWords:
        owner = Owner(kind, _text(form, "principal").strip(), may_publish)
        return await viewer.services.core.life.packages.add_owner(viewer.actor, channel.name, name, owner)

    back = Undo(_path(channel, name, "disown"), {"kind": kind.value, "principal": principal})
    return await _written(viewer, form, "own", write(), f"{name} belongs to {kind} {principal}.", back)


@change
async def remove_owner(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """They own it no longer; the grant that came with it goes, too."""
    channel, name = _place(viewer, Permission.CHANNEL_MANAGE)
    kind, principal = _kind(form), _text(form, "principal")
    packages = viewer.services.core.life.packages
    owners = (await packages.get(channel, name)).owners
    could_publish = Owner(kind, principal, may_publish=True) in owners
    fields = {"kind": kind.value, "principal": principal, "may_publish": "on" if could_publish else ""}
    back = (
        None
        if could_publish and not viewer.may(Permission.ACCESS_MANAGE)
        else Undo(_path(channel, name, "own"), fields)
    )
    written = packages.remove_owner(viewer.actor, channel.name, name, kind, principal)
    return await _written(viewer, form, "own", written, f"{name} no longer belongs to {kind} {principal}.", back)


def _place(viewer: Viewer, permission: Permission) -> tuple[Channel, PackageName]:
    """The channel and the package, where the viewer may do that with it; channels are managed as a whole."""
    name, is_whole = viewer.request.path_params["name"], permission is Permission.CHANNEL_MANAGE
    channel = viewer.channel(permission, is_for_some=not is_whole)
    viewer.require(permission, channel, None if is_whole else name)
    return channel, PackageName.parse(name)


async def _written(
    viewer: Viewer, form: Mapping[str, str], which: str, writing: Awaitable[PackageWords], said: str, back: Undo | None
) -> Response:
    """Wait for the change; what is wrong with it is said beside its form, and nothing typed is lost."""
    try:
        await writing
    except Refused:
        raise
    except HeadgateError as error:
        return await package_page(viewer, form, (which, error.message))
    await viewer.services.snapshots.reload()
    params = viewer.request.path_params
    return viewer.go(package_path(params["channel"], params["name"]), said, back)


def _require_about(spec: str, name: PackageName) -> None:
    if package_in(spec) != name:
        raise Invalid("match-spec-invalid", f"{spec!r} is not about {name}.")


def _text(form: Mapping[str, str], key: str) -> str:
    """A field within its bounds. Raises Invalid `form-invalid`."""
    text, most = form.get(key, ""), _LONGEST[key]
    if len(text) > most:
        raise Invalid("form-invalid", f"The text is longer than {most:,} characters.")
    return text


def _kind(form: Mapping[str, str]) -> PrincipalKind:
    kind = form.get("kind", "")
    if kind not in _OWNING:
        raise Invalid("form-invalid", "An owner is a user, a service account or a group.")
    return PrincipalKind(kind)


def _path(channel: Channel, name: str, act: str) -> str:
    return f"{package_path(channel.name, name)}/{act}"


ROUTES = [
    Route(f"{_HERE}/deprecate", deprecate, methods=["POST"]),
    Route(f"{_HERE}/undeprecate", undeprecate, methods=["POST"]),
    Route(f"{_HERE}/note", annotate, methods=["POST"]),
    Route(f"{_HERE}/own", add_owner, methods=["POST"]),
    Route(f"{_HERE}/disown", remove_owner, methods=["POST"]),
]
