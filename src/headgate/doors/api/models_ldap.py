"""Bodies and answers of the routes for LDAP directories."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from headgate.access.ldap.service import UNCHANGED, LdapChange
from headgate.access.ldap.store import KeptDirectory
from headgate.doors.api.models import Name, Text
from headgate.doors.api.models_access import Password

Pem = Annotated[str, StringConstraints(max_length=200_000, pattern=r"^[^\x00]*$")]
Template = Literal["active-directory", "openldap", "freeipa"]

_MAPPING = {"external": "cn=engineers,ou=groups,dc=corp,dc=example", "groups": ["Developers"], "roles": []}
_DIRECTORY: dict[str, Any] = {
    "urls": ["ldaps://directory.corp.example"],
    "bind_dn": "cn=headgate,ou=services,dc=corp,dc=example",
    "bind_password": "what the directory knows",
    "user_base": "ou=people,dc=corp,dc=example",
    "group_base": "ou=groups,dc=corp,dc=example",
    "mappings": [_MAPPING],
}


def _taken(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class LdapMappingBody(BaseModel):
    """What membership of a group of the directory gives here."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    external: Text = Field(min_length=1, description="The group's DN, or its name alone.")
    groups: list[Name] = Field(default=[], max_length=100, description="Groups here; made when they are not there.")
    roles: list[Name] = Field(default=[], max_length=100, description="Roles here, which then hold everywhere.")


class LdapChangeBody(BaseModel):
    """What to change of a directory; what is left out stays as it is."""

    model_config = _taken({"mappings": [_MAPPING]}, {"urls": ["ldaps://one.example", "ldaps://two.example"]})

    position: int | None = Field(default=None, ge=1, le=1000, description="The first is asked first.")
    bind_password: Password | None = Field(
        default=UNCHANGED, description=f"{UNCHANGED}, or left out: as it was; null: none."
    )
    urls: list[Text] | None = Field(default=None, max_length=20, description="ldap:// or ldaps://, tried in order.")
    starttls: StrictBool | None = Field(default=None, description="For ldap:// URLs.")
    insecure: StrictBool | None = Field(default=None, description="Allow ldap:// without StartTLS.")
    ca: Pem | None = Field(default=None, description="CA certificates (PEM); null: those of the system.")
    bind_dn: Text | None = Field(default=None, description="Who searches; null: anonymous.")
    user_base: Text | None = None
    user_filter: Text | None = Field(default=None, description="Holds `{login}`.")
    name_attribute: Name | None = Field(default=None, description="What people are called here.")
    id_attribute: Name | None = Field(default=None, description="What names them for good; `dn`: the DN.")
    group_base: Text | None = Field(default=None, description="null: groups are not searched for.")
    group_filter: Text | None = Field(default=None, description="Holds `{dn}` or `{login}`.")
    group_name_attribute: Name | None = None
    nested: StrictBool | None = Field(default=None, description="Follow groups in groups.")
    member_of: StrictBool | None = Field(default=None, description="Read `memberOf` as well.")
    mappings: list[LdapMappingBody] | None = Field(default=None, max_length=1000)
    connect_timeout_seconds: int | None = Field(default=None, ge=1, le=60)
    answer_timeout_seconds: int | None = Field(default=None, ge=1, le=300)
    page_size: int | None = Field(default=None, ge=1, le=10_000)

    def change(self) -> LdapChange:
        """What was said, and nothing else."""
        said = self.model_dump(exclude_unset=True, exclude={"name", "template", "position", "bind_password"})
        return LdapChange(said, self.bind_password, self.position)


class LdapDirectoryBody(LdapChangeBody):
    """A directory to add; what is left out is as the template says."""

    model_config = _taken({"name": "corp", "template": "openldap", **_DIRECTORY})

    name: Name
    template: Template | None = None


class LdapDirectoryAnswer(BaseModel):
    """A directory; its bind password is never shown."""

    name: str
    position: int
    warnings: list[str] = Field(description="What should not be forgotten about it.")
    urls: list[str]
    starttls: bool
    insecure: bool
    ca: str | None
    bind_dn: str | None
    bind_password: str | None = Field(description=f"{UNCHANGED} when there is one.")
    user_base: str
    user_filter: str
    name_attribute: str
    id_attribute: str
    group_base: str | None
    group_filter: str
    group_name_attribute: str
    nested: bool
    member_of: bool
    mappings: list[LdapMappingBody]
    connect_timeout_seconds: int
    answer_timeout_seconds: int
    page_size: int
    created_at: datetime
    checked_at: datetime | None = Field(description="When its last sync ended, well or not.")
    synced_at: datetime | None = Field(description="When its last good sync ended.")
    failure: str | None = Field(description="What the last sync failed with.")


class LdapSyncBody(BaseModel):
    """How to sync."""

    model_config = _taken({"force": True})

    force: StrictBool = Field(default=False, description="Disable leavers though they are more than half.")


class LdapTestBody(BaseModel):
    """Whom to look for."""

    model_config = _taken({"login": "ada"})

    login: Text = Field(min_length=1)
    password: Password | None = Field(default=None, description="Checked when given, never kept.")


class LdapStepAnswer(BaseModel):
    """One step of a test."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    is_ok: bool
    text: str
    facts: dict[str, Any]
    advice: str | None = Field(description="What to do, when it failed.")


class LdapTestAnswer(BaseModel):
    """What was tried, in order; the last step says how it ended."""

    directory: str
    is_ok: bool
    warnings: list[str]
    steps: list[LdapStepAnswer]


def shown_directory(kept: KeptDirectory) -> LdapDirectoryAnswer:
    """A directory as the API shows it."""
    directory, settings = kept.directory, kept.directory.settings
    shown = {name: getattr(settings, name) for name in LdapDirectoryAnswer.model_fields if hasattr(settings, name)}
    return LdapDirectoryAnswer.model_validate(
        shown
        | {
            "name": directory.name,
            "position": directory.position,
            "bind_password": None if directory.bind_password is None else UNCHANGED,
            "mappings": [LdapMappingBody.model_validate(one) for one in settings.mappings],
            "created_at": kept.created_at,
            "checked_at": kept.checked_at,
            "synced_at": kept.synced_at,
            "failure": kept.failure,
        }
    )
