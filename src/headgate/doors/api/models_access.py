"""Bodies and answers of the routes for users, groups, roles, grants and decisions."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from headgate.access.grants import Grant, PrincipalKind
from headgate.access.permissions import Permission
from headgate.doors.api.models import Name, Text

Password = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00]*$")]
NamePath = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["ada"])]

_GRANT: dict[str, Any] = {
    "kind": "group",
    "principal": "Developers",
    "role": "downloader",
    "channel": "approved-conda",
    "package": None,
    "is_deny": False,
}
_SHOWN_GRANT: dict[str, Any] = {
    "id": 7,
    **_GRANT,
    "sentence": "downloader granted to group Developers on approved-conda",
}


def _taken(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class UserBody(BaseModel):
    """A user or service account to create."""

    model_config = _taken(
        {"name": "grace", "password": "at least 12 characters", "groups": ["Developers"]},
        {"name": "ci", "kind": "service"},
    )

    name: Name
    kind: Literal["user", "service"] = Field(default="user", description="A service account has no password.")
    password: Password | None = Field(default=None, description="null: signs in with tokens alone.")
    must_change_password: StrictBool | None = Field(
        default=None, description="The password opens nothing until they change it; null: true when there is one."
    )
    is_administrator: StrictBool = False
    groups: list[Name] = Field(default=[], max_length=100, description="The groups to be in.")


class UserChangeBody(BaseModel):
    """What to change of a user; what is left out stays as it is."""

    model_config = _taken({"is_disabled": True}, {"password": "at least 12 characters"})

    is_administrator: StrictBool | None = None
    is_disabled: StrictBool | None = None
    password: Password | None = None
    must_change_password: StrictBool | None = Field(
        default=None, description="null: true for another's new password, false for one's own; else as it is."
    )


class UserAnswer(BaseModel):
    """A user or service account."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    kind: PrincipalKind
    is_administrator: bool
    is_disabled: bool
    created_at: datetime
    disabled_at: datetime | None
    must_change_password: bool
    groups: list[str] = Field(description="The groups they are in directly.")


class GroupBody(BaseModel):
    """A group to create."""

    model_config = _taken({"name": "Developers"})

    name: Name


class GroupAnswer(BaseModel):
    """A group and who is in it directly."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    users: list[str] = Field(description="Users and service accounts.")
    groups: list[str]


class RoleBody(BaseModel):
    """A role to create."""

    model_config = _taken({"name": "yanker", "permissions": ["channel:read", "artifact:delete"]})

    name: Name
    permissions: list[Permission] = Field(min_length=1, max_length=100)


class RoleAnswer(BaseModel):
    """A role."""

    name: str
    permissions: list[Permission]
    is_built_in: bool


class GrantBody(BaseModel):
    """A grant to add."""

    model_config = _taken(_GRANT, {"kind": "user", "principal": "ada", "role": "publisher", "channel": "team/*"})

    kind: PrincipalKind
    principal: Name = Field(description="Its name; of a pseudo-group everyone, authenticated or anonymous.")
    role: Name
    channel: Text | None = Field(default=None, description="One channel, `team/*` for all below it, null everywhere.")
    package: Text | None = Field(default=None, description="Within one channel: only packages like `team-*`.")
    is_deny: StrictBool = Field(default=False, description="Withhold the role's permissions instead.")


class GrantAnswer(BaseModel):
    """A grant, and the sentence it makes."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN_GRANT]})

    id: int | None = Field(description="null for what follows from a channel's privacy.")
    kind: PrincipalKind
    principal: str
    role: str
    channel: str | None
    package: str | None
    is_deny: bool
    sentence: str


class ExplainAnswer(BaseModel):
    """Whether somebody may do something, and why."""

    user: str
    permission: Permission
    channel: str | None
    package: str | None
    is_allowed: bool
    reason: str
    decided_by: GrantAnswer | None
    beaten: list[GrantAnswer] = Field(description="The grants that spoke too, the strongest first.")


def shown_grant(grant: Grant) -> GrantAnswer:
    """A grant as the API shows it."""
    return GrantAnswer(
        id=grant.id or None,
        kind=grant.kind,
        principal=grant.principal,
        role=grant.role,
        channel=grant.scope.channel,
        package=grant.scope.package,
        is_deny=grant.is_deny,
        sentence=str(grant),
    )
