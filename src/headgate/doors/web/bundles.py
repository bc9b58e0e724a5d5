"""Bundles of a channel: prepared here, signed elsewhere, fetched whole; and sent here to be taken in.

asked for (a job) --done--> manifest fetched, signed on the machine with the key --signature--> the bundle, as one file
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.airgap.container import opening
from headgate.airgap.exports import Export
from headgate.airgap.keys import parse_signature
from headgate.airgap.manifest import Selection
from headgate.airgap.selection import parse_selection
from headgate.airgap.wishes import read_followed, write_selection, write_since
from headgate.channels.model import Channel, ChannelKind
from headgate.conda.locks import parse_lock
from headgate.doors.web.channel import frame, may_carry
from headgate.doors.web.channels import lines_of
from headgate.doors.web.following import find_job, is_of, states
from headgate.doors.web.streams import stream
from headgate.doors.web.viewing import Viewer, change, large_change, signed_in
from headgate.jobs.service import Job
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Refused
from headgate.storage.local import disk_errors

_EXPORT: Final = "export-bundle"
_LOOKED_THROUGH = 200
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Offer:
    """An export that is still here, with the job that makes or made it."""

    job: Job
    export: str
    is_ready: bool

    @property
    def name(self) -> str:
        """What its files are called."""
        stem = str(self.job.request["channel"]).replace("/", "__")
        return f"{stem}-{self.job.result['number']}" if self.job.result else stem


@signed_in
async def show_bundles(viewer: Viewer) -> Response:
    """Those that were prepared, and the forms for another and for one to be taken in."""
    return await _page(viewer, viewer.channel(), {}, None)


@large_change
async def export(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Ask for a bundle; what is wrong is said beside the form."""
    channel = _exporting(viewer)
    exports, export_id = viewer.services.exports, secrets.token_hex(16)
    folder = exports.folder(export_id)
    with disk_errors():
        folder.mkdir(mode=0o700)
    try:
        selection, since = await _wish(viewer, channel, form)
        await asyncio.to_thread(write_selection, folder, selection)
        if since is not None:
            await asyncio.to_thread(write_since, folder, channel.name, since)
        wanted = await asyncio.to_thread(read_followed, folder)
        if wanted.policy:
            viewer.require(Permission.POLICY_READ)
            await viewer.services.core.policies.get(wanted.policy)
    except BaseException as error:
        exports.remove(export_id)
        if isinstance(error, HeadgateError) and not isinstance(error, Refused):
            return await _page(viewer, channel, form, error.message)
        raise
    await viewer.services.jobs.export(viewer.actor, channel.name, export_id)
    return viewer.go(f"/channels/{channel.name}/bundles", "The bundle is being prepared.")


@signed_in
async def follow(viewer: Viewer) -> Response:
    """How far an export is, as server-sent events."""
    channel = _exporting(viewer)
    offer = await _offer(viewer, channel)
    return stream(states(viewer.services.jobs, offer.job.id))


@signed_in
async def fetch_manifest(viewer: Viewer) -> Response:
    """What is to be signed, byte by byte."""
    offer = await _offer(viewer, _exporting(viewer))
    found = await _opened(viewer, offer)
    headers = _HEADERS | _attached(f"{offer.name}.manifest.json")
    return Response(found.data, headers=headers, media_type="application/json")


@signed_in
async def fetch_bundle(viewer: Viewer) -> Response:
    """The whole bundle, with the signature that was made elsewhere in its place."""
    offer = await _offer(viewer, _exporting(viewer))
    found = await _opened(viewer, offer)
    if found.has_advisories:
        viewer.require(Permission.ADVISORY_READ)
    head = opening(found.data, parse_signature(viewer.request.query_params.get("signature", "")))
    length = len(head) + found.content_bytes
    headers = _HEADERS | _attached(offer.name) | {"content-length": str(length)}
    return StreamingResponse(_whole(viewer, head, found), headers=headers, media_type="application/x-tar")


@change
async def remove(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """Forget an export; the channel keeps its files, and another one can be prepared at any time."""
    channel = _exporting(viewer)
    offer = await _offer(viewer, channel)
    await asyncio.to_thread(viewer.services.exports.remove, offer.export)
    return viewer.go(
        f"/channels/{channel.name}/bundles", "The export is forgotten; bundles that were fetched stay good."
    )


async def _whole(viewer: Viewer, head: bytes, found: Export) -> AsyncIterator[bytes]:
    yield head
    async for piece in viewer.services.exports.iter_content(found):
        yield piece


async def _page(viewer: Viewer, channel: Channel, form: Mapping[str, str], wrong: str | None) -> Response:
    may_export = may_carry(viewer, channel)
    if not may_export:
        viewer.require(Permission.CHANNEL_MANAGE, channel)
    offers = await _offers(viewer, channel) if may_export else []
    may_judge = may_export and viewer.may(Permission.POLICY_READ)
    policies = await viewer.services.core.policies.list_policies() if may_judge else []
    return viewer.page(
        "bundles.html",
        422 if wrong else 200,
        **frame(viewer, channel),
        here=f"/channels/{channel.name}/bundles",
        offers=offers,
        may_export=may_export,
        may_read_advisories=viewer.may(Permission.ADVISORY_READ),
        policies=[one.policy.name for one in policies],
        may_import=channel.kind is ChannelKind.BUNDLE and viewer.may(Permission.CHANNEL_MANAGE, channel),
        form=form,
        wrong=wrong,
    )


def _exporting(viewer: Viewer) -> Channel:
    channel = viewer.channel(Permission.BUNDLE_EXPORT)
    viewer.require(Permission.CHANNEL_READ, channel)
    viewer.require(Permission.ARTIFACT_DOWNLOAD, channel)
    return channel


async def _offers(viewer: Viewer, channel: Channel) -> list[Offer]:
    jobs = await viewer.services.jobs.list_jobs(kind=_EXPORT, limit=_LOOKED_THROUGH)
    found = [_offer_of(viewer, job) for job in jobs if is_of(job, channel.name)]
    return [one for one in found if one is not None]


async def _offer(viewer: Viewer, channel: Channel) -> Offer:
    """The export that the path names. Raises NotFound `export-unknown`."""
    job = await find_job(viewer.services.jobs, viewer.request.path_params["id"], frozenset({_EXPORT}))
    found = _offer_of(viewer, job) if job is not None and is_of(job, channel.name) else None
    if found is None:
        raise NotFound("export-unknown", "There is no such export; it may have been cleared away. Export again.")
    return found


def _offer_of(viewer: Viewer, job: Job) -> Offer | None:
    """None when it was removed, or cleared away."""
    export_id = str(job.request["export"])
    folder = viewer.services.exports.folder(export_id)
    if not folder.exists():
        return None
    return Offer(job, export_id, viewer.services.exports.is_ready(export_id))


async def _opened(viewer: Viewer, offer: Offer) -> Export:
    return await asyncio.to_thread(viewer.services.exports.open, offer.export)


async def _wish(viewer: Viewer, channel: Channel, form: Mapping[str, str]) -> tuple[Selection, bytes | None]:
    """What a form selects, and the manifest to follow."""
    what = form.get("what", "whole")
    specs, files = list[str](), dict[str, str]()
    if what == "specs":
        specs = [line.strip() for line in form.get("specs", "").splitlines() if line.strip()]
        if not specs:
            raise Invalid("form-invalid", "Write at least one match spec, such as numpy >=2.")
    elif what == "lock":
        lock = await asyncio.to_thread(parse_lock, form.get("lock", ""))
        files = {one.place: one.sha256 for one in lock.files}
    elif what != "whole":
        raise Invalid("form-invalid", "Choose what goes along.")
    has_advisories = "has_advisories" in form
    if has_advisories:
        viewer.require(Permission.ADVISORY_READ)
    policy = form.get("policy", "").strip()
    selection = parse_selection(
        lines_of(form.get("subdirs", "")), specs, files, has_advisories=has_advisories, policy=policy
    )
    if text := form.get("since", "").strip():
        return selection, text.encode()
    if earlier := form.get("earlier"):
        job = await find_job(viewer.services.jobs, earlier, frozenset({_EXPORT}))
        offer = _offer_of(viewer, job) if job is not None and is_of(job, channel.name) else None
        if offer is None:
            raise NotFound("export-unknown", "The earlier export is not here any more. Give its manifest.")
        return selection, (await _opened(viewer, offer)).data
    return selection, None


def _attached(filename: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{filename}"'}


_HERE = "/channels/{channel:path}/bundles"
ROUTES = [
    Route(_HERE, show_bundles),
    Route(_HERE, export, methods=["POST"]),
    Route(f"{_HERE}/{{id}}/events", follow),
    Route(f"{_HERE}/{{id}}/manifest", fetch_manifest),
    Route(f"{_HERE}/{{id}}/bundle", fetch_bundle),
    Route(f"{_HERE}/{{id}}/remove", remove, methods=["POST"]),
]
