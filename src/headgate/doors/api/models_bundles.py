"""Bodies and answers of the routes of the air gap."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from headgate.doors.api.models import Name, Text

_KEY: dict[str, Any] = {"name": "outside", "key": "0f2c" * 16}


class KeyBody(BaseModel):
    """A key to trust."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_KEY]})

    name: Name
    key: Text = Field(description="What is in the `.pub` file, or its 64 hexadecimal digits.")


class KeyAnswer(BaseModel):
    """A key whose bundles are taken."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    key: str = Field(description="64 hexadecimal digits.")
    created_at: datetime
    created_by: str


class DroppedAnswer(BaseModel):
    """What became of something in the drop folder."""

    model_config = ConfigDict(from_attributes=True)

    filename: str
    kind: str = Field(description="bundle, channel, advisories or unknown.")
    outcome: str = Field(description="done or refused: the folder that it was moved to.")
    said: str
    channel: str | None
    sha256: str | None = Field(description="The id of a bundle; else the digest of the file, where it was kept.")
    at: datetime
