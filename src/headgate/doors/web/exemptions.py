"""Exemptions: who let what pass in spite of a rule, why, and until when."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.exempting import Wish
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel import clock
from headgate.kernel.errors import Invalid, NotFound
from headgate.policy.exemptions import ExemptionKind

_SPANS = {"": "never", "7": "in 7 days", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}


@signed_in
async def show_exemptions(viewer: Viewer) -> Response:
    """Those that hold or held, until somebody revokes them; filtered as one types."""
    viewer.require(Permission.POLICY_READ)
    wanted = viewer.request.query_params.get("q", "")
    words, now = wanted.lower().split(), clock.now()
    found = [
        one
        for one in await viewer.services.core.exemptions.list_exemptions()
        if all(word in f"{one.target} {one.spec} {one.channel} {one.owner} {one.reason}".lower() for word in words)
    ]
    return viewer.page(
        "exemptions.html",
        part="exemptions_found.html",
        wanted=wanted,
        exemptions=sorted(found, key=lambda one: (one.expires_at is None, one.expires_at or now, one.id)),
        now=now,
        kinds=list(ExemptionKind),
        spans=_SPANS,
        channels=[one.name for one in viewer.channels()],
        may_manage=viewer.may_somewhere(Permission.EXEMPTION_MANAGE),
    )


@change
async def add_exemption(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Let something pass."""
    channel = form.get("channel", "") or None
    if channel is None:
        viewer.require(Permission.EXEMPTION_MANAGE)
    else:
        viewer.channel(Permission.EXEMPTION_MANAGE, channel)
    kind, days = form.get("kind", ""), form.get("days", "")
    if kind not in set(ExemptionKind) or days not in _SPANS:
        raise Invalid("exemption-invalid", "An exemption is for a spec, an advisory or a sha256, and ends or does not.")
    made = await viewer.services.core.exemptions.add(
        viewer.actor,
        Wish(
            kind=ExemptionKind(kind),
            target=form.get("target", ""),
            reason=form.get("reason", ""),
            owner=form.get("owner", "").strip() or viewer.principal.name,
            channel=channel,
            spec=form.get("spec", "").strip() or None,
            expires_at=_end(form.get("expires_at", ""), days),
        ),
    )
    await viewer.services.snapshots.reload()
    return viewer.go("/exemptions", f"{made.target} may pass now.")


@change
async def revoke_exemption(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """End one at once."""
    number = form.get("id", "")
    found = [one for one in await viewer.services.core.exemptions.list_exemptions() if str(one.id) == number]
    if not found or found[0].channel is None:
        viewer.require(Permission.EXEMPTION_MANAGE)
    else:
        viewer.channel(Permission.EXEMPTION_MANAGE, found[0].channel)
    if not found:
        raise NotFound("exemption-unknown", "There is no such exemption, or it was revoked.")
    await viewer.services.core.exemptions.revoke(viewer.actor, found[0].id)
    await viewer.services.snapshots.reload()
    one = found[0]
    again = {
        "kind": one.kind.value, "target": one.target, "spec": one.spec or "", "channel": one.channel or "",
        "owner": one.owner, "reason": one.reason, "expires_at": one.expires_at.isoformat() if one.expires_at else "",
    }  # fmt: skip
    return viewer.go("/exemptions", f"The exemption of {one.target} has ended.", Undo("/exemptions/add", again))


def _end(moment: str, days: str) -> datetime | None:
    """The moment given (one that is made again has its own), or so many days from now, or never."""
    try:
        found = datetime.fromisoformat(moment) if moment else None
    except ValueError:
        found = None
    return found or (clock.now() + timedelta(days=int(days)) if days else None)


ROUTES = [
    Route("/exemptions", show_exemptions),
    Route("/exemptions/add", add_exemption, methods=["POST"]),
    Route("/exemptions/revoke", revoke_exemption, methods=["POST"]),
]
