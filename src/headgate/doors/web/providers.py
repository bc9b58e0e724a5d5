"""Identity providers and directories: who vouches for people here, and whether they answer."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.oidc_providers import OidcProvider, OidcSettings
from headgate.access.permissions import Permission
from headgate.doors.web.admin import admin_page, require_administrator
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in
from headgate.kernel.errors import HeadgateError

_HERE = "/admin/providers"


@signed_in
async def show_providers(viewer: Viewer) -> Response:
    """OIDC providers and LDAP directories."""
    viewer.require(Permission.ACCESS_READ)
    return await _page(viewer)


@change
async def add_provider(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """An OIDC provider; its secret is sealed and never shown again."""
    viewer.require(Permission.ACCESS_MANAGE)
    require_administrator(viewer)
    settings = OidcSettings(is_welcoming=form.get("is_welcoming") == "on")
    name, secret = form.get("name", "").strip(), form.get("client_secret", "").strip() or None
    provider = OidcProvider(name, form.get("issuer", "").strip(), form.get("client_id", "").strip(), secret, settings)
    await viewer.services.oidc.providers.add(viewer.actor, provider)
    return viewer.go(_HERE, f"{name} is known. Test it, before others rely on it.")


@change
async def try_provider(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Ask an OIDC provider what it says of itself; nothing changes."""
    viewer.require(Permission.ACCESS_MANAGE)
    require_administrator(viewer)
    name = form.get("name", "")
    try:
        told = await viewer.services.oidc.test(name)
    except HeadgateError as error:
        return await _page(viewer, tried={"name": name, "wrong": error.message, "said": {}})
    said = {
        "Issuer": told.issuer,
        "Signs in at": told.authorization_endpoint,
        "Gives tokens at": told.token_endpoint,
        "Keys at": told.jwks_uri,
        "Signs out at": told.end_session_endpoint or "nowhere",
    }
    return await _page(viewer, tried={"name": name, "wrong": None, "said": said})


@change
async def remove_provider(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Its people and their sessions stay."""
    viewer.require(Permission.ACCESS_MANAGE)
    require_administrator(viewer)
    name = form.get("name", "")
    require_typed(form, name)
    await viewer.services.oidc.providers.remove(viewer.actor, name)
    return viewer.go(_HERE, f"{name} is removed.")


@change
async def try_directory(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Go through a sign-in of somebody, step by step; nothing changes."""
    viewer.require(Permission.ACCESS_MANAGE)
    name, login = form.get("name", ""), form.get("login", "").strip()
    try:
        steps = await viewer.services.ldap_examiner.examine(name, login, form.get("password") or None)
    except HeadgateError as error:
        return await _page(viewer, examined={"name": name, "login": login, "wrong": error.message, "steps": []})
    return await _page(viewer, examined={"name": name, "login": login, "wrong": None, "steps": steps})


@change
async def sync_directory(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Look now who is in the directory; a job."""
    viewer.require(Permission.ACCESS_MANAGE)
    name = form.get("name", "")
    await viewer.services.core.ldap.note_sync(viewer.actor, name, is_forced=False)
    job = await viewer.services.jobs.sync_ldap(viewer.actor, name)
    then = f"/admin/jobs/{job}" if viewer.may(Permission.JOB_MANAGE) else _HERE
    return viewer.go(then, f"Directory {name} is being looked at.")


async def _page(
    viewer: Viewer, *, tried: Mapping[str, Any] | None = None, examined: Mapping[str, Any] | None = None
) -> Response:
    providers = await viewer.services.oidc.providers.list_providers()
    directories = await viewer.services.core.ldap.list_directories()
    return admin_page(
        viewer, "providers.html", _HERE, providers=providers, directories=directories, tried=tried, examined=examined
    )


ROUTES = [
    Route("/admin/providers", show_providers),
    Route("/admin/providers", add_provider, methods=["POST"]),
    Route("/admin/providers/test", try_provider, methods=["POST"]),
    Route("/admin/providers/remove", remove_provider, methods=["POST"]),
    Route("/admin/directories/test", try_directory, methods=["POST"]),
    Route("/admin/directories/sync", sync_directory, methods=["POST"]),
]
