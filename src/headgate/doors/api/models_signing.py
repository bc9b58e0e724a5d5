"""Bodies and answers about our own signing."""

from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, Field

from headgate.channels.signing import USUAL_DAYS, Role, Signing
from headgate.conda.content_trust import Metadata
from headgate.doors.api.models import Text, shown, taken

_KEY = "f46b5a7caa43640744186564c098955147daa8bac4443887bc64d8bfee3d3569"
_METADATA: dict[str, Any] = {"version": 1, "expires_at": "2031-01-31T00:00:00Z"}


class SigningBody(BaseModel):
    """How to make keys, or replace one."""

    model_config = taken({"days": USUAL_DAYS}, {"root_key": _KEY})

    root_key: Text | None = Field(
        default=None, description="Of a root whose private half is kept elsewhere: its public half, hexadecimal."
    )
    days: int = Field(default=USUAL_DAYS, description="How long the new metadata hold.")


class RotationBody(SigningBody):
    """Which key to replace."""

    model_config = taken({"role": "pkg_mgr"})

    role: Role


class RootBody(BaseModel):
    """A root that was signed elsewhere."""

    model_config = taken({"root": {"signatures": {}, "signed": {}}})

    root: dict[str, Any]


class SigningKeyAnswer(BaseModel):
    """A key of ours."""

    model_config = shown(
        {"role": "root", "public": _KEY, "is_held": True, "created_at": "2026-03-01T09:00:00Z", "created_by": "ada"}
    )

    role: Role
    public: str
    is_held: bool = Field(description="Whether its private half is here, sealed.")
    created_at: datetime
    created_by: str


class MetadataAnswer(BaseModel):
    """Metadata in force."""

    model_config = shown(_METADATA)

    version: int
    expires_at: datetime


class SigningAnswer(BaseModel):
    """How our own signing stands."""

    model_config = shown({"keys": [], "root": _METADATA, "key_manager": _METADATA, "pending_root": None})

    keys: list[SigningKeyAnswer]
    root: MetadataAnswer | None
    key_manager: MetadataAnswer | None
    pending_root: dict[str, Any] | None = Field(description="A root that waits to be signed elsewhere.")


def shown_signing(signing: Signing) -> SigningAnswer:
    """As the API shows it."""
    pending = signing.pending_root
    return SigningAnswer(
        keys=[SigningKeyAnswer.model_validate(one, from_attributes=True) for one in signing.keys],
        root=_metadata(signing.root),
        key_manager=_metadata(signing.key_manager),
        pending_root=None if pending is None else msgspec.json.decode(pending, type=dict[str, Any]),
    )


def _metadata(metadata: Metadata | None) -> MetadataAnswer | None:
    return None if metadata is None else MetadataAnswer(version=metadata.version, expires_at=metadata.expires_at)
