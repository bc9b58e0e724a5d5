"""Advisory feeds: added, read now, changed, removed."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.doors.web.advisory_imports import path_of_import
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in
from headgate.http.masking import mask_url
from headgate.kernel.errors import HeadgateError, Invalid

_HERE = "/advisories/feeds"
_LEAST_MINUTES, _MOST_MINUTES = 5, 525_600


@signed_in
async def show_feeds(viewer: Viewer) -> Response:
    """How old what they said is, and what troubles them."""
    return await _page(viewer)


@change
async def add_feed(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Follow one, and read it at once; what is wrong is said beside the form."""
    viewer.require(Permission.ADVISORY_MANAGE)
    name, url = form.get("name", "").strip(), form.get("url", "").strip() or None
    feeds = viewer.services.advisories.feeds
    try:
        minutes = _minutes(form)
        await feeds.add(viewer.actor, name, url, interval_minutes=minutes, is_whole=form.get("is_whole") == "on")
    except HeadgateError as error:
        return await _page(viewer, form, error.message)
    if url is None:
        return viewer.go(_HERE, f"{name} is added; imports fill it.")
    job = await viewer.services.jobs.refresh_feed(viewer.actor, name)
    return viewer.go(path_of_import(job), f"{name} is being read.")


@change
async def read_feed(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Look at its URL now; a job."""
    viewer.require(Permission.ADVISORY_MANAGE)
    name = form.get("name", "")
    await viewer.services.advisories.feeds.get_feed(name)
    job = await viewer.services.jobs.refresh_feed(viewer.actor, name)
    return viewer.go(path_of_import(job), f"{name} is being read.")


@change
async def set_feed(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Where it is, how often it is read; what is left empty stays."""
    viewer.require(Permission.ADVISORY_MANAGE)
    name, url = form.get("name", ""), form.get("url", "").strip() or None
    minutes = _minutes(form) if form.get("minutes", "").strip() else None
    if url is None and minutes is None:
        raise Invalid("form-invalid", "Say where the feed is, or how often it is read.")
    await viewer.services.advisories.feeds.set_feed(viewer.actor, name, url=url, interval_minutes=minutes)
    if url is None:
        return viewer.go(_HERE, f"{name} is read every {minutes} minutes.")
    job = await viewer.services.jobs.refresh_feed(viewer.actor, name)
    return viewer.go(path_of_import(job), f"{name} is being read.")


@change
async def remove_feed(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """With all that only it says: the name is asked for."""
    viewer.require(Permission.ADVISORY_MANAGE)
    name = form.get("name", "")
    require_typed(form, name)
    await viewer.services.advisories.feeds.remove(viewer.actor, name)
    await viewer.services.snapshots.reload()
    return viewer.go(_HERE, f"{name} is followed no longer.")


async def _page(viewer: Viewer, form: Mapping[str, str] | None = None, wrong: str | None = None) -> Response:
    viewer.require(Permission.ADVISORY_READ)
    found = await viewer.services.advisories.feeds.list_feeds()
    return viewer.page(
        "feeds.html",
        422 if wrong else 200,
        feeds=[(one, None if one.url is None else mask_url(one.url)) for one in found],
        may_manage=viewer.may(Permission.ADVISORY_MANAGE),
        form=form or {},
        wrong=wrong,
    )


def _minutes(form: Mapping[str, str]) -> int:
    text = form.get("minutes", "").strip() or "60"
    if not text.isascii() or not text.isdecimal() or not _LEAST_MINUTES <= int(text[:9]) <= _MOST_MINUTES:
        raise Invalid("form-invalid", f"A feed is read every {_LEAST_MINUTES} to {_MOST_MINUTES} minutes.")
    return int(text)


ROUTES = [
    Route(_HERE, show_feeds),
    Route(_HERE, add_feed, methods=["POST"]),
    Route(f"{_HERE}/read", read_feed, methods=["POST"]),
    Route(f"{_HERE}/set", set_feed, methods=["POST"]),
    Route(f"{_HERE}/remove", remove_feed, methods=["POST"]),
]
