"""Advisories brought by hand: a file as it comes, or a URL that is followed; and what became of each."""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.advisories.feeds import MAX_BYTES, UPLOADS
from headgate.conda.names import Sha256
from headgate.doors.web.viewing import Sent, Viewer, change, signed_in, upload
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Refused

_HERE = "/advisories/import"
_KINDS = frozenset({"import-advisories", "refresh-feed"})
_MINUTES = 60


@signed_in
async def show_import(viewer: Viewer) -> Response:
    """What can be brought, and how."""
    return _page(viewer)


@upload
async def take_file(viewer: Viewer, sent: Sent) -> Response:
    """Keep the file, and let a job read it, whatever its form."""
    viewer.require(Permission.ADVISORY_MANAGE)
    form = sent.fields
    feed = form.get("feed", "").strip() or UPLOADS
    try:
        sha256 = await _keep(viewer, sent)
    except Refused:
        raise
    except HeadgateError as error:
        return _page(viewer, form, error.message)
    is_whole = form.get("is_whole") == "on"
    job = await viewer.services.jobs.import_advisories(viewer.actor, feed, sha256, is_whole=is_whole)
    return viewer.go(path_of_import(job), "The file is being read.")


@change
async def take_url(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Follow a URL from now on, under a name that is new or known."""
    viewer.require(Permission.ADVISORY_MANAGE)
    feeds, name, url = viewer.services.advisories.feeds, form.get("name", "").strip(), form.get("url", "").strip()
    try:
        if not url:
            raise Invalid("url-invalid", "Say where it is.")
        if name in {one.name for one in await feeds.list_feeds()}:
            await feeds.set_feed(viewer.actor, name, url=url)
        else:
            await feeds.add(viewer.actor, name, url, interval_minutes=_MINUTES, is_whole=form.get("is_whole") == "on")
    except Refused:
        raise
    except HeadgateError as error:
        return _page(viewer, form, error.message)
    job = await viewer.services.jobs.refresh_feed(viewer.actor, name)
    return viewer.go(path_of_import(job), f"{name} is being read.")


@signed_in
async def follow_import(viewer: Viewer) -> Response:
    """How far it is, and what it changed."""
    viewer.require(Permission.ADVISORY_MANAGE)
    job = await viewer.services.jobs.get_job(viewer.request.path_params["job"][:200])
    if job.kind not in _KINDS:
        raise NotFound("job-unknown", f"There is no import {job.id}.")
    result = job.result if isinstance(job.result, dict) else {}
    return viewer.page("advisory_import_job.html", part="advisory_import_found.html", job=job, result=result)


def path_of_import(job: str) -> str:
    """The page of an import's job."""
    return f"/advisories/imports/{quote(job, safe='')}"


def _page(viewer: Viewer, form: Mapping[str, str] | None = None, wrong: str | None = None) -> Response:
    viewer.require(Permission.ADVISORY_MANAGE)
    return viewer.page("advisory_import.html", 422 if wrong else 200, form=form or {}, wrong=wrong, uploads=UPLOADS)


async def _keep(viewer: Viewer, sent: Sent) -> Sha256:
    """The first file as a blob, which the job finds. Raises Invalid `request-too-large` or `feed-invalid`."""
    file = await anext(sent.files, None)
    if file is None:
        raise Invalid("feed-invalid", "Choose a file.")
    with viewer.services.core.store.writer() as writer:
        async for piece in file.body:
            if writer.size_bytes + len(piece) > MAX_BYTES:
                raise Invalid("request-too-large", f"A file of advisories has at most {MAX_BYTES >> 30} GiB.")
            writer.write(piece)
        if not writer.size_bytes:
            raise Invalid("feed-invalid", "Choose a file that is not empty.")
        return writer.commit()


ROUTES = [
    Route(_HERE, show_import),
    Route(_HERE, take_file, methods=["POST"]),
    Route(f"{_HERE}/url", take_url, methods=["POST"]),
    Route("/advisories/imports/{job}", follow_import),
]
