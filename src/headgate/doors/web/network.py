"""The way out: proxies, hosts that rest, and certificates that are trusted besides the system's."""

import asyncio
from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.doors.web.admin import admin_page
from headgate.doors.web.viewing import Viewer, change, large_change, require_typed, signed_in
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Refused

_HERE = "/admin/network"


@signed_in
async def show_network(viewer: Viewer) -> Response:
    """How requests leave, and whom they trust."""
    return await _page(viewer)


@large_change
async def add_bundle(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Trust the certificates of a pasted or chosen file; what is wrong is said beside the form."""
    viewer.require(Permission.NETWORK_MANAGE)
    name, is_everywhere = form.get("name", "").strip(), form.get("is_everywhere") == "on"
    try:
        data = form.get("certificates", "").strip().encode()
        await viewer.services.core.authorities.add(viewer.actor, name, data, is_everywhere=is_everywhere)
    except Refused:
        raise
    except HeadgateError as error:
        return await _page(viewer, form=form, wrong=error.message)
    await viewer.services.snapshots.reload()
    said = "every mirror trusts it." if is_everywhere else "choose it at the mirrors that need it."
    return viewer.go(_HERE, f"{name} is added: {said}")


@change
async def remove_bundle(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Trust it no longer; the certificates are forgotten, so the name is asked for."""
    viewer.require(Permission.NETWORK_MANAGE)
    name = form.get("name", "")
    require_typed(form, name)
    await viewer.services.core.authorities.remove(viewer.actor, name)
    await viewer.services.snapshots.reload()
    return viewer.go(_HERE, f"{name} is trusted no longer.")


async def _page(viewer: Viewer, form: Mapping[str, str] | None = None, wrong: str | None = None) -> Response:
    viewer.require(Permission.NETWORK_MANAGE)
    services = viewer.services
    bundles = await services.core.authorities.list_bundles()
    users = {
        bundle.name: [
            f"{channel.name} ({source.name})"
            for channel in services.catalog.all()
            for source in channel.sources
            if bundle.name in source.settings.network.ca
        ]
        for bundle in bundles
    }
    return admin_page(
        viewer,
        "network.html",
        _HERE,
        status=422 if wrong else 200,
        network=services.routes.network,
        resting=services.routes.all_resting(),
        bundles=[(one, await asyncio.to_thread(one.certificates)) for one in bundles],
        users=users,
        now=clock.now(),
        form=form or {},
        wrong=wrong,
    )


ROUTES = [
    Route(_HERE, show_network),
    Route(f"{_HERE}/ca", add_bundle, methods=["POST"]),
    Route(f"{_HERE}/ca/remove", remove_bundle, methods=["POST"]),
]
