"""Asking for packages: paste specs or an environment, see at once what passes, ask."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.approvals.asking import read_pasted
from headgate.channels.model import ChannelKind
from headgate.doors.desk import Ask, Desk
from headgate.doors.web.requests import evidence_of
from headgate.doors.web.viewing import Viewer, large_change, signed_in
from headgate.kernel.errors import HeadgateError

_LINKS = ("http://", "https://", "/api/", "/conda/")


@signed_in
async def show_form(viewer: Viewer) -> Response:
    """The form; `want`, `link`, `target` and `source` may come with the address, from wherever something was refused."""
    given = viewer.request.query_params
    wanted = "\n".join([*given.getlist("want"), *given.getlist("link")])
    form = {"text": wanted, "source": given.get("source", ""), "target": given.get("target", "")}
    return await _form(viewer, form)


@large_change
async def show_answer(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """What is said of it at once, while one types; changes nothing."""
    if not form.get("text", "").strip():
        return viewer.part("ask_answer.html", failure=None, reasons=(), notes=(), look=None)
    try:
        desk = Desk(viewer.services, viewer.principal)
        asked = await desk.read(_ask(form))
        look = await viewer.services.requests.look(asked.wanted)
    except HeadgateError as error:
        return viewer.part("ask_answer.html", failure=error.message, reasons=error.reasons, notes=(), look=None)
    return viewer.part("ask_answer.html", failure=None, reasons=(), notes=asked.notes, asked=asked, **evidence_of(look))


@large_change
async def ask(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Ask, or keep it as a draft."""
    desk = Desk(viewer.services, viewer.principal)
    try:
        asked = await desk.read(_ask(form))
        request, _ = await desk.create(asked, is_draft=form.get("kept") == "draft")
    except HeadgateError as error:
        return await _form(viewer, form, error.message)
    others = len(request.askers) - 1
    said = f"Request {request.id} is {request.state}."
    if others:
        said = f"{others} asked for the same before you: you have joined request {request.id}."
    return viewer.go(f"/requests/{request.id}", said)


async def _form(viewer: Viewer, form: Mapping[str, str], wrong: str | None = None) -> Response:
    told = await viewer.services.request_rules.sources()
    known = viewer.services.catalog.all()
    targets = [
        one.name for one in known if one.kind is ChannelKind.HOSTED and viewer.may(Permission.REQUEST_CREATE, one)
    ]
    opened = {name for one in known if one.name in targets for name in told.get(one.id, ())}
    sources = [one.name for one in known if one.name in opened or viewer.may(Permission.CHANNEL_READ, one)]
    status = 200 if wrong is None else 422
    return viewer.page("ask.html", status, form=form, targets=targets, sources=sources, wrong=wrong)


def _ask(form: Mapping[str, str]) -> Ask:
    text = form.get("text", "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # A link of a refused download stands alone.
    link = lines[0] if len(lines) == 1 and lines[0].startswith(_LINKS) else None
    given = read_pasted("" if link else text)
    return Ask(
        wants=given.texts,
        environment=given.environment,
        link=link,
        source=form.get("source") or None,
        target=form.get("target") or None,
        platforms=form.get("platforms", "").replace(",", " ").split(),
        has_closure=form.get("alone") != "yes",
        why=form.get("comment", ""),
    )


ROUTES = [
    Route("/requests/new", show_form),
    Route("/requests/new/answer", show_answer, methods=["POST"]),
    Route("/requests/new", ask, methods=["POST"]),
]
