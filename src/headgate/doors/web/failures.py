"""What went wrong: as a page, as a toast where htmx asked, as a problem document where no browser did."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headgate.access.authenticate import BadCredentials
from headgate.doors.pages import PAGE_HEADERS, render_page
from headgate.doors.problems import problem, problem_headers, status_of
from headgate.doors.web.toasts import Toast
from headgate.doors.web.viewing import view
from headgate.doors.web.visits import go_sign_in, page
from headgate.kernel.errors import HeadgateError

_TO_TOASTS = {"cache-control": "no-store", "hx-retarget": "#toasts", "hx-reswap": "beforeend"}


async def wrong(request: Request, error: HeadgateError) -> Response:
    """An error as whoever asked can show it."""
    # A page has no credentials to challenge for: a browser would ask for a password in a window of its own.
    status = 403 if isinstance(error, BadCredentials) else status_of(error)
    if "hx-request" in request.headers:
        toast = Toast(error.message, is_wrong=True)
        shown = render_page("toast.html", toast=toast, csrf_token="", is_beside=False)
        return Response(shown, status, _TO_TOASTS | PAGE_HEADERS, media_type="text/html")
    viewer = await view(request)
    if error.code == "credentials-needed" and viewer.visitor is None and request.method == "GET":
        query = request.url.query
        return go_sign_in(f"{request.url.path}?{query}" if query else request.url.path)
    title = "Not found" if status == 404 else "That did not work"
    return viewer.page(
        "wrong.html", status, title=title, sentence=error.message, reasons=error.reasons, code=error.code
    )


def wrong_alone(error: HeadgateError) -> Response:
    """The same where even finding out who looks may fail."""
    return page("wrong_alone.html", status_of(error), sentence=error.message)


def problem_answer(error: HeadgateError) -> Response:
    """The same for programs that have lost their way."""
    return Response(msgspec.json.encode(problem(error)), status_of(error), problem_headers(error))
