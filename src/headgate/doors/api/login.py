"""A command line signs in by a browser, in two questions that anybody may ask (in the manner of RFC 8628)."""

from fastapi import APIRouter, Request

from headgate.access.devices import POLL_S
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import Services
from headgate.doors.api.models_sign_in import DeviceAnswer, DeviceBody, DeviceTokenAnswer, DeviceTokenBody
from headgate.doors.http import public_url

router = APIRouter(tags=["login"], route_class=BoundedRoute)


@router.post("/login/device", status_code=201)
async def begin_device_login(body: DeviceBody, services: Services, request: Request) -> DeviceAnswer:
    """A code for a person to type into the page, and the secret to ask with whether they have."""
    codes = await services.core.devices.begin(body.machine, services.sign_in.proxies.address_of(request.scope))
    return DeviceAnswer(
        device_code=codes.device_code,
        user_code=codes.user_code,
        verification_url=f"{public_url(request.scope, services.cookies.configured)}/device",
        expires_at=codes.expires_at,
        interval_seconds=POLL_S,
    )


@router.post("/login/device/token")
async def finish_device_login(body: DeviceTokenBody, services: Services) -> DeviceTokenAnswer:
    """The token, once, when the person has said yes; until then that they have not answered."""
    found = await services.core.devices.redeem(body.device_code)
    if found is None:
        return DeviceTokenAnswer(state="waiting")
    await services.snapshots.reload()
    token, text = found
    return DeviceTokenAnswer(state="done", user=token.user, name=token.name, token=text, expires_at=token.expires_at)
