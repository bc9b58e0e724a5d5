"""Bundles that come in: sent by a page and followed as they land; the keys that are trusted; the drop folder."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.airgap.drops import list_dropped
from headgate.airgap.keys import parse_public_key
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName
from headgate.doors.multipart import FormPart
from headgate.doors.web.admin import admin_page
from headgate.doors.web.channels import insist_managing
from headgate.doors.web.following import find_job, states
from headgate.doors.web.streams import stream
from headgate.doors.web.viewing import Sent, Viewer, change, require_typed, signed_in, upload
from headgate.jobs.service import Job
from headgate.kernel.errors import Conflict, HeadgateError, Invalid, NotFound, Refused

_HERE: Final = "/admin/bundles"
_AT_ONCE = 50
_IMPORT, _SCAN = frozenset({"import-bundle"}), frozenset({"scan-drop-folder"})


@upload
async def import_bundle(viewer: Viewer, sent: Sent) -> Response:
    """Take a bundle as it comes, its parts joined, and ask for the job that verifies it and takes it in."""
    services = viewer.services
    name = ChannelName.parse(sent.fields.get("channel", "").strip())
    insist_managing(viewer, name)
    found = services.catalog.find(name)
    if found is not None and found.kind is not ChannelKind.BUNDLE:
        raise Conflict("kind-unfit", f"Channel {name} is {found.kind}; bundles are taken into one of kind bundle.")
    text = sent.fields.get("key", "").strip()
    key = parse_public_key(text) if text else None
    if key is None and not await services.core.trust.list_keys():
        raise Refused(
            "bundle-untrusted", "No key is trusted here yet: give the public key of whoever signed the bundle."
        )
    path = await services.exports.receive(_joined(sent.files))
    job = await services.jobs.take_in(viewer.actor, name, path, key)
    return viewer.go(f"/bundles/imports/{job}")


async def _joined(files: AsyncIterator[FormPart]) -> AsyncIterator[bytes]:
    """The bytes of a bundle, or of its parts in their order. Raises Invalid `form-invalid`."""
    last = ""
    async for file in files:
        filename = file.filename or ""
        if filename < last:
            raise Invalid(
                "form-invalid", f"{filename} comes after {last}: choose the parts of one bundle in their order."
            )
        last = filename
        async for piece in file.body:
            yield piece
    if not last:
        raise Invalid("form-invalid", "Choose the bundle: its file, or all its parts.")


@signed_in
async def show_import(viewer: Viewer) -> Response:
    """How far an import is, and what came of it."""
    job = await _import(viewer)
    channel = str(job.request["channel"])
    is_there = viewer.services.catalog.find(channel) is not None
    return viewer.page("bundle_import.html", job=job, channel=channel, is_there=is_there)


@signed_in
async def follow_import(viewer: Viewer) -> Response:
    """The same as server-sent events."""
    return stream(states(viewer.services.jobs, (await _import(viewer)).id))


async def _import(viewer: Viewer) -> Job:
    """The import that the path names, of a channel that the viewer manages. Raises NotFound `job-unknown`."""
    number = viewer.request.path_params["id"]
    job = await find_job(viewer.services.jobs, number, _IMPORT)
    if job is None:
        raise NotFound("job-unknown", f"There is no job {number}.")
    insist_managing(viewer, str(job.request["channel"]))
    return job


@signed_in
async def show_keys(viewer: Viewer) -> Response:
    """Whose bundles are taken, and what came by the drop folder."""
    return await _page(viewer)


@change
async def add_key(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Trust a key; what is wrong is said beside the form."""
    viewer.require(Permission.BUNDLE_TRUST)
    name = form.get("name", "").strip()
    try:
        await viewer.services.core.trust.add(viewer.actor, name, form.get("key", ""))
    except Refused:
        raise
    except HeadgateError as error:
        return await _page(viewer, form=form, wrong=error.message)
    return viewer.go(_HERE, f"Bundles that {name} signed are taken.")


@change
async def remove_key(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Trust it no longer: the key is forgotten, so the name is asked for."""
    viewer.require(Permission.BUNDLE_TRUST)
    name = form.get("name", "")
    require_typed(form, name)
    await viewer.services.core.trust.remove(viewer.actor, name)
    return viewer.go(_HERE, f"{name} is trusted no longer; what came with it stays.")


@change
async def scan(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """Look through the drop folder now; the page follows it."""
    viewer.require(Permission.BUNDLE_TRUST)
    job = await viewer.services.jobs.scan_drops(viewer.actor)
    return viewer.go(f"{_HERE}?job={job}")


@signed_in
async def follow_scan(viewer: Viewer) -> Response:
    """How far a look is, as server-sent events."""
    viewer.require(Permission.BUNDLE_TRUST)
    number = viewer.request.query_params.get("job", "")
    job = await find_job(viewer.services.jobs, number, _SCAN)
    if job is None:
        raise NotFound("job-unknown", f"There is no job {number}.")
    return stream(states(viewer.services.jobs, job.id))


async def _page(viewer: Viewer, form: Mapping[str, str] | None = None, wrong: str | None = None) -> Response:
    viewer.require(Permission.BUNDLE_TRUST)
    core, asked = viewer.services.core, viewer.request.query_params
    before = _number(asked.get("before"))
    dropped = await list_dropped(core.database, before=before, limit=_AT_ONCE + 1)
    more = len(dropped) > _AT_ONCE
    return admin_page(
        viewer,
        "bundle_keys.html",
        _HERE,
        status=422 if wrong else 200,
        keys=await core.trust.list_keys(),
        folder=core.place.settings.airgap.drop_folder,
        job=await find_job(viewer.services.jobs, asked.get("job"), _SCAN),
        dropped=[one for _, one in dropped[:_AT_ONCE]],
        next=f"{_HERE}?before={dropped[_AT_ONCE - 1][0]}" if more else None,
        is_first=before is None,
        form=form or {},
        wrong=wrong,
    )


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise Invalid("cursor-invalid", "This is no place in the list; begin at its first page.")
    return int(text)


ROUTES = [
    Route("/bundles/imports", import_bundle, methods=["POST"]),
    Route("/bundles/imports/{id}", show_import),
    Route("/bundles/imports/{id}/events", follow_import),
    Route(_HERE, show_keys),
    Route(_HERE, add_key, methods=["POST"]),
    Route(f"{_HERE}/remove", remove_key, methods=["POST"]),
    Route(f"{_HERE}/scan", scan, methods=["POST"]),
    Route(f"{_HERE}/scan/events", follow_scan),
]
