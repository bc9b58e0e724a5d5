"""Bodies and answers of the routes for sessions, identity providers and devices that sign in."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from headgate.access.oidc_providers import OidcProvider
from headgate.doors.api.models import Name, Text

HIDDEN = "•••"
"""What is shown of a secret; sent back, it leaves the secret as it is."""
Claim = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Claims = Annotated[list[Claim], Field(max_length=20)]
Mapping = Annotated[dict[Claim, Name], Field(max_length=1000)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
Machine = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]

_PROVIDER: dict[str, Any] = {
    "name": "keycloak",
    "issuer": "https://sso.example.com/realms/staff",
    "client_id": "headgate",
    "groups": {"network": "Network Engineers", "dev": "Developers"},
    "roles": {"headgate-auditor": "auditor"},
}


def _taken(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class SessionAnswer(BaseModel):
    """A browser that is signed in."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    user: str
    method: str = Field(description="`password`, or the provider: `oidc:keycloak`.")
    created_at: datetime
    used_at: datetime = Field(description="To the minute.")
    expires_at: datetime
    address: str
    agent: str = Field(description="How the browser calls itself.")


class OidcSettingsBody(BaseModel):
    """What of a provider's claims counts here; what is left out stays as it is."""

    scopes: Claims | None = Field(default=None, description="What is asked for; `openid` among it.")
    name_claims: Claims | None = Field(default=None, description="The first that is there gives the name.")
    group_claims: Claims | None = Field(default=None, description="Dotted paths to the provider's groups.")
    role_claims: Claims | None = Field(default=None, description="Dotted paths to the provider's roles.")
    groups: Mapping | None = Field(default=None, description="The provider's groups to groups here; replaced whole.")
    roles: Mapping | None = Field(default=None, description="The provider's roles to roles here; replaced whole.")
    is_taking_same_names: StrictBool | None = Field(default=None, description='Allows `{"*": "*"}` in a mapping.')
    is_welcoming: StrictBool | None = Field(default=None, description="Whether strangers are let in.")
    domains: Claims | None = Field(default=None, description="If any: only people with an e-mail address there.")


class OidcProviderBody(OidcSettingsBody):
    """A provider to add."""

    model_config = _taken({**_PROVIDER, "client_secret": "from the provider"})

    name: Name = Field(description="Lower-case letters, digits and `-`: it stands in the callback's URL.")
    issuer: Text = Field(description="Exactly as the provider writes it.")
    client_id: Claim
    client_secret: Secret | None = Field(default=None, description="null: a public client.")


class OidcProviderChange(OidcSettingsBody):
    """What to change of a provider."""

    model_config = _taken({"client_secret": "the new one"}, {"is_welcoming": False})

    issuer: Text | None = None
    client_id: Claim | None = None
    client_secret: Secret | None = Field(default=None, description=f"`{HIDDEN}` leaves it as it is.")

    def given(self) -> dict[str, Any]:
        """What is to change."""
        given = self.model_dump(exclude_none=True)
        return {key: value for key, value in given.items() if (key, value) != ("client_secret", HIDDEN)}


class OidcProviderAnswer(BaseModel):
    """A provider, without its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROVIDER | {"client_secret": HIDDEN}]})

    name: str
    issuer: str
    client_id: str
    client_secret: str | None = Field(description=f"`{HIDDEN}` when there is one.")
    callback_url: str = Field(description="What the provider has to allow as redirect URI.")
    back_channel_logout_url: str
    scopes: list[str]
    name_claims: list[str]
    group_claims: list[str]
    role_claims: list[str]
    groups: dict[str, str]
    roles: dict[str, str]
    is_taking_same_names: bool
    is_welcoming: bool
    domains: list[str]


class OidcTestAnswer(BaseModel):
    """What a provider says of itself."""

    model_config = ConfigDict(from_attributes=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    is_saying_issuer: bool = Field(description="Whether it names itself when it sends people back (RFC 9207).")


class DeviceBody(BaseModel):
    """A command line that wants to be signed in."""

    model_config = _taken({"machine": "build-7"})

    machine: Machine = Field(description="What its token is called after.")


class DeviceAnswer(BaseModel):
    """What the command line keeps, and what its person needs."""

    device_code: str = Field(description="A secret: whoever has it gets the token.")
    user_code: str = Field(description="To be typed into the page.")
    verification_url: str
    expires_at: datetime
    interval_seconds: int = Field(description="How long to wait between two questions.")


class DeviceTokenBody(BaseModel):
    """The question whether somebody has said yes."""

    model_config = _taken({"device_code": "…"})

    device_code: Secret


class DeviceTokenAnswer(BaseModel):
    """Not yet; or the token, which is in this answer and nowhere else."""

    state: Literal["waiting", "done"]
    user: str | None = None
    name: str | None = Field(default=None, description="The token's name.")
    token: str | None = None
    expires_at: datetime | None = None


def shown_provider(provider: OidcProvider, url: str) -> OidcProviderAnswer:
    """A provider as the API shows it, on the server whose address is `url`."""
    settings = provider.settings
    return OidcProviderAnswer(
        name=provider.name,
        issuer=provider.issuer,
        client_id=provider.client_id,
        client_secret=None if provider.client_secret is None else HIDDEN,
        callback_url=f"{url}/oidc/{provider.name}/callback",
        back_channel_logout_url=f"{url}/oidc/{provider.name}/back-channel-logout",
        scopes=list(settings.scopes),
        name_claims=list(settings.name_claims),
        group_claims=list(settings.group_claims),
        role_claims=list(settings.role_claims),
        groups=settings.groups,
        roles=settings.roles,
        is_taking_same_names=settings.is_taking_same_names,
        is_welcoming=settings.is_welcoming,
        domains=list(settings.domains),
    )
