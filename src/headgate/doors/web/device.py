"""A person says whether a command line may act for them (RFC 8628, 3.3 and 5.4)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headgate.access.devices import Device
from headgate.doors.sessions import Visitor
from headgate.doors.web.viewing import viewer_of
from headgate.doors.web.visits import find_visitor, go_sign_in, read_change, services_of
from headgate.kernel.errors import NotFound

_PATH = "/device"


async def show_device(request: Request) -> Response:
    """Ask for the code. It is typed, never part of an address: a link must not be able to bring it along."""
    visitor = await find_visitor(request)
    if visitor is None:
        return go_sign_in(_PATH, request.query_params.get("provider"))
    return viewer_of(request, visitor).page("device.html")


async def confirm_device(request: Request) -> Response:
    """Show what is asked, by whom and from where."""
    change = await read_change(request)
    if change is None:
        return go_sign_in(_PATH)
    visitor, form = change
    try:
        device = await services_of(request).core.devices.find(form.get("code", ""))
    except NotFound as error:
        return viewer_of(request, visitor).page("device.html", 404, wrong=error.message)
    return _question(request, visitor, device)


async def answer_device(request: Request) -> Response:
    """Take the person's yes or no."""
    change = await read_change(request)
    if change is None:
        return go_sign_in(_PATH)
    (visitor, form), devices = change, services_of(request).core.devices
    name, code = visitor.principal.name, form.get("code", "")
    try:
        device = await devices.find(code)
        if form.get("answer") != "yes":
            await devices.deny(name, code)
            return viewer_of(request, visitor).page("device.html", said=f"Refused. {device.machine} gets nothing.")
        if _is_elsewhere(request, device) and form.get("is_mine") != "yes":
            return _question(request, visitor, device, "Say that you started it yourself, or say no.", 422)
        await devices.approve(name, code)
    except NotFound as error:
        return viewer_of(request, visitor).page("device.html", 404, wrong=error.message)
    return viewer_of(request, visitor).page("device.html", said=f"Done. Go back to the terminal on {device.machine}.")


def _question(
    request: Request, visitor: Visitor, device: Device, wrong: str | None = None, status: int = 200
) -> Response:
    return viewer_of(request, visitor).page(
        "device_confirm.html",
        status,
        device=device,
        wrong=wrong,
        days=services_of(request).core.devices.token_life.days,
        address=services_of(request).sign_in.proxies.address_of(request.scope),
        is_elsewhere=_is_elsewhere(request, device),
    )


def _is_elsewhere(request: Request, device: Device) -> bool:
    return services_of(request).sign_in.proxies.address_of(request.scope) != device.address


ROUTES = [
    Route("/device", show_device),
    Route("/device", confirm_device, methods=["POST"]),
    Route("/device/answer", answer_device, methods=["POST"]),
]
