"""Identity providers: listed, added, changed, tested, removed. Whom they let in they decide, so administrators add them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from headgate.access.oidc_providers import OidcProvider, OidcSettings
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import AccessManager, AccessReader, Services, require_administrator
from headgate.doors.api.models_sign_in import (
    OidcProviderAnswer,
    OidcProviderBody,
    OidcProviderChange,
    OidcSettingsBody,
    OidcTestAnswer,
    shown_provider,
)
from headgate.doors.api.paging import Listing, Paging
from headgate.doors.http import public_url

# Not idempotent by key: of a body with a secret not even a digest is kept.
router = APIRouter(tags=["oidc-providers"], route_class=BoundedRoute)
ProviderPath = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["keycloak"])]


@router.get("/oidc-providers")
async def list_oidc_providers(
    _caller: AccessReader, services: Services, page: Paging, request: Request
) -> Listing[OidcProviderAnswer]:
    """Identity providers, by name, without their secrets."""
    found = await services.oidc.providers.list_providers()
    providers, following = page.cut_whole(found, lambda one: (one.name,))
    return Listing(items=[_shown(one, services, request) for one in providers], next=following)


@router.post("/oidc-providers", status_code=201)
async def add_oidc_provider(
    body: OidcProviderBody, caller: AccessManager, services: Services, request: Request
) -> OidcProviderAnswer:
    """Add an identity provider; its secret is sealed and never shown again. For administrators."""
    require_administrator(caller)
    given = body.model_dump(exclude_none=True, include=set(OidcSettingsBody.model_fields))
    settings = OidcSettings(**_frozen(given))
    provider = OidcProvider(body.name, body.issuer, body.client_id, body.client_secret, settings)
    await services.oidc.providers.add(caller.actor, provider)
    return _shown(provider, services, request)


@router.get("/oidc-providers/{name}")
async def show_oidc_provider(
    _caller: AccessReader, services: Services, name: ProviderPath, request: Request
) -> OidcProviderAnswer:
    """One identity provider, without its secret."""
    return _shown(await services.oidc.providers.get_provider(name), services, request)


@router.patch("/oidc-providers/{name}")
async def change_oidc_provider(
    body: OidcProviderChange, caller: AccessManager, services: Services, name: ProviderPath, request: Request
) -> OidcProviderAnswer:
    """Change what is given. For administrators."""
    require_administrator(caller)
    changed = await services.oidc.providers.change(caller.actor, name, _frozen(body.given()))
    return _shown(changed, services, request)


@router.delete("/oidc-providers/{name}", status_code=204)
async def remove_oidc_provider(caller: AccessManager, services: Services, name: ProviderPath) -> None:
    """Remove an identity provider; its people and their sessions stay. For administrators."""
    require_administrator(caller)
    await services.oidc.providers.remove(caller.actor, name)


@router.post("/oidc-providers/{name}/test")
async def ask_oidc_provider(caller: AccessManager, services: Services, name: ProviderPath) -> OidcTestAnswer:
    """Ask an identity provider what it says of itself, without anything remembered. For administrators."""
    require_administrator(caller)
    return OidcTestAnswer.model_validate(await services.oidc.test(name))


def _frozen(given: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


def _shown(provider: OidcProvider, services: Services, request: Request) -> OidcProviderAnswer:
    return shown_provider(provider, public_url(request.scope, services.cookies.configured))
