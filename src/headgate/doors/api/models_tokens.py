"""Bodies and answers of the routes for tokens, and for who calls."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from headgate.access.grants import PrincipalKind
from headgate.access.permissions import ScopeAction
from headgate.doors.api.models import Name, Text
from headgate.doors.api.models_access import Password

_TOKEN: dict[str, Any] = {
    "id": 12,
    "name": "ci",
    "user": "admin",
    "prefix": "f3Kq81LmZa",
    "permissions": ["add", "view"],
    "channels": ["team"],
    "addresses": ["10.20.0.0/16"],
    "created_at": "2026-03-01T09:00:00Z",
    "expires_at": "2026-05-30T09:00:00Z",
    "revoked_at": None,
    "rotated_at": None,
    "previous_ends_at": None,
    "used_at": "2026-03-02T06:12:00Z",
    "used_from": "10.20.4.7",
}
_NEW_TOKEN = _TOKEN | {"used_at": None, "used_from": None, "token": "hg-f3Kq81LmZa-…"}


def _taken(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class TokenBody(BaseModel):
    """A token to create."""

    model_config = _taken(
        {"name": "laptop"},
        {"name": "ci", "permissions": ["view", "add"], "channels": ["team"], "expires_days": 90},
        {"name": "farm", "addresses": ["10.20.0.0/16", "2001:db8::/32"]},
    )

    name: Name
    user: Name | None = Field(default=None, description="Whom it stands for; null: the caller.")
    permissions: list[ScopeAction] | None = Field(
        default=None, min_length=1, description="null: whatever the user may."
    )
    channels: list[Text] | None = Field(
        default=None, min_length=1, max_length=1000, description="Channels, or `team/*` for all below; null: every one."
    )
    addresses: list[Text] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Where it may be used: ranges of addresses; null: anywhere.",
    )
    expires_days: int | None = Field(
        default=90,
        ge=1,
        le=3650,
        description="Left out: 90 days, or less where less is the most, or where the token in use ends sooner. "
        "null: it never ends; for administrators alone, and where the server sets no limit.",
    )
    text: Text | None = Field(
        default=None, description="A text of one's own: 20 to 128 of A-Z, a-z, 0-9 and -; null: one is made."
    )


class RotationBody(BaseModel):
    """How to rotate a token."""

    model_config = _taken({"overlap_hours": 24})

    overlap_hours: int = Field(default=24, ge=0, le=24 * 30, description="How long the old text stays good.")


class TokenAnswer(BaseModel):
    """A token, without its text."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_TOKEN]})

    id: int
    name: str
    user: str
    prefix: str
    permissions: list[str] | None
    channels: list[str] | None
    addresses: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_at: datetime | None
    previous_ends_at: datetime | None = Field(description="Until when the text before the last rotation is good.")
    used_at: datetime | None = Field(description="Its last use, as of about a minute ago.")
    used_from: str | None = Field(description="The address of that use.")


class NewTokenAnswer(TokenAnswer):
    """A new token, with its text."""

    model_config = ConfigDict(json_schema_extra={"examples": [_NEW_TOKEN]})

    token: str = Field(description="The text to sign in with; shown this once.")


class MyTokenAnswer(BaseModel):
    """What the token of a call narrows its owner to."""

    name: str
    permissions: list[str] | None
    channels: list[str] | None
    addresses: list[str] | None
    expires_at: datetime | None


class MeAnswer(BaseModel):
    """Who calls."""

    name: str
    kind: PrincipalKind
    is_administrator: bool
    groups: list[str] = Field(description="The groups they are in, at any depth.")
    must_change_password: bool = Field(description="Nothing else is open to their password until they change it.")
    token: MyTokenAnswer | None
    csrf_token: str | None = Field(description="In a session: what changes have to send as `X-CSRF-Token`.")


class MyPasswordBody(BaseModel):
    """One's own password, old and new."""

    model_config = _taken({"old_password": "the one that was shown", "new_password": "one of my own choosing"})

    old_password: Password
    new_password: Password
