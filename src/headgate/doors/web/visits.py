"""What every page does first and last: who is there, what was sent, where to go on."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from headgate.access.sessions import Beginning, Session
from headgate.doors.http import public_url
from headgate.doors.multipart import FormPart, iter_parts, read_fields, skip
from headgate.doors.pages import PAGE_HEADERS, render_page
from headgate.doors.sessions import PROOF_FIELD, PROOF_HEADER, Visitor
from headgate.doors.web.services import WebServices
from headgate.kernel.errors import HeadgateError, Invalid

_FORM_BYTES = 64 << 10
_MOST_FIELDS = 250
_LONGEST_PATH = 1024
HOME = "/account"


def services_of(request: Request) -> WebServices:
    """What the application was built with."""
    services: WebServices = request.app.services
    return services


async def find_visitor(request: Request) -> Visitor | None:
    """Who sits at the browser, if anybody signed in."""
    services = services_of(request)
    if not services.snapshots.is_current():
        await services.snapshots.refresh()
    visitor = await services.cookies.find(request.scope)
    # Whoever has to change the password first gets no further than the sign-in, which says so.
    return None if visitor is None or visitor.principal.must_change_password else visitor


async def read_form(request: Request, most_bytes: int = _FORM_BYTES) -> Mapping[str, str]:
    """The fields of a form. Raises Invalid `request-too-large` or `form-invalid`."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > most_bytes:
            raise Invalid("request-too-large", "The form is longer than any of ours.")
        pieces.append(piece)
    try:
        form = dict(parse_qsl(b"".join(pieces).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise Invalid("form-invalid", "The form cannot be read.") from error
    # No field holds it, and PostgreSQL keeps none.
    if any("\0" in text for pair in form.items() for text in pair):
        raise Invalid("form-invalid", "A field holds a character that nobody types.")
    return form


async def read_change(request: Request, most_bytes: int = _FORM_BYTES) -> tuple[Visitor, Mapping[str, str]] | None:
    """Who asks for a change, and its form; None when nobody is signed in. Raises Refused `request-forged`."""
    visitor = await find_visitor(request)
    if visitor is None:
        return None
    form = await read_form(request, most_bytes)
    # Forms bring the proof along as a field, htmx and our own script as a header.
    proof = form.get(PROOF_FIELD) or request.headers.get(PROOF_HEADER)
    services_of(request).cookies.check(request.scope, visitor, proof)
    return visitor, form


async def read_upload(
    request: Request, stream: AsyncIterator[bytes]
) -> tuple[Visitor, Mapping[str, str], AsyncIterator[FormPart]] | None:
    """Who sends files, the fields before them, and the files as they come; None when nobody is signed in.

    Nothing of a file is read before the proof has been looked at. A file field that was left empty, which browsers send
    without a name, is passed over; fields between files, and behind them, join the others as they come. Raises Refused
    `request-forged`, Invalid `form-invalid`.
    """
    visitor = await find_visitor(request)
    if visitor is None:
        return None
    cookies, fields = services_of(request).cookies, dict[str, str]()
    first, parts = None, iter_parts(request.headers.get("content-type", ""), stream)
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        cookies.check_origin(request.scope)
        fields, first = await read_fields(parts, _FORM_BYTES)
    cookies.check(request.scope, visitor, fields.get(PROOF_FIELD) or request.headers.get(PROOF_HEADER))
    return visitor, fields, _iter_files(first, parts, fields)


async def _iter_files(
    first: FormPart | None, parts: AsyncIterator[FormPart], fields: dict[str, str]
) -> AsyncIterator[FormPart]:
    part = first
    while part is not None:
        if part.filename:
            yield part
        else:
            await skip(part.body)
        more, part = await read_fields(parts, _FORM_BYTES)
        fields |= more


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page by itself, without the navigation: signing in, and what went wrong before anybody is known."""
    headers = {"cache-control": "no-store", **PAGE_HEADERS}
    return Response(render_page(template, **values), status, headers, media_type="text/html")


def go(path: str) -> Response:
    """Go on, with GET."""
    return RedirectResponse(path, 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"})


def go_sign_in(path: str, provider: str | None = None) -> Response:
    """Sign in first, then go on there."""
    chosen = "" if provider is None else f"&provider={quote(provider, safe='')}"
    return go(f"/sign-in?next={quote(path, safe='')}{chosen}")


def local_path(text: str | None) -> str:
    r"""The path to go on to after signing in: one of this server, else the account; never another site.

    Browsers read `//host`, `/\\host` and what has control characters in it as addresses elsewhere.
    """
    if text is None or len(text) > _LONGEST_PATH or not text.isascii() or not text.isprintable():
        return HOME
    if not text.startswith("/") or text.startswith("//") or "\\" in text:
        return HOME
    return text


def own_url(request: Request, path: str) -> str:
    """A path of ours as the outside names it."""
    return public_url(request.scope, services_of(request).cookies.configured) + path


def beginning_of(request: Request) -> Beginning:
    """From where and with what somebody signs in, with a password."""
    return Beginning(
        services_of(request).sign_in.proxies.address_of(request.scope), request.headers.get("user-agent", "")
    )


async def let_in(request: Request, user: str, beginning: Beginning, path: str) -> Response:
    """Begin a session under a new id, end the one this browser had, and go on."""
    services = services_of(request)
    before = await find_visitor(request)
    text = await services.core.sessions.begin(user, beginning)
    if before is not None:
        await end_session(request, before.session.user, before.session)
    await services.snapshots.reload()
    answer = go(path)
    life_s = int(services.core.sessions.life.whole.total_seconds())
    answer.headers.append("set-cookie", services.cookies.session_cookie(request.scope, text, life_s))
    return answer


async def end_session(request: Request, actor: str, session: Session) -> None:
    """End a session; that it has ended meanwhile is as good."""
    try:
        await services_of(request).core.sessions.end(actor, session.user, session.id)
    except HeadgateError as error:
        if error.code not in {"session-unknown", "user-unknown"}:
            raise
