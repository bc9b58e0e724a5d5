"""Bodies and answers about channels."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, StrictBool

from headgate.channels.model import ChannelKind, Privacy
from headgate.doors.api.models import Text, shown, taken
from headgate.doors.api.models_mirrors import MirrorBody

_MIRROR = {"urls": ["https://conda.anaconda.org/conda-forge"], "subdirs": ["noarch", "linux-64"]}
_SETTINGS = {
    "is_hiding": True,
    "is_keeping_cached": True,
    "is_hiding_broken": False,
    "is_signing": False,
    "description": "What the team builds.",
}
_CHANNEL: dict[str, Any] = {
    "name": "conda-forge",
    "kind": "mirror",
    "privacy": "authenticated",
    "settings": _SETTINGS,
    "created_at": "2026-03-01T09:00:00Z",
    "revision": 12,
    "frozen": None,
    "mirrors": [{"name": "main", "settings": {}, **_MIRROR}],
    "members": [],
    "subdirs": [{"name": "noarch", "revision": 7, "revised_at": "2026-03-02T04:10:00Z"}],
}


class SettingsBody(BaseModel):
    """Settings of a channel; those left out stay as they are."""

    model_config = taken(_SETTINGS)

    is_hiding: StrictBool | None = Field(
        default=None, description="Virtual: a name in an earlier member hides it in later ones."
    )
    is_keeping_cached: StrictBool | None = Field(
        default=None, description="Mirror: cached files outlive their upstream."
    )
    is_signing: StrictBool | None = Field(default=None, description="Records bear signatures of this server's own.")
    is_hiding_broken: StrictBool | None = Field(
        default=None, description="Records are not listed whose dependencies policies keep out of the channel."
    )
    description: Text | None = Field(default=None, description="What the channel is for.")

    def given(self) -> dict[str, Any]:
        """The settings to change."""
        return self.model_dump(exclude_none=True)


class ChannelBody(BaseModel):
    """A channel to create."""

    model_config = taken(
        {"name": "team", "kind": "hosted"},
        {"name": "conda-forge", "kind": "mirror", "privacy": "authenticated", "mirrors": [_MIRROR]},
        {"name": "all", "kind": "virtual", "members": ["team", "conda-forge"]},
    )

    name: Text = Field(description="Lower-case letters, digits, `_`, `.`, `-`; parts joined by `/`.")
    kind: ChannelKind
    privacy: Privacy = Privacy.PRIVATE
    settings: SettingsBody = SettingsBody()
    members: list[Text] = Field(
        default=[], max_length=100, description="Virtual only: its channels, most important first."
    )
    mirrors: list[MirrorBody] = Field(
        default=[], max_length=100, description="Kind mirror only: what it follows, most important first."
    )


class ChannelChange(BaseModel):
    """What to change of a channel; what is left out stays as it is."""

    model_config = taken({"privacy": "public"}, {"settings": {"description": "For everyone."}})

    privacy: Privacy | None = None
    settings: SettingsBody | None = None
    members: list[Text] | None = Field(default=None, min_length=1, max_length=100)


class FollowedAnswer(BaseModel):
    """A mirror of a channel, in short; secrets are shown as `•••`."""

    name: str
    urls: list[str]
    subdirs: list[str] | None


class SubdirAnswer(BaseModel):
    """A subdir and its newest revision."""

    name: str
    revision: int
    revised_at: datetime


class FreezeAnswer(BaseModel):
    """Since when a channel's index stands still, by whose will, and why."""

    at: datetime
    by: str
    why: str


class ChannelAnswer(BaseModel):
    """A channel."""

    model_config = shown(_CHANNEL)

    name: str
    kind: ChannelKind
    privacy: Privacy
    settings: dict[str, Any]
    created_at: datetime
    revision: int = Field(description="Counts every revision of every subdir.")
    frozen: FreezeAnswer | None = Field(default=None, description="Since when its index stands still; null: it moves.")
    mirrors: list[FollowedAnswer]
    members: list[str]
    subdirs: list[SubdirAnswer]
