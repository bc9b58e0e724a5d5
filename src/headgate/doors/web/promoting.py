"""Promotions that somebody decides on directly: said what, looked at, decided."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.approvals.asking import read_pasted
from headgate.approvals.plans import ItemState
from headgate.approvals.request_rows import Wanted
from headgate.approvals.requests import Look
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName, Subdir
from headgate.doors.web.requests import evidence_of
from headgate.doors.web.viewing import Viewer, large_change, signed_in
from headgate.kernel.errors import Conflict, HeadgateError, Invalid, Refused

_MOST_PRESENT = 200
_LONGEST_WANT = 500
_LONGEST_COMMENT = 2_000
_MACHINE = re.compile(r"(__[a-z0-9_]{1,60})=([A-Za-z0-9._+!]{1,64})")


@signed_in
async def show_form(viewer: Viewer) -> Response:
    """Where it is said; `want`, `source` and `target` may come with the address."""
    given = viewer.request.query_params
    form = {
        "text": "\n".join(given.getlist("want")),
        "source": given.get("source", ""),
        "target": given.get("target", ""),
        "has_closure": "on",
    }
    return _page(viewer, form)


@large_change
async def preview(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """What would pass, file by file; changes nothing."""
    try:
        wanted, notes = await _read(viewer, form)
        look = await viewer.services.requests.look(wanted)
    except Refused:
        raise
    except HeadgateError as error:
        return _page(viewer, form, wrong=error)
    return _page(viewer, form, look, notes)


@large_change
async def promote(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Decide on what was looked at; a job brings the bytes in, then the index gets all of it at once."""
    services, look = viewer.services, None
    notes: Sequence[str] = ()
    try:
        wanted, notes = await _read(viewer, form)
        comment = _comment(form)
        look = await services.requests.look(wanted)
        if look.plan.problems or look.plan.failures:
            raise Conflict("promotion-hindered", "Some of it cannot be had.")
        number = await services.promotions.create(
            viewer.actor, look.plan, digest=form.get("digest", ""), comment=comment
        )
    except Refused:
        raise
    except HeadgateError as error:
        return _page(viewer, form, look, notes, error)
    await services.jobs.promote(viewer.actor, number)
    return viewer.go(f"/promotions/{number}", f"Promotion {number} is decided; its files are being brought in.")


async def _read(viewer: Viewer, form: Mapping[str, str]) -> tuple[Wanted, Sequence[str]]:
    """What is to pass, and what of it cannot by its nature. Raises Refused for channels that the viewer may not name."""
    services = viewer.services
    if not form.get("source"):
        raise Invalid("form-invalid", "Say from which channel it is to pass.")
    source = viewer.channel(Permission.PROMOTION_OUT, form["source"])
    following = form.get("target") or await services.core.life.pipelines.next_of(source.name)
    target = viewer.channel(Permission.PROMOTION_INTO, following)
    await services.core.life.pipelines.require_step(source.name, target.name)
    given = read_pasted(form.get("text", ""))
    if any(len(text) > _LONGEST_WANT or not text.isprintable() for text in given.texts):
        raise Invalid("form-invalid", f"Each line is one thing wanted, in at most {_LONGEST_WANT} characters.")
    platforms = [Subdir.parse(one) for one in form.get("platforms", "").replace(",", " ").split()]
    read = await asyncio.to_thread(replace(given, platforms=platforms).read)
    source = await services.freshness.read_first(source, read.platforms)
    wanted = Wanted(
        source.name,
        target.name,
        read.texts,
        read.platforms,
        has_closure=form.get("has_closure") == "on",
        machine=_machine(form.get("machine", "")),
    )
    return wanted, read.notes


def _machine(text: str) -> dict[str, str]:
    """Virtual packages. Raises Invalid `form-invalid`."""
    found = {}
    for one in text.replace(",", " ").split():
        pair = _MACHINE.fullmatch(one)
        if pair is None:
            raise Invalid("form-invalid", f"{one[:80]!r} is no virtual package such as __cuda=12.4.")
        found[pair[1]] = pair[2]
    return found


def _comment(form: Mapping[str, str]) -> str:
    comment = form.get("comment", "").strip()
    if len(comment) > _LONGEST_COMMENT:
        raise Invalid("form-invalid", f"Say why in at most {_LONGEST_COMMENT:,} characters.")
    return comment


def _page(
    viewer: Viewer,
    form: Mapping[str, str],
    look: Look | None = None,
    notes: Sequence[str] = (),
    wrong: HeadgateError | None = None,
) -> Response:
    """The form, and beside it what would pass."""
    status = 200 if wrong is None else 422 if look is None else 409
    shown: dict[str, Any] = {"look": None, "here": []}
    if look is not None:
        present = [f"{one.subdir}/{one.filename}" for one in look.plan.items if one.state is ItemState.PRESENT]
        shown = evidence_of(look) | {"is_direct": True, "here": present[:_MOST_PRESENT]}
    return viewer.page(
        "promote.html",
        status,
        form=form,
        sources=places(viewer, Permission.PROMOTION_OUT),
        targets=places(viewer, Permission.PROMOTION_INTO),
        may_promote=may_promote(viewer),
        notes=notes,
        wrong=wrong,
        **shown,
    )


def may_promote(viewer: Viewer) -> bool:
    """Whether there is any way that the viewer may promote along."""
    sources, targets = (set(places(viewer, one)) for one in (Permission.PROMOTION_OUT, Permission.PROMOTION_INTO))
    return bool(sources and targets) and len(sources | targets) > 1


def places(viewer: Viewer, permission: Permission) -> list[ChannelName]:
    """Out of which channels, or into which, the viewer may promote."""
    return [
        one.name
        for one in viewer.services.catalog.all()
        if viewer.may(permission, one)
        and (one.kind is ChannelKind.HOSTED or permission is not Permission.PROMOTION_INTO)
    ]


ROUTES = [
    Route("/promotions/new", show_form),
    Route("/promotions/new", preview, methods=["POST"]),
    Route("/promotions", promote, methods=["POST"]),
]
