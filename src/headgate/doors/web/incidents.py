"""Incidents: what an advisory, a package or a file means here, who took it, and one button that blocks it everywhere."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.incidents import IncidentKind, guess_kind
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel.errors import Invalid, NotFound
from headgate.reports.affected import Affected

_MOST_SHOWN = 200
_UNDONE = "Undone at once."


@signed_in
async def show_incidents(viewer: Viewer) -> Response:
    """A question, its answer, and what is blocked now."""
    viewer.require(Permission.POLICY_READ)
    typed = viewer.request.query_params.get("target", "").strip()
    found, wrong = None, None
    if typed:
        try:
            found = await _affected(viewer, typed)
        except Invalid as error:
            wrong = error.message
    incidents = await viewer.services.core.incidents.list_incidents()
    same = None
    if found is not None:
        same = next((one for one in incidents if one.is_open and one.target == found.target), None)
    may_see_takers = viewer.may(Permission.AUDIT_READ)
    takings = found.takings if found is not None and may_see_takers else []
    return viewer.page(
        "incidents.html",
        typed=typed,
        wrong=wrong,
        found=found,
        channels=sorted({file.channel for file in found.files}) if found else [],
        files=found.files[:_MOST_SHOWN] if found else [],
        takings=sorted(takings, key=lambda one: one.last_at, reverse=True)[:_MOST_SHOWN],
        may_see_takers=may_see_takers,
        may_act=viewer.may(Permission.INCIDENT_MANAGE),
        same=same,
        opened=[one for one in incidents if one.is_open],
        lifted=[one for one in incidents if not one.is_open][:20],
        report="/api/v1/reports/affected?" + urlencode({"target": typed, "format": "csv"}),
    )


@change
async def declare(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Block it everywhere, now; the toast takes it back."""
    viewer.require(Permission.INCIDENT_MANAGE)
    target = form.get("target", "").strip()
    made = await viewer.services.core.incidents.declare(
        viewer.actor, _kind(form.get("kind"), target), target, form.get("reason", "")
    )
    await viewer.services.snapshots.reload()
    undo = Undo(f"/incidents/{made.id}/lift", {"reason": _UNDONE})
    where = "/incidents?" + urlencode({"target": made.target})
    return viewer.go(where, f"{made.target} is blocked in every channel.", undo)


@change
async def lift(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Undo it."""
    viewer.require(Permission.INCIDENT_MANAGE)
    number = viewer.request.path_params["number"]
    if not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise NotFound("incident-unknown", f"There is no incident {number[:40]}.")
    lifted = await viewer.services.core.incidents.lift(viewer.actor, int(number), form.get("reason", ""))
    await viewer.services.snapshots.reload()
    return viewer.go("/incidents", f"{lifted.target} is blocked no longer by incident {lifted.id}.")


async def _affected(viewer: Viewer, typed: str) -> Affected:
    return await viewer.services.reports.blast.find(guess_kind(typed), typed, viewer.channels())


def _kind(said: str | None, target: str) -> IncidentKind:
    return IncidentKind(said) if said in set(IncidentKind) else guess_kind(target)


ROUTES = [
    Route("/incidents", show_incidents),
    Route("/incidents/declare", declare, methods=["POST"]),
    Route("/incidents/{number}/lift", lift, methods=["POST"]),
]
