"""Identity providers and directories: who vouches for people here, and whether they answer."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.oidc_providers import OidcProvider, OidcSettings
from headgate.access.permissions import Permission
from headgate.doors.web.admin import admin_page, require_administrator
from headgate.doors.web.fields import lines_in, pairs_in, render_pairs
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in
from headgate.kernel.errors import HeadgateError, Refused

_HERE = "/admin/providers"
_HIDDEN = "•••"
"""What is shown of a secret; sent back, it leaves the secret as it is."""
_LISTS = ("scopes", "name_claims", "group_claims", "role_claims", "domains")
_MAPPINGS = ("groups", "roles")
_SWITCHES = ("is_welcoming", "is_taking_same_names")


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


@signed_in
async def show_provider(viewer: Viewer) -> Response:
    """Its settings, for whoever may read them; changed by administrators."""
    viewer.require(Permission.ACCESS_READ)
    provider = await viewer.services.oidc.providers.get_provider(viewer.request.path_params["name"])
    return _settings_page(viewer, provider, _fields_of(provider))


@change
async def change_provider(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Every setting as the form has it; the secret stays where its dots were left."""
    viewer.require(Permission.ACCESS_MANAGE)
    require_administrator(viewer)
    providers, name = viewer.services.oidc.providers, viewer.request.path_params["name"]
    provider = await providers.get_provider(name)
    try:
        await providers.change(viewer.actor, name, _given(form))
    except Refused:
        raise
    except HeadgateError as error:
        return _settings_page(viewer, provider, form, error.message)
    return viewer.go(_HERE, f"{name} is changed. Test it, before others rely on it.")


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


def _settings_page(
    viewer: Viewer, provider: OidcProvider, form: Mapping[str, str], wrong: str | None = None
) -> Response:
    typed = form.get("client_secret", "")
    if wrong and typed not in {"", _HIDDEN}:
        wrong += " Type the client secret again: it is not sent back."
    return admin_page(
        viewer,
        "provider.html",
        _HERE,
        status=422 if wrong else 200,
        provider=provider,
        form={**form, "client_secret": typed if typed == _HIDDEN else ""},
        wrong=wrong,
        may_change=viewer.principal.is_administrator,
    )


def _fields_of(provider: OidcProvider) -> dict[str, str]:
    settings = provider.settings
    return {
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "client_secret": "" if provider.client_secret is None else _HIDDEN,
        **{name: "\n".join(getattr(settings, name)) for name in _LISTS},
        **{name: render_pairs(list(getattr(settings, name).items())) for name in _MAPPINGS},
        **{name: "on" if getattr(settings, name) else "" for name in _SWITCHES},
    }


def _given(form: Mapping[str, str]) -> dict[str, Any]:
    """What a form says, whole. Raises Invalid `form-invalid`."""
    secret = form.get("client_secret", "").strip()
    return {
        "issuer": form.get("issuer", "").strip(),
        "client_id": form.get("client_id", "").strip(),
        **({} if secret == _HIDDEN else {"client_secret": secret or None}),
        **{name: tuple(lines_in(form.get(name, ""))) for name in _LISTS},
        **{name: dict(pairs_in(form.get(name, ""))) for name in _MAPPINGS},
        **{name: form.get(name) == "on" for name in _SWITCHES},
    }


ROUTES = [
    Route("/admin/providers", show_providers),
    Route("/admin/providers", add_provider, methods=["POST"]),
    Route("/admin/providers/test", try_provider, methods=["POST"]),
    Route("/admin/providers/remove", remove_provider, methods=["POST"]),
    Route("/admin/providers/{name}/settings", show_provider),
    Route("/admin/providers/{name}/settings", change_provider, methods=["POST"]),
    Route("/admin/directories/test", try_directory, methods=["POST"]),
    Route("/admin/directories/sync", sync_directory, methods=["POST"]),
]
